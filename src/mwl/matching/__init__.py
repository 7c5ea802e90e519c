"""Matching: a request identifier becomes a query that picks items and answers from them.

`compile` makes a `Query` of a decoded identifier. Which items it is tried on is decided in
`mwl.index`; the C-FIND round it is in `mwl.find`. `docs/matching.md` states the rules.

    values      text of one VR to the form that is compared
    keys        the value of a key to a predicate      predicates  conditions on stored values
    compiling   an identifier to a query               criteria    the tree of conditions
    stored      stored values in the form that is compared
    answers     what is returned of an item            query       the compiled query
    policy      dialects and what a site chooses

Source: DICOM PS3.4 C.2.2.2 and Annex K.
"""

from mwl.matching.compiling import compile  # noqa: A004 - read as `matching.compile`
from mwl.matching.criteria import Criterion
from mwl.matching.doubts import doubts
from mwl.matching.policy import DIALECTS, Dialect, Policy
from mwl.matching.query import Answer, Explanation, Query

__all__ = [
    "DIALECTS",
    "Answer",
    "Criterion",
    "Dialect",
    "Explanation",
    "Policy",
    "Query",
    "compile",
    "doubts",
]
