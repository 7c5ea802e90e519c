"""Who this server is, and what it can do."""

from fastapi import APIRouter

from mwl.web.context import Context


def router(context: Context) -> APIRouter:
    """Give the routes of this module."""
    del context
    return APIRouter()
