"""Which kind of file system a path is on."""

from pathlib import Path

import pytest

from mwl.store.mounts import file_system_type

MOUNTINFO = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 22 0:30 / /mnt/work\040lists rw shared:5 - nfs4 server:/export rw,vers=4.2
41 22 0:31 / /mnt/over rw - xfs /dev/vdb rw
42 22 0:32 / /mnt/over rw - cifs //server/share rw
43 22 0:33 / /mnt rw,nosuid master:3 propagate_from:2 - fuse.sshfs host: rw
broken line
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/srv/worklists", "ext4"),
        ("/mnt/work lists/today", "nfs4"),
        ("/mnt/work listsX", "fuse.sshfs"),
        ("/mnt/over/x", "cifs"),
    ],
)
def test_the_file_system_is_that_of_the_longest_and_last_mount_point(
    tmp_path: Path, folder: str, kind: str
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTINFO, encoding="ascii")
    assert file_system_type(Path(folder), mounts) == kind


def test_the_file_system_is_unknown_without_a_list_of_mounts(tmp_path: Path) -> None:
    assert file_system_type(tmp_path, tmp_path / "missing") == ""
