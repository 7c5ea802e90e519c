"""What is fuzzed: one row a harness, with what it starts from.

A harness takes any bytes and returns, or has found a fault. It holds what the tests in
`tests/property` hold.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from fuzz import files, queries, wire


class Target(NamedTuple):
    """A harness.

    Args:
        run: Takes an input; returns when nothing is wrong with what becomes of it.
        seeds: Gives inputs to start from.
        longest: Longest input tried, in bytes.
    """

    run: Callable[[bytes], None]
    seeds: Callable[[], Iterator[bytes]]
    longest: int = 4096


TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "pdu": Target(wire.pdu, wire.pdu_seeds),
        "association": Target(wire.association, wire.association_seeds),
        "command": Target(wire.command, wire.command_seeds, 512),
        "data_set_reader": Target(files.data_set_reader, files.sample_files, 8192),
        "matcher": Target(queries.matcher, queries.identifiers, 2048),
        "text_reader": Target(files.text_reader, files.texts, 8192),
        "dicom_json": Target(files.dicom_json, files.models, 8192),
        "configuration": Target(files.configuration, files.configurations, 8192),
    }
)
"""All harnesses, by the name that `scripts/fuzz --target` takes."""
