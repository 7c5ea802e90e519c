"""What is known of all files of a folder, in step with the changes that were told of them.

What is known of one is in `mwl.store.known`; when it is found out is the business of
`mwl.store.directory`.
"""

import hashlib
from collections.abc import Iterator

from mwl import telemetry
from mwl.item import WorklistItem
from mwl.store import Change, Remove, Sources, Upsert
from mwl.store.filesystem import Signature, signature_at
from mwl.store.known import Known, Links
from mwl.store.snapshot import Remembered


class Files:
    """The files of a folder by name.

    Args:
        folder: The folder, as the log calls it.
        prefix: What goes before the name of a file.

    Attributes:
        known: What is known of each.
        links: Which of them can change under another name.
        faults: Those that are not served, each with the reason.
    """

    def __init__(self, folder: str, prefix: str) -> None:
        self.known: dict[str, Known] = {}
        self.links = Links()
        self.faults: dict[str, str] = {}
        self._folder = folder
        self._prefix = prefix

    def is_changed(self, name: str) -> bool:
        """Tell whether a file may not be as it is known."""
        known = self.known.get(name)
        signature = signature_at(self._prefix + name)
        if known is None:
            return signature is not None
        return not known.is_settled or known.signature != signature

    def is_content_known(self, name: str, new: Known, data: bytes) -> bool:
        """Begin to describe the bytes of a file; if they are as before, so is what they gave."""
        new.digest = hashlib.blake2b(data, digest_size=16).digest()
        known = self.known.get(name)
        if known is None or known.digest != new.digest:
            return False
        new.fault, new.count = known.fault, known.count
        return True

    def unsettled(self) -> list[str]:
        """Give the files that were read too early to be remembered."""
        return [
            name
            for name, known in self.known.items()
            if known.is_proven and not known.is_settled and name not in self.links.names
        ]

    def settled(self, sources: Sources) -> Iterator[Remembered]:
        """Give the files of which any later change will show in their signature."""
        for name in list(sources):
            known = self.known.get(name)
            if known is None or known.signature is None or name not in sources:
                continue
            is_sole = name not in self.links.names
            if known.is_proven and known.is_settled and is_sole and known.signature.is_fine:
                yield Remembered(name, known.signature, sources[name])

    def recall(
        self,
        name: str,
        signature: Signature,
        items: tuple[WorklistItem, ...],
        changes: list[Change],
    ) -> None:
        """Take a file of which nothing is known as it was remembered."""
        self.known[name] = Known(signature, True, True, None, None, len(items))
        self.links.note(name, signature, is_linked=False)
        changes.append(Upsert(name, items))

    def keep(self, name: str, new: Known, changes: list[Change], *, is_linked: bool) -> str | None:
        """Keep what is now known of a file; a fault is told once and ends its being served.

        Returns:
            The name that was held for its only one: the file may have been changed under that, of
            which nothing was told.
        """
        old = self.known.get(name)
        self.known[name] = new
        self.links.forget(name, old)
        other = self.links.note(name, new.signature, is_linked=is_linked)
        self.faults.pop(name, None)
        if new.fault is not None:
            self.faults[name] = new.fault
            self._report_fault(name, old, new)
            if old is not None and old.fault is None:
                changes.append(Remove(name))
        return other

    def drop(self, name: str, changes: list[Change], *, is_linked: bool) -> None:
        """Forget a file that is not there; it may be a symbolic link to what is not there yet."""
        known = self.known.pop(name, None)
        self.faults.pop(name, None)
        self.links.forget(name, known)
        if is_linked:
            self.links.names.add(name)
        if known is not None and known.fault is None:
            changes.append(Remove(name))

    def _report_fault(self, name: str, old: Known | None, new: Known) -> None:
        if old is None or (old.fault, old.digest) != (new.fault, new.digest):
            telemetry.emit("file_skipped", folder=self._folder, source=name, reason=new.fault)
