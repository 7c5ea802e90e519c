"""Who a certificate is for, and which certificates a name of the configuration means.

A name in a certificate is text that somebody asked an authority to sign. So what is the whole
subject and what is a single name are never the same text, however a name is spelt: a common name
`ct1,O=Example` is not the subject of the common name `ct1` and the organisation `Example`.

Source: RFC 4514 (subjects as text); RFC 5280 section 7.1 (comparison).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any

_SHORT: Mapping[str, str] = MappingProxyType(
    {
        # RFC 4514 section 3, and as OpenSSL calls them
        "commonname": "CN",
        "countryname": "C",
        "domaincomponent": "DC",
        "localityname": "L",
        "organizationname": "O",
        "organizationalunitname": "OU",
        "stateorprovincename": "ST",
        "streetaddress": "STREET",
        "surname": "SN",
        "givenname": "GN",
        "userid": "UID",
    }
)

_NAMES_BEHIND = frozenset({"DNS", "IP Address", "URI", "email"})
"""Alternative names that are text; the others (RFC 5280 section 4.2.1.6) name no device."""

_looks_like_subject = re.compile(r"\s*[a-z][a-z0-9.-]*\s*=|\s*\d+(\.\d+)+\s*=", re.IGNORECASE).match
_special = re.compile(r'[,+"\\<>;=]')
_part = re.compile(
    r"""\s*([A-Za-z0-9.-]+)\s*=\s*          # the kind
    (?:"((?:[^"\\]|\\.)*)"                  # a value in quotes
    |((?:[^,+;\\"]|\\.)*))                  # or one with escapes
    \s*(?:[,+;]|$)""",
    re.VERBOSE,
)
_escapes = re.compile(rb"\\([0-9A-Fa-f]{2})|\\(.)", re.DOTALL)
_UPPER_TO_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def names_in(certificate: Mapping[str, Any]) -> frozenset[str]:
    """Give the names by which a certificate may be meant, in a form that can be compared.

    They are its common names, its alternative names, and its whole subject in the order of RFC
    4514, which begins with the most special part: `CN=ct1,O=Example`.

    Args:
        certificate: What `ssl.SSLSocket.getpeercert` gives.
    """
    parts = [part for relative in certificate.get("subject", ()) for part in relative]
    alone = [value for kind, value in parts if kind == "commonName"]
    alone += [
        value for kind, value in certificate.get("subjectAltName", ()) if kind in _NAMES_BEHIND
    ]
    names = {_folded(value) for value in alone if not _looks_like_subject(value)}
    names.add(_subject(parts[::-1]))
    return frozenset(names - {""})


@lru_cache(maxsize=1024)
def meant_by(name: str) -> frozenset[str]:
    """Give the names in a certificate, any of which a name of the configuration means.

    A whole subject may be written in either order: programs print both.

    Args:
        name: A common or alternative name, or a whole subject: `ct1`, `CN=ct1,O=Example`.

    Raises:
        ValueError: It begins like a subject and is none, or nothing is left of it.
    """
    if not _looks_like_subject(name):
        found = {_folded(name)}
    else:
        parts = list(_parts(name))
        found = {_subject(parts), _subject(parts[::-1])}
    if "" in found:
        raise ValueError("it is empty")
    return frozenset(found)


def _parts(subject: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(subject):
        part = _part.match(subject, at)
        if part is None:
            raise ValueError(f"no KIND=VALUE at {subject[at : at + 20]!r}")
        kind, quoted, plain = part.groups()
        yield kind, _unescaped(plain if quoted is None else quoted)
        at = part.end()


def _unescaped(value: str) -> str:
    def one(escape: re.Match[bytes]) -> bytes:
        return bytes.fromhex(escape[1].decode()) if escape[1] else bytes(escape[2])

    return _escapes.sub(one, value.encode()).decode(errors="replace")


def _subject(parts: Sequence[tuple[str, str]]) -> str:
    return ",".join(f"{_kind(kind)}={_escaped(_folded(value))}" for kind, value in parts)


def _kind(name: str) -> str:
    return _SHORT.get(name.lower(), name).upper()


def _escaped(value: str) -> str:
    return _special.sub(r"\\\g<0>", value)


def _folded(value: str) -> str:
    # RFC 5280 section 7.1: neither case nor the number of spaces counts. ASCII alone is folded:
    # other letters fold to it that only look alike (U+212A, KELVIN SIGN).
    return " ".join(filter(None, value.split(" "))).translate(_UPPER_TO_LOWER)
