"""Hypothesis strategies for identifiers and worklists, from small pools so that they often meet."""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from mwl.dataset import CharacterSet
from support.items import elements

Values = Mapping[str, Any]

CHARACTER_SETS = (
    "ISO_IR 100",
    "ISO_IR 144",
    "\\ISO 2022 IR 87",
    "\\ISO 2022 IR 149",
    "GB18030",
    "GBK",
    "ISO_IR 192",
)

NAMES = (
    "DOE^JANE",
    "Doe^Jane^^^",
    " doe ^ jane ",
    "DOE",
    "Müller^Jörg",
    "MULLER^JORG",
    "Mu\u0308ller^Jo\u0308rg",
    "ROE^RICHARD\\DOE^JANE",
    "Yamada^Tarou=山田^太郎=やまた^たろう",
    "=山田^太郎",
    "やまだ^たろう",
    "Иванов^Пётр",
    "김^철수",
    "",
)
NAME_KEYS = (
    "DOE*",
    "*",
    "**",
    "doe^jane",
    "DOE^*",
    "?oe^*",
    "=山田*",
    "*=山*",
    "*=",
    "m?ller*",
    "*^j?rg",
    "иванов^петр",
    "^^",
    "ROE^",
    "DOE^JANE\\ROE",
    "ROE\\*",
    "*=*",
    "DOE ^ J*",
    "J*\\R*",
    "=Y*",
    *NAMES,
)
TEXTS = ("A1", "a1", " A1 ", "A10", "A1\\B2", "Äpfel", "A\u0308pfel", "A 1", "")
TEXT_KEYS = (
    "A*",
    "?1",
    "*1*",
    "*",
    " A1",
    "B2\\A1",
    "A?\\ZZ",
    "*\\Q",
    "Ä*",
    "Z",
    "\\",
    "A1\\",
    *TEXTS,
)
LONG_TEXTS = (" A note", "A note ", "A\\note", "A note", "")
LONG_TEXT_KEYS = (" A*", "A*", "*note", "A\\*", *LONG_TEXTS)
CODES = ("CT", "MR", " CT", "CT\\MR", "")
CODE_KEYS = ("C*", "?R", "*", "ct", "CT\\US", *CODES)
DATES = ("20250110", "20250111", "20250112", "2025.01.11", "202501", "2025", "20241231", "")
DATE_KEYS = (
    "20250110-20250111",
    "20250111-",
    "-20250111",
    "20250112-20250110",
    "2025.01.10-20250111",
    "20250110 - 20250110",
    "202412-202501",
    "2025-",
    "*",
    "20250110\\20250112",
    "20250101-20250110\\20250112",
    "20250111\\*",
    *DATES,
)
TIMES = ("085607", "0856", "12", "1200", "10:30:00", "123000.5", "123000.123456", "")
TIME_KEYS = (
    "0800-0856",
    "0900-",
    "-0900",
    "0900-0600",
    "12:00-13",
    "120000",
    "123000",
    "*",
    "0856\\12",
    "08-09\\1030",
    "123000.12",
    *TIMES,
)
MOMENTS = (
    "20250110085607",
    "20250110085607+0100",
    "20250110095607+0200",
    "20250110025607-0500",
    "20250111000000",
    "",
)
MOMENT_KEYS = (
    "20250110000000-20250111000000",
    "20250110000000-0500-20250111000000-0500",
    "20250110000000+0100-20250110080000",
    "20250110085607-",
    "-20250110085607-0100",
    "20250112000000-20250110000000",
    "20250110085607\\20250111000000",
    "*",
    *MOMENTS,
)
UIDS = ("1.2.3", "1.2.34", "1.2", "")
UID_KEYS = ("1.2.3\\1.2.34", "*", "1.2.3\\", *UIDS)
NUMBERS = ("70", "70.0", "7E1", " 70 ", "+70", "71", "71\\70", "seventy", "")
NUMBER_KEYS = ("*", "70.00", "7*", *NUMBERS)
BINARY = ("4", "1\\4", "2", "")

Pool = tuple[tuple[str, ...], tuple[str, ...]]

ROOT: Mapping[str, Pool] = {
    "AccessionNumber": (TEXT_KEYS, TEXTS),
    "PatientName": (NAME_KEYS, NAMES),
    "PatientID": (TEXT_KEYS, TEXTS),
    "PatientBirthDate": (DATE_KEYS, DATES),
    "PatientWeight": (NUMBER_KEYS, NUMBERS),
    "PregnancyStatus": (BINARY, BINARY),
    "AdditionalPatientHistory": (LONG_TEXT_KEYS, LONG_TEXTS),
    "StudyInstanceUID": (UID_KEYS, UIDS),
}
STEP: Mapping[str, Pool] = {
    "Modality": (CODE_KEYS, CODES),
    "ScheduledStationAETitle": (CODE_KEYS, CODES),
    "ScheduledProcedureStepStartDate": (DATE_KEYS, DATES),
    "ScheduledProcedureStepStartTime": (TIME_KEYS, TIMES),
    "ScheduledPerformingPhysicianName": (NAME_KEYS, NAMES),
    "ScheduledProcedureStepStartDateTime": (MOMENT_KEYS, MOMENTS),
}
CODE: Mapping[str, Pool] = {"CodeValue": (TEXT_KEYS, TEXTS), "CodeMeaning": (TEXT_KEYS, TEXTS)}


def _asked(pools: Mapping[str, Pool], most: int) -> st.SearchStrategy[dict[str, Any]]:
    """Few keys with a value, so that an item has a chance, and some without."""
    return st.lists(st.sampled_from(sorted(pools)), max_size=most, unique=True).flatmap(
        lambda keys: st.fixed_dictionaries(
            {key: st.sampled_from(pools[key][0]) for key in keys},
            optional={key: st.just("") for key in pools if key not in keys},
        )
    )


def _stored(pools: Mapping[str, Pool]) -> st.SearchStrategy[dict[str, Any]]:
    """Most attributes, one or two left out."""
    return st.sets(st.sampled_from(sorted(pools)), max_size=2).flatmap(
        lambda missing: st.fixed_dictionaries(
            {key: st.sampled_from(pool[1]) for key, pool in pools.items() if key not in missing}
        )
    )


def _nested(
    outer: st.SearchStrategy[dict[str, Any]],
    sequence: str,
    inner: st.SearchStrategy[dict[str, Any]],
    most: int,
) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(outer, st.none() | st.lists(inner, max_size=most)).map(
        lambda pair: pair[0] if pair[1] is None else {**pair[0], sequence: pair[1]}
    )


def identifiers() -> st.SearchStrategy[Values]:
    """Legal request identifiers."""
    steps = _nested(_asked(STEP, 3), "ScheduledProtocolCodeSequence", _asked(CODE, 1), 1)
    whole = _nested(_asked(ROOT, 1), "ScheduledProcedureStepSequence", steps, 1)
    return st.builds(_in_a_set, whole, st.sampled_from(CHARACTER_SETS))


def worklists() -> st.SearchStrategy[Values]:
    """Worklist items with any number of steps, also none."""
    steps = _nested(_stored(STEP), "ScheduledProtocolCodeSequence", _stored(CODE), 2)
    whole = _nested(_stored(ROOT), "ScheduledProcedureStepSequence", steps, 3)
    return st.builds(_in_a_set, whole, st.sampled_from(CHARACTER_SETS))


def _in_a_set(values: dict[str, Any], terms: str) -> Values:
    """Name a character set that has all the letters: the one proposed if it does."""
    for proposed in (terms, "ISO_IR 192"):
        named = {"SpecificCharacterSet": proposed, **values}
        try:
            elements(named, CharacterSet.of(("ISO_IR 192",)))
        except UnicodeEncodeError:
            continue
        return named
    raise AssertionError("Unicode has all letters")
