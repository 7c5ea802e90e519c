"""What a server listens on: the sockets that its configuration asks for, all or none."""

import resource
import socket
from dataclasses import replace
from typing import NamedTuple

from mwl import telemetry
from mwl.config import Config
from mwl.errors import ConfigError
from mwl.net.connections import Capacity
from mwl.net.listening import Named, listen, listen_on_loopback

OTHER_FILES = 2096
"""Descriptors to have room for beside connections of DICOM: those of HTTP, folders and files."""

KEPT_FILES = 256
"""Descriptors that connections of DICOM never take, however few there are, but half of them at
most: a query that cannot open a file fails."""

_DICOM = Named("DicomHost", "DicomPort", "--port")
_DICOM_TLS = Named("DicomHost", "DicomTlsPort", "DicomTlsPort")
_HTTP = Named("HttpBindAddresses", "HttpPort", "--http-port")


def within_file_limit(capacity: Capacity) -> Capacity:
    """Ask for as many descriptors as are needed, where we may, and take no more than there are."""
    needed = capacity.connections + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    room = soft - min(KEPT_FILES, soft // 2)
    if soft == resource.RLIM_INFINITY or room >= capacity.connections:
        return capacity
    telemetry.emit("few_descriptors", descriptors=soft, connections=room)
    return replace(capacity, connections=room)


class DicomSockets(NamedTuple):
    """What listens for DICOM: without encryption, with it, or one of each."""

    plain: socket.socket | None
    tls: socket.socket | None


def listen_as(config: Config) -> tuple[DicomSockets, list[socket.socket]]:
    """Give the listening sockets of DICOM and of HTTP: all, or none."""
    opened: list[socket.socket] = []
    try:
        main = listen(config.dicom_host, config.dicom_port, _DICOM)
        opened.append(main)
        if config.dicom_tls_enabled:
            dicom = DicomSockets(None, main)
        elif config.dicom_tls_port:
            second = listen(config.dicom_host, config.dicom_tls_port, _DICOM_TLS)
            opened.append(second)
            dicom = DicomSockets(main, second)
        else:
            dicom = DicomSockets(main, None)
        return dicom, _listen_http(config)
    except ConfigError:
        for sock in opened:
            sock.close()
        raise


def _listen_http(config: Config) -> list[socket.socket]:
    """Give the listening sockets of HTTP; none when it is off, or does without a taken port."""
    if not config.http_server_enabled:
        return []
    port = config.http_port
    try:
        if config.http_bind_addresses:
            return [listen(address, port, _HTTP) for address in config.http_bind_addresses]
        if config.remote_access_allowed:
            return [listen("", port, _HTTP)]
        return listen_on_loopback(port, _HTTP)
    except ConfigError as error:
        if not config.http_may_fail:
            raise
        telemetry.emit("http_unavailable", port=port, reason=error.message, hint=error.hint)
        return []
