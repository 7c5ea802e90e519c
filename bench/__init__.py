"""Benchmark: mwl beside its peers on one machine, in one run, with one load generator.

`scripts/bench` runs it; `docs/performance.md` is what it writes. From the bottom up: `worklists`
makes the files, `native` builds the load generator and the floor server, `load` drives the one and
`systems` starts and stops the servers; `session` brings them together, `scenarios` is the table of
what is measured, and `report` and `plot` show it.
"""
