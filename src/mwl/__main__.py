"""`python -m mwl` is `mwl`."""

from mwl.cli import app

app()
