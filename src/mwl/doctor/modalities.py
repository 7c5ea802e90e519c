"""The devices that a site knows: entries that contradict each other, and who answers."""

import asyncio
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from mwl.doctor.findings import Finding, fail, ok, warn
from mwl.errors import PeerRefused
from mwl.net.client import Peer, associate
from mwl.wire.dimse import Status
from mwl.wire.negotiation import VERIFICATION

AT_ONCE = 32
"""Devices asked at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A known modality, as it is asked.

    Args:
        name: Name of its entry.
        host: Its address or name.
        port: Its port.
        ae_title: What it is called.
        calling_ae_title: What we call ourselves.
        timeout_s: Seconds that it has.
        tls: What to encrypt with; None does not.
    """

    name: str
    host: str
    port: int
    ae_title: str
    calling_ae_title: str
    timeout_s: float
    tls: ssl.SSLContext | None = None

    @property
    def shown(self) -> str:
        """It, for people."""
        return f"{self.name}: {self.ae_title} at {self.host}:{self.port}"


def entries(
    devices: Sequence[Device], fold: Callable[[str], str], *, others: str, by_host: bool
) -> Iterator[Finding]:
    """Judge the entries, without asking anybody.

    Args:
        devices: The known modalities.
        fold: Gives an AE title in the form in which equal ones are the same text.
        others: Who may query besides them; empty for nobody.
        by_host: Whether the address of a caller decides among entries of one AE title.
    """
    if not devices and not others:
        mend = 'inside DicomModalities add: "ct1": ["CT1", "192.0.2.10", 104]'
        yield warn("modalities", "DicomModalities", "is empty, so nobody may query", mend)
    elif not devices:
        yield ok("modalities", "DicomModalities", f"is empty, and {others} may query")
    for title, names in _alike(devices, lambda device: fold(device.ae_title)):
        rule = (
            "the one with the caller's address decides" if by_host else "all of them must allow it"
        )
        found = f"{names} have the AE title {title}: {rule}"
        mend = "give each device an AE title of its own, or remove the entry that is not needed"
        yield warn("modalities", "DicomModalities", found, mend)
    for address, names in _alike(devices, lambda device: f"{device.host.lower()}:{device.port}"):
        found = f"{names} have the address {address}"
        mend = "correct the host or the port of the entry that is wrong"
        yield warn("modalities", "DicomModalities", found, mend)


def _alike(devices: Iterable[Device], key: Callable[[Device], str]) -> Iterator[tuple[str, str]]:
    groups: dict[str, list[str]] = {}
    for device in devices:
        groups.setdefault(key(device), []).append(device.name)
    return ((found, ", ".join(names)) for found, names in groups.items() if len(names) > 1)


async def ask(devices: Iterable[Device], tell: Callable[[Device], None]) -> list[Finding]:
    """Send a C-ECHO to each device, several at a time.

    Args:
        devices: Whom.
        tell: Is told of each that was asked.
    """
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(device: Device) -> Finding:
        async with turn:
            finding = await _echo(device)
        tell(device)
        return finding

    return list(await asyncio.gather(*map(one, devices)))


async def _echo(device: Device) -> Finding:
    peer = Peer(
        device.host,
        device.port,
        device.ae_title,
        device.calling_ae_title,
        device.timeout_s,
        tls=device.tls,
    )
    try:
        await _resolve(device.host)
        async with associate(peer, [VERIFICATION]) as association:
            response = await association.echo()
    except PeerRefused as error:
        return refusal(device, str(error), is_absent=error.is_absent)
    status, comment = response.command.status, response.command.error_comment
    if status == Status.SUCCESS:
        return ok("modalities", device.shown, "answers C-ECHO")
    found = f"C-ECHO fails with status {status:04X} {comment}".rstrip()
    return fail("modalities", device.shown, found, _let_us_in(device))


async def _resolve(host: str) -> None:
    """Look a name up, so that a wrong one is told from a device that is off.

    Raises:
        PeerRefused: It cannot be resolved.
    """
    try:
        await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), None)
    except (OSError, UnicodeError):
        raise PeerRefused(f"the name {host} cannot be resolved") from None


def refusal(device: Device, message: str, *, is_absent: bool) -> Finding:
    """Judge a device that does not answer as it should.

    Args:
        device: Which.
        message: Why, as the client says it.
        is_absent: Whether nobody was there.
    """
    if is_absent:
        mend = "switch it on; if it is on: its host and port in DicomModalities, a firewall between"
        return warn("modalities", device.shown, f"nobody answers: {message}", mend)
    # Behind it stands what to change for those who typed the titles.
    message = message.partition(": register")[0].partition(": change")[0]
    for words, mend in (
        (
            "called AE title",
            f'the AE title of "{device.name}" in DicomModalities: the device has another',
        ),
        ("calling AE title", _let_us_in(device)),
        ("cannot be resolved", f'an IP address as host of "{device.name}" in DicomModalities'),
        ("TLS", f'"UseDicomTls" of "{device.name}", the certificates of both sides'),
        (
            "SOP class",
            "nothing, if it answers no C-ECHO by design; else its service of verification",
        ),
    ):
        if words in message:
            return fail("modalities", device.shown, message, mend)
    return fail("modalities", device.shown, message, "the port, and the log of the device")


def _let_us_in(device: Device) -> str:
    return f"register {device.calling_ae_title} with this machine's address on the device"
