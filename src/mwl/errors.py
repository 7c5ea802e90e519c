"""Every exception of mwl.

A class exists only where somebody catches it on its own, or where the answer to a peer or an
operator differs. An exception that can reach a peer carries what to tell it; the edges (`net`,
`cli`) translate, nobody in between does. Messages state facts (found, expected, tag, offset) and
never a value that may belong to a patient.

    MwlError
    ├── InputError               what a person wrote cannot be used  exit status 2
    │   └── ConfigError          it is the configuration, or a flag
    │       └── NotToBeHad       another program has it, or it is   exit status 1
    │                            not there yet: time may mend it
    ├── DatasetError             bytes are not the data set they claim
    ├── ProtocolError
    │   ├── LocalProtocolError   this side broke the rules: a bug
    │   └── RemoteProtocolError  the peer did                        A-ABORT with a reason
    ├── RequestRefused           well-formed, declined               DIMSE failure status
    ├── PeerRefused              client side: rejected, aborted, timed out, unreachable
    ├── StoreError               the worklist cannot be read now     DIMSE failure status
    └── WriteError               the worklist cannot be written      HTTP 500, 507
        └── SourceChanged        it is not as the writer believes    HTTP 412
"""

from mwl.limits import Exceeded, Limit

ERROR_COMMENT_LIMIT = 64
"""Characters in an Error Comment (0000,0902), VR LO: PS3.5 Table 6.2-1."""


class MwlError(Exception):
    """Base of every error that mwl raises on purpose."""


class InputError(MwlError):
    """What a person wrote cannot be used: a configuration, an argument, the text of a data set.

    Args:
        message: What was found and what is allowed.
        file: Path of the file, when it came from one.
        line: Line in that file, counted from 1.
        option: Option or argument that it is about, such as `Worklists.LimitAnswers` or `-k`.
        hint: What to do about it.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        option: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.line = line
        self.option = option
        self.hint = hint

    def __str__(self) -> str:
        """Give `file:line: option: message (hint)`, leaving out what is not known."""
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        text = ": ".join(part for part in (place, self.option, self.message) if part)
        return f"{text} ({self.hint})" if self.hint else text


class ConfigError(InputError):
    """The operator's configuration file or command line cannot be used."""


class NotToBeHad(ConfigError):
    """A port or an address cannot be had now: another program has it, or it is not there yet."""


class DatasetError(MwlError):
    """Bytes are not the data set they claim to be.

    Args:
        message: What was found and what was expected.
        offset: Byte offset of the fault in the bytes that were given.
        tag: The attribute being read, as `(group << 16) | element`, when known.
        limit: The limit that they go beyond, where that is the fault.
    """

    def __init__(
        self,
        message: str,
        *,
        offset: int | None = None,
        tag: int | None = None,
        limit: Limit | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.tag = tag
        self.limit = limit

    def __str__(self) -> str:
        """Give the message with the tag and the offset behind it."""
        where = [] if self.tag is None else [f"in ({self.tag >> 16:04X},{self.tag & 0xFFFF:04X})"]
        if self.offset is not None:
            where.append(f"at offset {self.offset}")
        return " ".join([self.message, *where])


class ProtocolError(MwlError):
    """The rules of the upper layer or of DIMSE were broken."""


class LocalProtocolError(ProtocolError):
    """This side asked for something that the state of the association forbids: a bug of ours."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the rules.

    Args:
        message: What was found and what was expected.
        reason: Reason of the A-ABORT to answer with (PS3.8 Table 9-26): 0 not specified,
            1 unrecognised PDU, 2 unexpected PDU, 4 unrecognised PDU parameter,
            5 unexpected PDU parameter, 6 invalid PDU parameter value.
        exceeded: The limit that it went beyond, where that was it.
    """

    def __init__(self, message: str, *, reason: int, exceeded: Exceeded | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.exceeded = exceeded


class RequestRefused(MwlError):
    """A request is well-formed and is declined.

    Args:
        status: DIMSE status (0000,0900) of the final response: PS3.4 Table K.4-1, PS3.7 Annex C.
        comment: Error Comment (0000,0902), a sentence a technician understands. Cut to
            `ERROR_COMMENT_LIMIT` characters of the default repertoire.
        offending: Tags for Offending Element (0000,0901), outermost first.
        exceeded: The limit that it goes beyond, where that is the reason.
    """

    def __init__(
        self,
        status: int,
        comment: str,
        *,
        offending: tuple[int, ...] = (),
        exceeded: Exceeded | None = None,
    ) -> None:
        super().__init__(comment)
        self.status = status
        self.comment = comment[:ERROR_COMMENT_LIMIT]
        self.offending = offending
        self.exceeded = exceeded


class PeerRefused(MwlError):
    """Client side: the peer rejected, aborted, timed out or could not be reached.

    Args:
        message: What happened.
        is_absent: Whether nobody was there: a device that is switched off is no fault.
    """

    def __init__(self, message: str, *, is_absent: bool = False) -> None:
        super().__init__(message)
        self.is_absent = is_absent


class StoreError(MwlError):
    """The worklist cannot be read now, so no query may be answered from it.

    Args:
        message: What cannot be read and why, for the log.
        comment: What a modality is told, at most `ERROR_COMMENT_LIMIT` characters.
    """

    def __init__(self, message: str, *, comment: str) -> None:
        super().__init__(message)
        self.comment = comment[:ERROR_COMMENT_LIMIT]


class WriteError(MwlError):
    """A worklist item cannot be written, and is as it was.

    Args:
        message: What cannot be written and why.
        is_full: Whether there is no room for it.
    """

    def __init__(self, message: str, *, is_full: bool = False) -> None:
        super().__init__(message)
        self.is_full = is_full


class SourceChanged(WriteError):
    """A source does not hold what its writer takes it to hold, so nothing was written.

    Args:
        message: What it is instead.
        entity_tag: Of what it holds now; None when it is not there.
    """

    def __init__(self, message: str, *, entity_tag: str | None = None) -> None:
        super().__init__(message)
        self.entity_tag = entity_tag
