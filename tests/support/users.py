"""Another user, for tests that run as root: root may read and write everything."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

NOBODY = 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can look as another user")


@contextmanager
def nobody() -> Iterator[None]:
    """Be nobody while the block runs."""
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
