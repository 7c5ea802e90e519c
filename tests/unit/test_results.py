"""Answers are kept for the item that they are of, whatever happens to its neighbours."""

from mwl.results import Result, Variant
from support.items import item, query, step

VARIANT = Variant("1.2.840.10008.1.2", context_id=1, max_length=0)


def test_the_answer_of_an_item_that_is_gone_is_not_kept_for_its_neighbour() -> None:
    first, second = (
        item(step(ScheduledProcedureStepStartDate=day), f"{day}.wl")
        for day in ("20261123", "20261124")
    )
    result = Result(query({}), version=1, looked_at=2, matches=[first, second])
    result.kept(VARIANT)
    result.apply([((first,), ())], version=2)
    result.keep(VARIANT, first, b"answer of the first", 1000)
    assert result.framed[VARIANT] == [b""]
    assert result.framed_bytes == 0
    result.keep(VARIANT, second, b"answer of the second", 1000)
    assert result.framed[VARIANT] == [b"answer of the second"]
