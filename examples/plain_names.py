"""Edits the answers to a scanner that cannot show letters with accents.

    "Hooks": ["plain_names.py"]

It stores images under the name that it shows, so the letters are written in a way that people can
still read: Jörg becomes Joerg.
"""

import unicodedata

from mwl import hook

SCANNERS = {"CT_OLD"}
TEXTS = ("PatientName", "RequestedProcedureDescription", "ReferringPhysicianName")
WRITTEN_OUT = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss", "ø": "oe"}
)


@hook.answer
def plain(answer: hook.Dataset, origin: hook.Origin) -> hook.Dataset | None:
    """Write texts in plain letters."""
    if origin.calling_ae_title not in SCANNERS:
        return None
    for key in TEXTS:
        if key in answer:
            written = unicodedata.normalize("NFKD", answer[key].translate(WRITTEN_OUT))
            answer[key] = written.encode("ascii", "ignore").decode("ascii")
    return answer
