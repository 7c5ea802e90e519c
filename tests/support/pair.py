"""Two associations joined in memory: requestor and acceptor, no socket and no clock."""

from dataclasses import dataclass, field

from mwl.wire.association import Association, Event, Limits, Outgoing, Role
from mwl.wire.negotiation import MODALITY_WORKLIST_FIND, VERIFICATION, Policy, negotiate
from mwl.wire.pdu import AssociateAccept, AssociateRequest, ProposedContext, UserInformation

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
WORKLIST_CONTEXT = 1
VERIFICATION_CONTEXT = 3

POLICY = Policy({MODALITY_WORKLIST_FIND: (IMPLICIT, EXPLICIT), VERIFICATION: (IMPLICIT,)})


def association_request(max_length: int = 16384) -> AssociateRequest:
    """Ask for the worklist in two transfer syntaxes, and for Verification."""
    return AssociateRequest(
        called_ae_title="MWL",
        calling_ae_title="CT1",
        contexts=(
            ProposedContext(WORKLIST_CONTEXT, MODALITY_WORKLIST_FIND, (EXPLICIT, IMPLICIT)),
            ProposedContext(VERIFICATION_CONTEXT, VERIFICATION, (IMPLICIT,)),
        ),
        user_information=UserInformation(max_length=max_length, implementation_class_uid="1.2.3.4"),
    )


@dataclass
class Pair:
    """Moves bytes between the two sides; events are collected by side until taken."""

    limits: Limits = field(default_factory=Limits)
    requestor_limits: Limits = field(default_factory=Limits)
    chunk_bytes: int | None = None
    now: float = 0.0

    def __post_init__(self) -> None:
        self.requestor = Association(Role.REQUESTOR, self.requestor_limits, self.now)
        self.acceptor = Association(Role.ACCEPTOR, self.limits, self.now)
        self.events: dict[Role, list[Event]] = {role: [] for role in Role}

    @classmethod
    def established(
        cls,
        limits: Limits | None = None,
        *,
        max_length: int = 16384,
        chunk_bytes: int | None = None,
    ) -> "Pair":
        """Give a pair that has agreed on both contexts of `association_request`."""
        pair = cls(
            limits=limits or Limits(),
            requestor_limits=Limits(max_pdu_length=max(max_length, 16384)),
            chunk_bytes=chunk_bytes,
        )
        request = association_request(max_length)
        pair.send(Role.REQUESTOR, request)
        policy = Policy(POLICY.abstract_syntaxes, max_pdu_length=pair.limits.max_pdu_length)
        answer = negotiate(request, policy)
        assert isinstance(answer, AssociateAccept)
        pair.send(Role.ACCEPTOR, answer)
        pair.take(Role.ACCEPTOR)
        pair.take(Role.REQUESTOR)
        return pair

    def side(self, role: Role) -> Association:
        """Give one side."""
        return self.acceptor if role is Role.ACCEPTOR else self.requestor

    def other(self, role: Role) -> Role:
        """Name the other side."""
        return Role.REQUESTOR if role is Role.ACCEPTOR else Role.ACCEPTOR

    def send(self, role: Role, outgoing: Outgoing) -> None:
        """Let one side send, and move bytes until both sides are quiet."""
        self.side(role).send(outgoing)
        self.settle()

    def settle(self) -> None:
        """Move bytes both ways until nothing more is to be sent."""
        while self._move(Role.REQUESTOR) or self._move(Role.ACCEPTOR):
            pass

    def _move(self, sender: Role) -> bool:
        data = b"".join(self.side(sender).data_to_send())
        step = self.chunk_bytes or len(data) or 1
        for start in range(0, len(data), step):
            self.give(self.other(sender), data[start : start + step])
        return bool(data)

    def give(self, role: Role, data: bytes) -> None:
        """Let bytes arrive at one side and collect what it tells."""
        side = self.side(role)
        side.receive(data, self.now)
        while (event := side.next_event()) is not None:
            self.events[role].append(event)

    def take(self, role: Role) -> list[Event]:
        """Take the events that one side has told so far."""
        events, self.events[role] = self.events[role], []
        return events
