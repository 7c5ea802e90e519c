"""Who hears of an event beside the log, whether it is written or not."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Listener = Callable[[str, Mapping[str, Any]], None]
"""Is given an event and its fields; must not raise, nor take long, nor change them."""

LISTENERS: dict[str, tuple[Listener, ...]] = {}
"""Of each event that is heard, by whom."""


def hear(events: Iterable[str], listener: Listener) -> Callable[[], None]:
    """Tell a listener of some events too, whether they are written or not.

    Returns:
        What ends it.
    """
    names = tuple(events)
    for name in names:
        LISTENERS[name] = (*LISTENERS.get(name, ()), listener)

    def end() -> None:
        for name in names:
            others = tuple(one for one in LISTENERS.get(name, ()) if one is not listener)
            LISTENERS[name] = others
            if not others:
                del LISTENERS[name]

    return end
