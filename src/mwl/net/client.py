"""The SCU side: `echo` and `find`, for the command line, tests and programs.

    async with associate(peer, [MODALITY_WORKLIST_FIND]) as association:
        async for response in association.find(elements):
            ...

The rules of the protocol are in `mwl.wire`; this module only moves bytes and waits.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

from mwl import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from mwl.dataset import TRANSFER_SYNTAXES, Elements, encode
from mwl.errors import PeerRefused
from mwl.text import escape
from mwl.tls.problems import problem_of
from mwl.wire.association import (
    Aborted,
    Association,
    AssociationAccepted,
    AssociationRejected,
    ConnectionLost,
    Event,
    Limits,
    Message,
    MessageReceived,
    Released,
    Role,
    TimedOut,
)
from mwl.wire.dimse import PRIORITY_MEDIUM, Command, CommandField, Status
from mwl.wire.negotiation import (
    MODALITY_WORKLIST_FIND,
    VERIFICATION,
    NegotiatedContext,
)
from mwl.wire.pdu import (
    AssociateReject,
    AssociateRequest,
    ProposedContext,
    ReleaseRequest,
    UserIdentity,
    UserInformation,
)

READ_BYTES = 64 * 1024
"""Bytes taken from the socket at a time."""

PENDING = frozenset({Status.PENDING, Status.PENDING_WITH_UNSUPPORTED_KEYS})
"""Statuses after which more responses come (PS3.4 Table K.4-1)."""

_REJECTIONS: Mapping[tuple[int, int], str] = MappingProxyType(
    {
        # PS3.8 Table 9-21: (source, reason)
        (1, 1): "no reason given",
        (1, 2): "application context name not supported",
        (1, 3): "calling AE title not recognised: register it with the server or change -aet",
        (1, 7): "called AE title not recognised: change -aec",
        (2, 1): "no reason given: it may want a user identity",
        (2, 2): "protocol version not supported",
        (3, 1): "temporary congestion",
        (3, 2): "local limit exceeded",
    }
)


_WITHOUT_REASON = frozenset({(1, 1), (2, 1)})
"""Source and reason of what a server says that does not say why."""

_USER_NAME_AND_PASSCODE = 2  # PS3.7 Table D.3-14


@dataclass(frozen=True, slots=True)
class User:
    """Who we log in as (PS3.7 D.3.3.7): both in UTF-8, the passcode not shown.

    Args:
        name: User name.
        passcode: What proves it; it is sent as it is.
    """

    name: bytes
    passcode: bytes = field(repr=False)

    @property
    def shown(self) -> str:
        """The name, for people."""
        return escape(self.name.decode("utf-8", "replace"))


@dataclass(frozen=True, slots=True)
class Peer:
    """A server to talk to.

    Args:
        host: Name or address.
        port: TCP port.
        called_ae_title: Its AE title.
        calling_ae_title: Ours.
        timeout_s: Seconds to wait for the connection, and for each answer.
        max_pdu_length: Longest PDU body taken, in bytes.
        tls: What to encrypt with; None does not.
        tls_name: Name that its certificate has to be for, where `tls` checks that; empty for
            `host`.
        user: Who we log in as; None offers no user identity.
    """

    host: str
    port: int
    called_ae_title: str
    calling_ae_title: str
    timeout_s: float = 30.0
    max_pdu_length: int = 65536
    tls: ssl.SSLContext | None = None
    tls_name: str = ""
    user: User | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """One response of the peer.

    Args:
        command: The command set, with its status.
        identifier: The data set that came with it, encoded; None when there was none.
        transfer_syntax: How the identifier is encoded.
    """

    command: Command
    identifier: bytes | None
    transfer_syntax: str


class ClientAssociation:
    """An open association, requestor's side. Made by `associate`.

    Attributes:
        peer_information: What the peer said of itself when it accepted.
    """

    def __init__(
        self,
        peer: Peer,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._peer = peer
        self._reader = reader
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        limits = Limits(max_pdu_length=peer.max_pdu_length, idle_timeout_s=0)
        self._association = Association(Role.REQUESTOR, limits, self._loop.time())
        self._message_id = 0
        self.peer_information = UserInformation()

    async def open(self, request: AssociateRequest) -> Self:
        """Send A-ASSOCIATE-RQ and wait for the answer.

        Raises:
            PeerRefused: Rejected, aborted, timed out.
        """
        self._association.send(request)
        match await self._next_event():
            case AssociationAccepted(accept=accept):
                self.peer_information = accept.user_information
                return self
            case AssociationRejected(reject=reject):
                raise PeerRefused(_rejection(reject, self._peer.user))
            case event:
                raise PeerRefused(f"unexpected answer to A-ASSOCIATE-RQ: {type(event).__name__}")

    @property
    def is_confirmed(self) -> bool:
        """Whether the peer says that it takes us for the user that we log in as."""
        # PS3.7 D.3.3.7.2: of a name with a passcode the response is empty.
        return self.peer_information.user_identity_response is not None

    async def echo(self) -> Response:
        """Send C-ECHO and give the response (PS3.7 section 9.1.5)."""
        context = self._context(VERIFICATION)
        command = self._command(CommandField.C_ECHO_RQ, context)
        self._association.send(Message(context.context_id, command, None))
        return await self._next_response(command.message_id)

    async def find(self, identifier: Elements) -> AsyncIterator[Response]:
        """Send C-FIND and give every response, the final one last (PS3.7 section 9.1.2)."""
        context = self._context(MODALITY_WORKLIST_FIND)
        command = self._command(CommandField.C_FIND_RQ, context, has_dataset=True)
        data = encode(identifier.values(), context.transfer_syntax)
        self._association.send(Message(context.context_id, command, data))
        while True:
            response = await self._next_response(command.message_id)
            yield response
            if response.command.status not in (
                Status.PENDING,
                Status.PENDING_WITH_UNSUPPORTED_KEYS,
            ):
                return

    async def release(self) -> None:
        """Release the association in good order (PS3.8 section 7.2)."""
        self._association.send(ReleaseRequest())
        while not isinstance(await self._next_event(), Released):
            pass

    def _context(self, abstract_syntax: str) -> NegotiatedContext:
        for context in self._association.contexts.values():
            if context.abstract_syntax == abstract_syntax:
                return context
        raise PeerRefused(
            f"the peer accepts the association but not the SOP class {abstract_syntax}: "
            "is its worklist service enabled?"
        )

    def _command(
        self, field: CommandField, context: NegotiatedContext, *, has_dataset: bool = False
    ) -> Command:
        self._message_id += 1
        return Command(
            field=field,
            message_id=self._message_id,
            affected_sop_class_uid=context.abstract_syntax,
            priority=PRIORITY_MEDIUM if has_dataset else None,
            has_dataset=has_dataset,
        )

    async def _next_response(self, message_id: int) -> Response:
        match await self._next_event():
            case MessageReceived(context, command, dataset) if (
                command.message_id_being_responded_to == message_id
            ):
                return Response(command, dataset, context.transfer_syntax)
            case event:
                raise PeerRefused(f"unexpected {type(event).__name__} instead of a response")

    async def _next_event(self) -> Event:
        while (event := self._association.next_event()) is None:
            await self._flush()
            try:
                async with asyncio.timeout(self._peer.timeout_s):
                    data = await self._reader.read(READ_BYTES)
            except TimeoutError:
                raise PeerRefused(f"no answer within {self._peer.timeout_s:g} s") from None
            except ssl.SSLError as error:
                raise PeerRefused(f"TLS ended: {problem_of(error).reason}") from error
            except OSError as error:
                raise PeerRefused(f"connection lost: {error.strerror or error}") from error
            self._association.receive(data, self._loop.time())
        await self._flush()
        match event:
            case Aborted():
                raise PeerRefused(_abortion(event))
            case ConnectionLost():
                maybe = ""
                if self._peer.tls is None and not self._association.contexts:
                    maybe = "; perhaps it speaks TLS: --tls, or UseDicomTls"
                raise PeerRefused(f"the peer closed the connection without a word{maybe}")
            case TimedOut():
                raise PeerRefused(f"timed out: {event.which}")
            case _:
                return event

    async def _flush(self) -> None:
        if output := self._association.data_to_send():
            self._writer.writelines(output)
            with suppress(ConnectionError):  # what the peer said before is read first
                await self._writer.drain()

    async def close(self) -> None:
        """Close the connection, whatever became of the association."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()


@asynccontextmanager
async def associate(
    peer: Peer, abstract_syntaxes: Iterable[str]
) -> AsyncIterator[ClientAssociation]:
    """Open an association, give it, release and close it.

    Args:
        peer: Whom to call.
        abstract_syntaxes: SOP class UIDs to propose, each with every transfer syntax we have.

    Raises:
        PeerRefused: Not reachable, rejected, aborted or timed out.
    """
    try:
        async with asyncio.timeout(peer.timeout_s):
            reader, writer = await _connect(peer)
    except TimeoutError:
        message = f"no connection to {peer.host}:{peer.port} in time"
        raise PeerRefused(message, is_absent=True) from None
    except ssl.SSLError as error:
        message = f"no TLS with {peer.host}:{peer.port}: {problem_of(error).reason}"
        raise PeerRefused(message) from error
    except (OSError, UnicodeError) as error:  # a name that cannot be one raises the latter
        message = f"no connection to {peer.host}:{peer.port}: {reason_of(error)}"
        is_absent = isinstance(error, OSError) and not isinstance(error, socket.gaierror)
        raise PeerRefused(message, is_absent=is_absent) from error
    association = ClientAssociation(peer, reader, writer)
    try:
        yield await association.open(_request(peer, abstract_syntaxes))
        with suppress(PeerRefused):  # all is answered; how the peer says goodbye changes nothing
            await association.release()
    finally:
        await association.close()


async def _connect(peer: Peer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host = peer.host.strip("[]")  # an IPv6 address may be written as in a URL
    if peer.tls is None:
        return await asyncio.open_connection(host, peer.port)
    return await asyncio.open_connection(
        host, peer.port, ssl=peer.tls, server_hostname=peer.tls_name or host
    )


def reason_of(error: OSError | UnicodeError) -> str:
    """Say why no connection could be made, in the words of the system."""
    if not isinstance(error, OSError):
        return str(error)
    # asyncio has words of its own for what the system says; those of a name have no such number.
    number = error.errno or 0
    return os.strerror(number) if number > 0 else error.strerror or str(error)


def _request(peer: Peer, abstract_syntaxes: Iterable[str]) -> AssociateRequest:
    contexts = tuple(
        ProposedContext(2 * place + 1, abstract_syntax, TRANSFER_SYNTAXES)
        for place, abstract_syntax in enumerate(abstract_syntaxes)
    )
    return AssociateRequest(
        called_ae_title=peer.called_ae_title,
        calling_ae_title=peer.calling_ae_title,
        contexts=contexts,
        user_information=UserInformation(
            max_length=peer.max_pdu_length,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            implementation_version_name=IMPLEMENTATION_VERSION_NAME,
            user_identity=None if peer.user is None else _identity(peer.user),
        ),
    )


def _identity(user: User) -> UserIdentity:
    return UserIdentity(
        _USER_NAME_AND_PASSCODE,
        positive_response_requested=True,
        primary=user.name,
        secondary=user.passcode,
    )


def _rejection(reject: AssociateReject, user: User | None) -> str:
    lasting = "for now" if reject.result == 2 else "permanently"
    said = (reject.source, reject.reason)
    reason = _REJECTIONS.get(said, f"source {reject.source}, reason {reject.reason}")
    if user is not None and said in _WITHOUT_REASON:
        reason = f"no reason given: it may not accept user {user.shown} with this passcode"
    return f"association rejected {lasting}: {reason}"


def _abortion(event: Aborted) -> str:
    if event.local:
        return f"association aborted by us: {event.error or 'no reason'}"
    by = "the peer's program" if event.source == 0 else "the peer's protocol layer"
    return f"association aborted by {by} (source {event.source}, reason {event.reason})"
