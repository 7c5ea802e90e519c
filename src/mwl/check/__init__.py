"""Rules that a worklist item must meet, as numbered findings.

    rules        the rules and the profiles of devices, as data
    subject      a file as the rules look at it
    files, structure, values, text, identifiers, time, folder, devices
                 what looks for breaches, a module a hundred

A rule looks at a file and yields where it is broken. It does not read files, keeps no clock and
prints nothing; `mwl.cli.check` does.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mwl.check import devices, files, folder, identifiers, structure, text, time, values
from mwl.check.files import HEAD_BYTES
from mwl.check.rules import GROUPS, PROFILES, RULES, Profile, Rule, Severity
from mwl.check.subject import Conditions, Fault, Finder, Path, path_text, read_subject
from mwl.dataset import keyword_of

_STRAY = "MWL104"

_OF_CONTENT: Mapping[str, Finder] = MappingProxyType(
    {
        **structure.FINDERS,
        **values.FINDERS,
        **text.FINDERS,
        **identifiers.FINDERS,
        **time.FINDERS,
        **devices.FINDERS,
    }
)
"""What looks into a file that can be read, by the number of the rule."""

FOUND = frozenset({_STRAY, *files.FINDERS, *_OF_CONTENT, *folder.FINDERS})
"""The numbers of the rules that something looks for: all of them."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach of a rule.

    Args:
        rule: The rule.
        severity: That of the rule, or "error" when a profile makes it one.
        source: Name of the file.
        path: Where it is in the file; empty when it is the file as a whole.
        message: What is wrong, without values of patients.
    """

    rule: Rule
    severity: Severity
    source: str
    path: Path
    message: str

    @property
    def path_text(self) -> str:
        """Where it is, as `(0040,0100)[0].(0040,0002)`."""
        return path_text(self.path)

    @property
    def keyword(self) -> str:
        """Keyword of the attribute; "" when there is none."""
        return keyword_of(self.path[-1]) if len(self.path) % 2 else ""

    def document(self) -> dict[str, str]:
        """Give it for programs: what `json.dumps` takes."""
        rule = self.rule
        return {
            "rule": rule.number,
            "severity": self.severity,
            "file": self.source,
            "path": self.path_text,
            "keyword": self.keyword,
            "message": self.message,
            "title": rule.title,
            "why": rule.why,
            "section": rule.section,
            "advice": rule.advice,
        }


class Checker:
    """Checks files one after the other, and at the end what they are together.

    Args:
        conditions: What the files are judged by.
        profiles: Devices whose needs count too.
        ignored: Numbers of rules to leave out.
    """

    def __init__(
        self,
        conditions: Conditions,
        *,
        profiles: Iterable[Profile] = (),
        ignored: Collection[str] = (),
    ) -> None:
        self._conditions = conditions
        self._demanded = frozenset(number for profile in profiles for number in profile.rules)
        self._rules = {
            rule.number: rule
            for rule in RULES
            if rule.number not in ignored
            and (not rule.is_optional or rule.number in self._demanded)
        }
        self._files: list[folder.Facts] = []

    def file(self, source: str, data: bytes) -> list[Finding]:
        """Check one file.

        Args:
            source: Name of the file, with its folder.
            data: All of it; of a file longer than `mwl.item.MAX_FILE_BYTES` one byte more.

        Cost: about 0.6 ms for an item of 30 attributes.
        """
        subject = read_subject(source, data, self._conditions)
        finders = dict(files.FINDERS)
        if subject.fault is None:
            finders |= _OF_CONTENT
            self._files.append(folder.facts_of(subject))
        return [
            self._finding(rule, source, fault)
            for number, rule in self._rules.items()
            if number in finders
            for fault in finders[number](subject)
        ]

    def unreadable(self, source: str, reason: str) -> list[Finding]:
        """Report a file that the operating system does not give, and why."""
        rule = self._rules.get("MWL101")
        return [self._finding(rule, source, Fault((), reason))] if rule else []

    def stray(self, source: str, head: bytes) -> list[Finding]:
        """Check a file in a folder whose name keeps it from being served.

        Args:
            source: Name of the file.
            head: Its first `HEAD_BYTES`.
        """
        rule = self._rules.get(_STRAY)
        faults = files.stray(source, head) if rule else ()
        return [self._finding(rule, source, fault) for fault in faults if rule]

    def together(self) -> Iterator[Finding]:
        """Compare all files that were checked."""
        for number, rule in self._rules.items():
            if number in folder.FINDERS:
                for source, fault in folder.FINDERS[number](self._files):
                    yield self._finding(rule, source, fault)

    def _finding(self, rule: Rule, source: str, fault: Fault) -> Finding:
        severity: Severity = "error" if rule.number in self._demanded else rule.severity
        return Finding(rule, severity, source, fault.path, fault.message)


__all__ = [
    "FOUND",
    "GROUPS",
    "HEAD_BYTES",
    "PROFILES",
    "RULES",
    "Checker",
    "Conditions",
    "Finding",
    "Profile",
    "Rule",
    "Severity",
]
