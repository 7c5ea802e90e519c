"""Hooks of mwl's own: functions marked by `mwl.hook`, in files and entry points.

A hook may be `async`; then it runs with others on a loop of their own, which is never that of the
server. Others run in a few threads.
"""

import inspect
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from traceback import StackSummary
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from mwl.callbacks.error_texts import Nonsense
from mwl.callbacks.journal import Journal
from mwl.callbacks.loading import let_import_from, run_file
from mwl.callbacks.runner import Interrupted, Limits, Worker
from mwl.callbacks.view import Dataset, Event, Origin
from mwl.dataset import CharacterSet, Elements
from mwl.errors import ConfigError
from mwl.item import WorklistItem
from mwl.matching import Query

if TYPE_CHECKING:
    from mwl.callbacks.coroutines import LoopWorker

ENTRY_POINTS = "mwl.hooks"
"""Group of entry points that `Hooks` names."""

KINDS = ("query", "candidates", "answer", "event")

THREADS = 4
"""Hooks that are not `async` and may run at once."""

WAITING_LIMIT = 2560
"""Calls that wait for a thread at most: an answer hook is called for ten answers of a query at
once, and a hospital has 256 devices."""

CANDIDATES_LIMIT = 100_000
"""Items that one hook may give for one query."""

WAITING_EVENTS_LIMIT = 1000
"""Events that wait for a hook; further ones are lost, and the log says so."""

_MARK = "__mwl_hooks__"

QueryHook = Callable[[Dataset, Origin], Dataset | Awaitable[Dataset | None] | None]
"""Gets a query, which is its own to change; gives a query, or None to leave it as it was."""

CandidatesHook = Callable[
    [Dataset, Origin],
    Iterable[Dataset | bytes]
    | Awaitable[Iterable[Dataset | bytes]]
    | AsyncIterable[Dataset | bytes],
]
"""Gets a query; gives items that may match, as data sets or as DICOM files."""

AnswerHook = Callable[[Dataset, Origin], Dataset | Awaitable[Dataset | None] | None]
"""Gets an answer, which is its own to change; gives an answer, or None to leave it as it was."""

EventHook = Callable[[Event], Awaitable[None] | None]
"""Gets what happened, after the fact."""

_Function = TypeVar("_Function", bound=Callable[..., Any])

Parse = Callable[[str, bytes], tuple[WorklistItem, ...]]
"""Makes the items of a file: `mwl.item.items_of` as the site has it."""


def mark(function: _Function, kind: str) -> _Function:
    """Mark a function as a hook of one of `KINDS`."""
    marks = getattr(function, _MARK, ())
    setattr(function, _MARK, (*marks, kind))
    return function


@dataclass(frozen=True, slots=True)
class Hook:
    """A hook, and where it stands.

    Args:
        function: What is called.
        name: Its name.
        script: File that it stands in.
    """

    function: Callable[..., Any]
    name: str
    script: str


class Candidate(NamedTuple):
    """An item that a hook gave.

    Args:
        item: The item.
        matches: Whether it matches the query.
    """

    item: WorklistItem
    matches: bool


Hooks = dict[str, tuple[Hook, ...]]
"""The hooks of each of `KINDS`, in order."""


def load(names: Iterable[Path | str]) -> Hooks:
    """Load the hooks of files and entry points.

    Raises:
        ConfigError: One cannot be loaded, or has no hook.
    """
    found: dict[str, list[Hook]] = {kind: [] for kind in KINDS}
    for name in names:
        marked = list(_marked(name))
        if not marked:
            raise ConfigError(
                f"{name} has no hook",
                option="Hooks",
                hint="write `from mwl import hook`, and `@hook.query` above a function",
            )
        for kind, hook in marked:
            found[kind].append(hook)
    return {kind: tuple(hooks) for kind, hooks in found.items()}


def _marked(name: Path | str) -> Iterator[tuple[str, Hook]]:
    if isinstance(name, Path):
        let_import_from(name.parent)
        holder: object = run_file(name, "Hooks")
    else:
        holder = _entry_point(name)
    objects: list[Any] = [holder]
    if isinstance(holder, ModuleType):
        objects = list(vars(holder).values())
    for each in objects:
        kinds = getattr(each, _MARK, ()) if inspect.isfunction(each) else ()
        for kind in kinds:
            script = inspect.unwrap(each).__code__.co_filename
            yield kind, Hook(each, each.__qualname__, script)


def _entry_point(name: str) -> object:
    from importlib.metadata import entry_points  # noqa: PLC0415 - for those who name one

    found = [*entry_points(group=ENTRY_POINTS, name=name)]
    if not found:
        known = ", ".join(sorted(entry_points(group=ENTRY_POINTS).names))
        raise ConfigError(
            f"no installed package has the entry point {name!r} in the group {ENTRY_POINTS}",
            option="Hooks",
            hint=f"there are: {known}" if known else "a file is named with its .py",
        )
    try:
        return found[0].load()
    except Exception as error:
        raise ConfigError(
            f"entry point {name!r} cannot be loaded: {type(error).__name__}: {error}",
            option="Hooks",
        ) from error


class NativeHooks:
    """The hooks of a site, at work.

    Args:
        hooks: What `load` gave.
        limits: Time limit.
        journal: Where failures go.
        parse: Makes the items of a worklist file.
        default: Character set of data sets that name none.
    """

    def __init__(
        self, hooks: Hooks, limits: Limits, journal: Journal, parse: Parse, default: CharacterSet
    ) -> None:
        self._hooks = hooks
        self._limits = limits
        self._journal = journal
        self._parse = parse
        self._default = default
        self._worker = Worker("hooks", limits, _nothing, threads=THREADS, waiting=WAITING_LIMIT)
        # With limits of their own: event hooks that hang shall not end the answering of queries.
        # One thread, so that events are told in their order.
        self._event_limits = Limits(limits.seconds, limits.report)
        self._events = Worker(
            "event hooks", self._event_limits, _nothing, waiting=WAITING_EVENTS_LIMIT
        )
        self._loops: dict[Limits, LoopWorker] = {}

    def of(self, kind: str) -> tuple[Hook, ...]:
        """Give the hooks of a kind, in order."""
        return self._hooks[kind]

    def rewrite(self, hook: Hook, elements: Elements, origin: Origin) -> Future[Elements]:
        """Let a hook change a query."""
        return self._changed(hook, elements, origin)

    def edit(self, hook: Hook, elements: Elements, origin: Origin) -> Future[Elements]:
        """Let a hook change an answer."""
        return self._changed(hook, elements, origin)

    def candidates(
        self, hook: Hook, query: Query, elements: Elements, origin: Origin
    ) -> Future[list[Candidate]]:
        """Let a hook give items, and match them where there is time for it: on its thread."""

        def items(given: Any) -> list[Candidate]:
            found: list[Candidate] = []
            for number, each in enumerate(given, 1):
                if number > CANDIDATES_LIMIT:
                    raise Nonsense(f"more than {CANDIDATES_LIMIT} items")
                parsed = self._parse(f"{hook.name} #{number}", _encoded(each))
                found += [Candidate(item, query.matches(item)) for item in parsed]
            return found

        return self._submit(hook, (Dataset(elements, self._default), origin), items)

    def tell(self, event: Event) -> None:
        """Tell the event hooks; nobody waits for them."""
        for hook in self._hooks["event"]:
            future = self._submit(hook, (event,), _ignored, for_events=True)
            future.add_done_callback(self._told)

    def close(self) -> None:
        """End the threads."""
        self._events.close()
        self._worker.close()
        for loop in self._loops.values():
            loop.close()

    def _told(self, future: Future[None]) -> None:
        """Say that an event was lost, where nobody was there to take it."""
        error = None if future.cancelled() else future.exception()
        if error is not None:
            self._journal.emit("callback_event_lost", reason=str(error))

    def _changed(self, hook: Hook, elements: Elements, origin: Origin) -> Future[Elements]:
        given = Dataset(elements, self._default)

        def changed(result: Any) -> Elements:
            if result is None:
                return elements
            if not isinstance(result, Dataset):
                raise TypeError(f"a hook gave {type(result).__name__}, expected is Dataset or None")
            return result.elements

        return self._submit(hook, (given, origin), changed)

    def _submit(
        self,
        hook: Hook,
        arguments: tuple[Any, ...],
        finish: Callable[[Any], Any],
        *,
        for_events: bool = False,
    ) -> Future[Any]:
        def late(stack: StackSummary) -> None:
            self._journal.late(hook.name, stack, hook.script, self._limits.seconds)

        if _is_async(hook.function):
            loop = self._loop(self._event_limits if for_events else self._limits)
            return loop.submit(lambda: self._run_async(hook, arguments, finish), late)

        def call(_: None) -> Any:
            try:
                return finish(hook.function(*arguments))
            except Interrupted:
                raise
            except BaseException as error:  # noqa: BLE001 - the edge: a hook may even call exit()
                raise self._journal.failed(hook.name, error, hook.script) from None

        return (self._events if for_events else self._worker).submit(call, late)

    def _loop(self, limits: Limits) -> "LoopWorker":
        if limits not in self._loops:
            from mwl.callbacks.coroutines import LoopWorker  # noqa: PLC0415 - it imports asyncio

            self._loops[limits] = LoopWorker(limits)
        return self._loops[limits]

    async def _run_async(
        self, hook: Hook, arguments: tuple[Any, ...], finish: Callable[[Any], Any]
    ) -> Any:
        try:
            return finish(await _result_of(hook, arguments))
        except Exception as error:  # noqa: BLE001 - the edge: whatever a hook raises
            raise self._journal.failed(hook.name, error, hook.script) from None


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


async def _result_of(hook: Hook, arguments: tuple[Any, ...]) -> Any:
    if inspect.isasyncgenfunction(hook.function):
        return [each async for each in hook.function(*arguments)]
    return await hook.function(*arguments)


def _encoded(given: object) -> bytes:
    match given:
        case Dataset():
            return given.encode()
        case bytes():
            return given
        case _:
            raise TypeError(f"a hook gave {type(given).__name__}, expected is Dataset or bytes")


def _ignored(_: object) -> None:
    pass


def _nothing() -> None:
    pass
