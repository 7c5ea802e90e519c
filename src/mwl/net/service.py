"""What every association of a server shares."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mwl.access import AccessPolicy
from mwl.find import Worklist
from mwl.net.journal import Journal
from mwl.wire.association import Limits
from mwl.wire.negotiation import Policy

if TYPE_CHECKING:
    from mwl.audit.auditor import Auditor


@dataclass(slots=True)
class Service:
    """What every association of a server shares.

    Args:
        access: Who may associate and ask; may be replaced while associations are open.
        worklist: Gives the worklist of a called AE title; None when there is none of that name.
        negotiation: SOP classes and transfer syntaxes offered.
        limits: Sizes and times of an association; may be replaced, for those that come later.
        values_in_log: Whether log lines may hold the values of keys (`DeidentifyLogs` false).
        journal: Where each query is noted.
        auditor: Is told of each query; None without an audit trail.
    """

    access: AccessPolicy
    worklist: Callable[[str], Worklist | None]
    negotiation: Policy
    limits: Limits
    values_in_log: bool = False
    journal: Journal = field(default_factory=lambda: Journal(0))
    auditor: "Auditor | None" = None

    def take_over(self, other: "Service") -> None:
        """Let the rules of another service count from now on, but for who may ask."""
        self.negotiation = other.negotiation
        self.limits = other.limits
        self.values_in_log = other.values_in_log
