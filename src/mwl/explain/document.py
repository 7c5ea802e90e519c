"""An explanation for programs: what `json.dumps` takes."""

import dataclasses
from typing import Any

from mwl.dataset import to_json
from mwl.explain import Miss, Report


def document(report: Report, misses: int) -> dict[str, Any]:
    """Give a report as what `json.dumps` takes, with so many of the misses."""
    outcome = report.outcome
    return {
        "caller": {
            **dataclasses.asdict(report.caller),
            "certificate_names": sorted(report.caller.certificate_names),
        },
        "assumed": list(report.assumed),
        "refused": report.refused._asdict() if report.refused else None,
        "status": f"{outcome.status:04X}" if outcome else None,
        "comment": outcome.comment if outcome else "",
        "offending": [f"{tag:08X}" for tag in outcome.offending] if outcome else [],
        "detail": outcome.detail if outcome else "",
        "items": report.items,
        "matches": len(report.matches),
        "answers": [
            {
                "source": item.source,
                "step": item.step + 1,
                "identifier": to_json(*report.answer(item)),
            }
            for item in report.matches[: outcome.answers if outcome else 0]
        ],
        "changes": [change._asdict() for change in report.changes],
        "keys": [
            {
                "key": key.name,
                "label": key.label,
                "asks": key.words,
                "values": key.asked,
                "excluded": key.excluded,
            }
            for key in report.keys
        ],
        "returned": list(report.returned),
        "misses": [_miss_document(miss, report) for miss in report.misses[:misses]],
        "missed": len(report.misses),
        "unreadable": dict(report.unreadable),
        "hints": [hint._asdict() for hint in report.hints],
    }


def _miss_document(miss: Miss, report: Report) -> dict[str, Any]:
    words = {key.criterion: key.words for key in report.keys}
    return {
        "source": miss.item.source,
        "step": miss.item.step + 1,
        "excluded_by": [
            {"key": criterion.name, "asks": words.get(criterion, ""), "stored": stored}
            for criterion, stored in miss.stored()
        ],
    }
