"""What is known of the files of a folder: how each was last read, and which may have other names.

When that is found out, and what follows from it, is the business of `mwl.store.directory`.
"""

from dataclasses import dataclass, field

from mwl.store.filesystem import Signature

LOCAL_GRANULARITY_NS = 20_000_000
"""Time stamps of the trusted file systems come from the kernel's tick, at most 10 ms old."""

COARSE_GRANULARITY_NS = 2_000_000_000
"""The coarsest time stamps in use (FAT), taken for every file that no lease could be had for, and
where stamps are whole seconds (ext3, small inodes of ext4)."""


@dataclass(slots=True)
class Known:
    """A file as it was last read.

    Attributes:
        signature: None when it could not even be looked at.
        is_settled: Any later change will change the signature.
        is_proven: It was read while nobody was writing it.
        digest: Of its bytes; None when they were not read.
        fault: Why it is not served; None when it is.
        count: Number of items.
    """

    signature: Signature | None
    is_settled: bool
    is_proven: bool
    digest: bytes | None
    fault: str | None = None
    count: int = 0


def known_at(now_ns: int, signature: Signature | None, *, is_proven: bool) -> Known:
    """Begin to describe a file whose signature was taken after `now_ns`."""
    if signature is None:
        # No time stamp that could fail to change.
        return Known(None, is_settled=True, is_proven=False, digest=None)
    is_fine = is_proven and signature.is_fine
    granularity_ns = LOCAL_GRANULARITY_NS if is_fine else COARSE_GRANULARITY_NS
    age_ns = now_ns - signature.newest_ns
    return Known(signature, age_ns >= granularity_ns, is_proven, digest=None)


@dataclass(slots=True)
class Links:
    """Names whose content can change under another name, that is without an event in the folder.

    The kernel tells nothing when a file gets a second name, so the only name of each inode is
    kept until a second turns up.
    """

    names: set[str] = field(default_factory=set)
    _sole_names: dict[int, str] = field(default_factory=dict)

    def note(self, name: str, signature: Signature | None, *, is_linked: bool) -> str | None:
        """Note a name; give the other name of its file that was held for the only one."""
        if is_linked:
            self.names.add(name)
        if signature is None:
            return None
        if not is_linked:
            self._sole_names[signature.inode] = name
            return None
        other = self._sole_names.pop(signature.inode, name)
        self.names.add(other)
        return None if other == name else other

    def forget(self, name: str, known: Known | None) -> None:
        """Forget a name, of which that was known."""
        self.names.discard(name)
        if known and known.signature and self._sole_names.get(known.signature.inode) == name:
            del self._sole_names[known.signature.inode]
