"""What a site chooses about matching: the dialect, person names, the default character set.

The two dialects are data: a difference between them is a field of `Dialect`, read where it
matters, and a row of the table in `docs/matching.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mwl.dataset import CharacterSet


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way to match and to answer.

    Args:
        name: As `Worklists.Compatibility` spells it.
        returns_missing_keys_empty: A requested attribute that the item lacks comes back with zero
            length (PS3.4 K.2.2.1.2); else it is left out.
        skips_missing_sequences: A sequence key is no condition for an item without that sequence;
            else such an item does not match it.
        splits_steps: Each scheduled procedure step is a worklist item of its own
            (PS3.4 K.6.1.2.1); else a file is one item.
        transcodes_answers: Every answer is written in the default character set, and characters
            that it lacks are dropped; else text is answered byte for byte.
    """

    name: str
    returns_missing_keys_empty: bool
    skips_missing_sequences: bool
    splits_steps: bool
    transcodes_answers: bool


STANDARD = Dialect(
    "standard",
    returns_missing_keys_empty=True,
    skips_missing_sequences=False,
    splits_steps=True,
    transcodes_answers=False,
)
ORTHANC = Dialect(
    "orthanc",
    returns_missing_keys_empty=False,
    skips_missing_sequences=True,
    splits_steps=False,
    transcodes_answers=True,
)

DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {dialect.name: dialect for dialect in (STANDARD, ORTHANC)}
)
"""Dialects by name."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How a site matches and answers.

    Args:
        dialect: One of `DIALECTS`.
        case_sensitive_person_names: Whether case and accents of person names count.
        default_character_set: Reads text of queries and items that name no character set.
    """

    dialect: Dialect
    case_sensitive_person_names: bool
    default_character_set: CharacterSet
