"""The known modalities, and asking them."""

from fastapi import APIRouter

from mwl.web.context import Context


def router(context: Context) -> APIRouter:
    """Give the routes of this module."""
    del context
    return APIRouter()
