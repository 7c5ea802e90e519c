"""Conditions of requests on single items: entity tags, RFC 9110 sections 8.8.3 and 13.1."""

import re

from fastapi import Request

from mwl.store import ABSENT, ANYTHING, PRESENT, Expected
from mwl.web.errors import ApiError

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_LIST = re.compile(rf"\s*(?:{_TAG.pattern}\s*(?:,\s*|$))+")


def quoted(tag: str) -> str:
    """Write an entity tag as the header `ETag` has it."""
    return f'"{tag}"'


def expected_by(request: Request) -> Expected:
    """Read what a request that writes expects: `If-Match` and `If-None-Match`.

    Raises:
        ApiError: It cannot be read, or is a condition that is not offered.
    """
    match, none_match = _header(request, "if-match"), _header(request, "if-none-match")
    if none_match is not None:
        if none_match != "*" or match is not None:
            raise ApiError("BadRequest", "a request that writes takes If-Match or If-None-Match: *")
        return ABSENT
    if match is None:
        return ANYTHING
    return PRESENT if match == "*" else Expected(_tags(match, strong=True), may_be_absent=False)


def is_known(request: Request, tag: str) -> bool:
    """Tell whether the client has this content already: `If-None-Match` of a request that reads."""
    known = _header(request, "if-none-match")
    return known is not None and (known == "*" or tag in _tags(known, strong=False))


def _header(request: Request, name: str) -> str | None:
    found = request.headers.getlist(name)
    return ", ".join(found).strip() if found else None


def _tags(text: str, *, strong: bool) -> frozenset[str]:
    if not _LIST.fullmatch(text):
        raise ApiError("BadRequest", 'an entity tag stands in quotes: If-Match: "..."')
    # RFC 9110 section 13.1.1: a weak one never matches where a strong comparison is asked for.
    return frozenset(tag for weak, tag in _TAG.findall(text) if not (strong and weak))
