"""Orthanc's tools: small helpers that scripts use."""

from fastapi import APIRouter

from mwl.web.context import Context


def router(context: Context) -> APIRouter:
    """Give the routes of this module."""
    del context
    return APIRouter()
