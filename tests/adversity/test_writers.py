"""A busy writer beside the store: no half file is ever served, no finished one is missed."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from mwl.store.directory import DirectoryStore
from mwl.store.folder import WatchMode
from support.folder import Served, parse

_ROUNDS = 300

# For each round: a file written in place in small pieces, and one written aside and renamed.
# After both it says so and waits for leave to go on.
_WRITER = """
import os, sys
folder, rounds = sys.argv[1], int(sys.argv[2])
for number in range(rounds):
    pieces = [b"<%d" % number, b" " * 3, b"x" * (number * 7 % 40), b">"]
    with open(folder + "/in_place.wl", "wb", buffering=0) as file:
        for piece in pieces:
            file.write(piece)
            print("piece", flush=True)
    with open(folder + "/aside", "wb") as file:
        file.write(b"".join(pieces))
    os.rename(folder + "/aside", folder + "/renamed.wl")
    print("finished", number, flush=True)
    sys.stdin.readline()
"""


def whole(number: int) -> bytes:
    return b"<%d   %s>" % (number, b"x" * (number * 7 % 40))


@pytest.mark.parametrize("mode", get_args(WatchMode))
def test_a_busy_writer_never_shows_half_a_file_and_is_seen_when_it_is_done(
    tmp_path: Path, mode: WatchMode
) -> None:
    versions = {whole(number) for number in range(_ROUNDS)}
    served = Served(DirectoryStore(tmp_path, parse, watch=mode))
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(tmp_path), str(_ROUNDS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdin
        assert writer.stdout
        for line in writer.stdout:
            # The writer goes on meanwhile, except after it has said that it is finished.
            assert versions.issuperset(served.look().values())
            event, _, number = line.partition(" ")
            if event == "finished":
                latest = whole(int(number))
                assert served.files == {"in_place.wl": latest, "renamed.wl": latest}
                print(file=writer.stdin, flush=True)
    served.store.close()
    assert served.files["in_place.wl"] == whole(_ROUNDS - 1)
