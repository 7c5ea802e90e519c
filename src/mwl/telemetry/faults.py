"""How an exception that nobody foresaw is told: with its text, or without (`DeidentifyLogs`)."""

import traceback

WITHOUT_TEXT = "its text is hidden: DeidentifyLogs"
"""Stands for what an exception says."""

_HIDES_TEXTS: list[bool] = [False]
"""Whether what an exception says is left out."""


def hide_texts(*, hides: bool) -> None:
    """Choose whether exceptions are told without what they say."""
    _HIDES_TEXTS[:] = [hides]


def error_text(error: BaseException) -> str:
    """Give an exception that nobody foresaw as the log may have it: its type, perhaps its text."""
    if _HIDES_TEXTS[0]:
        return f"{type(error).__name__} ({WITHOUT_TEXT})"
    return f"{type(error).__name__}: {error}"


def traceback_of(error: BaseException) -> str:
    """Give where an exception and those behind it were raised, each with its text or without."""
    if not _HIDES_TEXTS[0]:
        return "".join(traceback.format_exception(error))
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "\n".join(
        "".join([*traceback.format_tb(each.__traceback__), type(each).__name__, "\n"])
        for each in reversed(chain)
    )
