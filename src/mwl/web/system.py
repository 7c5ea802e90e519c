"""Who this server is, and what a server without images says where Orthanc counts them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from mwl import __version__
from mwl.web.context import Context
from mwl.web.errors import ApiError
from mwl.web.routing import (
    ANY_OBJECT,
    STRING,
    STRINGS,
    Endpoint,
    Route,
    Schema,
    json_answer,
    router_of,
)

API_VERSION = 16
"""Version of Orthanc's REST API that is spoken: that of Orthanc 1.10."""

WORKLISTS: Mapping[str, object] = MappingProxyType(
    {
        "Description": "Serves DICOM modality worklists from a folder.",
        "ExtendsOrthancExplorer": False,
        "ID": "worklists",
        "Version": __version__,
    }
)
"""The plugin that scripts look for before they use its routes."""

NO_IMAGES: Mapping[str, tuple[object, str]] = MappingProxyType(
    {
        "/statistics": (
            {
                "CountInstances": 0,
                "CountPatients": 0,
                "CountSeries": 0,
                "CountStudies": 0,
                "TotalDiskSize": "0",
                "TotalDiskSizeMB": 0,
                "TotalUncompressedSize": "0",
                "TotalUncompressedSizeMB": 0,
            },
            "Count the images: there are none here.",
        ),
        "/changes": ({"Changes": [], "Done": True, "Last": 0}, "List the changes of images: none."),
        "/exports": ({"Done": True, "Exports": [], "Last": 0}, "List what was exported: nothing."),
        "/jobs": ([], "List the jobs: none."),
        "/peers": ([], "List the other servers of Orthanc's kind: none."),
        "/patients": ([], "List the patients of images: none. Those of worklists are elsewhere."),
        "/studies": ([], "List the studies of images: none."),
        "/series": ([], "List the series of images: none."),
        "/instances": ([], "List the images: none."),
    }
)
"""What Orthanc without an image says, each with its description."""

_SYSTEM: Schema = {
    "type": "object",
    "required": [
        *("ApiVersion", "DicomAet", "DicomPort", "HttpPort", "IsHttpServerSecure", "Name"),
        *("PluginsEnabled", "Product", "Version"),
    ],
    "properties": {
        "ApiVersion": {"type": "integer", "description": "That of Orthanc's REST API."},
        "DicomAet": STRING,
        "DicomPort": {"type": "integer"},
        "HttpPort": {"type": "integer"},
        "IsHttpServerSecure": {
            "type": "boolean",
            "description": "False when other machines may ask without a password.",
        },
        "Name": STRING,
        "PluginsEnabled": {"type": "boolean"},
        "Product": {"const": "mwl"},
        "Version": {"type": "string", "description": "That of mwl."},
    },
}
_PLUGIN: Schema = {
    "type": "object",
    "required": ["Description", "ExtendsOrthancExplorer", "ID", "Version"],
    "properties": {"Description": STRING, "ID": STRING, "Version": STRING},
}


class _System:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def home(self) -> Response:
        """Go to the description of the routes."""
        return RedirectResponse("docs", 301)

    async def system(self) -> Response:
        """Tell who this server is."""
        identity = self._context.identity
        return json_answer(
            {
                "ApiVersion": API_VERSION,
                "Capabilities": {
                    "HasExtendedChanges": False,
                    "HasExtendedFind": False,
                    "HasKeyValueStores": False,
                    "HasLabels": False,
                    "HasQueues": False,
                },
                "CheckRevisions": False,
                "DatabaseBackendPlugin": None,
                "DatabaseVersion": 0,
                "DicomAet": identity.ae_title,
                "DicomPort": identity.dicom_port,
                "HttpPort": identity.http_port,
                "IsHttpServerSecure": identity.is_secure,
                "Name": identity.name,
                "PluginsEnabled": True,
                "Product": "mwl",
                "StorageAreaPlugin": None,
                "Version": __version__,
            }
        )

    async def plugins(self) -> Response:
        """List the plugins that this server stands for."""
        return json_answer([WORKLISTS["ID"]])

    async def plugin(self, plugin: str) -> Response:
        """Describe a plugin."""
        if plugin != WORKLISTS["ID"]:
            raise ApiError("InexistentItem", f"No plugin with identifier: {plugin}")
        return json_answer(dict(WORKLISTS))


def _constant(value: object, description: str) -> Endpoint:
    async def endpoint() -> Response:
        return json_answer(value)

    endpoint.__doc__ = description
    return endpoint


def _schema_of(value: object) -> dict[str, Any]:
    return {"type": "array", "maxItems": 0} if isinstance(value, list) else dict(ANY_OBJECT)


def router(context: Context) -> APIRouter:
    """Give the routes of this module."""
    system = _System(context)
    return router_of(
        "System",
        [
            Route(method="GET", path="/", endpoint=system.home, success=301),
            Route(method="GET", path="/system", endpoint=system.system, answer=_SYSTEM),
            Route(method="GET", path="/plugins", endpoint=system.plugins, answer=STRINGS),
            Route(
                method="GET",
                path="/plugins/{plugin}",
                endpoint=system.plugin,
                answer=_PLUGIN,
                failures={404: "There is no such plugin"},
            ),
            *(
                Route(
                    method="GET",
                    path=path,
                    endpoint=_constant(value, description),
                    answer=_schema_of(value),
                )
                for path, (value, description) in NO_IMAGES.items()
            ),
        ],
    )
