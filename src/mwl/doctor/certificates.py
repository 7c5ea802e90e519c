"""Files of TLS: whether they can be used, for how long, and who can read the key."""

import shlex
import stat
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise

from mwl.doctor.findings import Finding, fail, ok, warn
from mwl.errors import ConfigError
from mwl.tls.contexts import Credentials, PemFile
from mwl.tls.expiry import Certificate, certificates_in

WARN_DAYS = 30
"""Days before its end from which a certificate is warned of, as the server does."""

_NEW = "put a new certificate there; a running server takes it up by itself"


def certificates(
    credentials: Credentials, make: Callable[[Credentials], object], now: datetime
) -> Iterator[Finding]:
    """Judge the files of one use of TLS.

    Args:
        credentials: Who we are, and whom we believe.
        make: Makes a context of them as the server does; raises ConfigError.
        now: The time.
    """
    try:
        make(credentials)
    except ConfigError as error:
        subject = error.option or "TLS"
        yield fail("certificates", subject, error.message, error.hint or _readable(credentials))
        return
    if credentials.certificate is not None:
        yield from own(credentials.certificate, now)
    key = credentials.private_key or credentials.certificate
    if key is not None:
        yield from private_key(key)
    if credentials.trusted is not None:
        yield from trusted(credentials.trusted, now)


def _readable(credentials: Credentials) -> str:
    files = " ".join(shlex.quote(str(file.path)) for file in credentials.files)
    return (
        f"ls -l {files} shows who may read them; openssl x509 -in FILE -noout -text what they are"
    )


def own(file: PemFile, now: datetime) -> Iterator[Finding]:
    """Judge our own certificate and those behind it."""
    subject = f"{file.option} {file.path}"
    try:
        first, *others = certificates_in(file.path)
    except (OSError, ValueError) as error:
        yield fail("certificates", subject, str(error), _NEW)
        return
    yield validity(subject, [first, *others], now)
    if strays := strays_of([first, *others]):
        told = f"of {1 + len(others)} certificates {strays} vouch for none before them"
        mend = "write into the file: our certificate, then who vouches for it, and so on"
        yield warn("certificates", subject, told, mend)
    elif others:
        yield ok("certificates", subject, f"a chain of {1 + len(others)}")
    elif first.issuer == first.subject:
        yield ok("certificates", subject, "vouches for itself: peers must trust it by name")


def strays_of(chain: Sequence[Certificate]) -> int:
    """Count the certificates that do not vouch for the one before them."""
    return sum(before.issuer != after.subject for before, after in pairwise(chain))


def validity(subject: str, chain: Sequence[Certificate], now: datetime) -> Finding:
    """Judge when a chain is valid: the certificate that ends first counts."""
    begins = max(certificate.not_before for certificate in chain)
    ends = min(certificate.not_after for certificate in chain)
    days = (ends - now).days
    if now >= ends:
        return fail("certificates", subject, f"expired on {ends:%Y-%m-%d}", _NEW)
    if now < begins:
        mend = f"date shows whether the clock is right; {_NEW}"
        return fail(
            "certificates", subject, f"is not valid before {begins:%Y-%m-%d %H:%M} UTC", mend
        )
    if days < WARN_DAYS:
        return warn("certificates", subject, f"expires in {days} days, on {ends:%Y-%m-%d}", _NEW)
    return ok("certificates", subject, f"valid for {days} days, to {ends:%Y-%m-%d}")


def private_key(file: PemFile) -> Iterator[Finding]:
    """Judge who can read a key that can be used."""
    mode = stat.S_IMODE(file.path.stat().st_mode)
    subject = f"{file.option} {file.path}"
    if mode & 0o007:
        told = f"anybody on this machine can read the key (mode {mode:04o})"
        mend = f"sudo chmod o= {shlex.quote(str(file.path))}; who could read it may have copied it"
        yield warn("certificates", subject, told, mend)
    else:
        yield ok("certificates", subject, f"the key fits, and is not for all to read ({mode:04o})")


def trusted(file: PemFile, now: datetime) -> Iterator[Finding]:
    """Judge the certificates that vouch for peers."""
    subject = f"{file.option} {file.path}"
    try:
        found = certificates_in(file.path)
    except (OSError, ValueError) as error:
        yield fail("certificates", subject, str(error), "expected are certificates as PEM")
        return
    expired = sum(certificate.not_after <= now for certificate in found)
    if expired:
        told = f"{expired} of {len(found)} have expired: peers with those are refused"
        yield (fail if expired == len(found) else warn)("certificates", subject, told, _NEW)
    else:
        yield ok("certificates", subject, f"{len(found)} vouch for peers")
