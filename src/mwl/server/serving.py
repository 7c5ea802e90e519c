"""What a configuration makes of the parts that talk: DICOM associations and certificates."""

from functools import partial

from mwl.config import Config
from mwl.dataset import TRANSFER_SYNTAXES
from mwl.net.certificates import Certificates
from mwl.net.connections import Capacity
from mwl.net.journal import Journal
from mwl.net.service import Service
from mwl.site import Worklists, access_policy, dicom_credentials, https_credentials
from mwl.tls.contexts import server_context
from mwl.wire import negotiation
from mwl.wire.association import Limits


def service_of(config: Config, worklists: Worklists) -> Service:
    """Give what every association shares."""
    return Service(
        access=access_policy(config),
        worklist=worklists.of,
        negotiation=negotiation.Policy(
            abstract_syntaxes={
                negotiation.VERIFICATION: TRANSFER_SYNTAXES,
                negotiation.MODALITY_WORKLIST_FIND: TRANSFER_SYNTAXES,
            },
            max_pdu_length=config.maximum_pdu_length,
        ),
        limits=association_limits(config),
        values_in_log=not config.deidentify_logs,
        journal=Journal(config.queries_history_size),
    )


def association_limits(config: Config) -> Limits:
    """Give how much and how long one association may take."""
    return Limits(
        max_pdu_length=config.maximum_pdu_length,
        artim_timeout_s=config.limits.artim_timeout_s,
        idle_timeout_s=config.dicom_scp_timeout_s,
        max_message_bytes=config.limits.identifier_length,
        max_command_bytes=config.limits.command_length,
        max_associate_bytes=config.limits.associate_length,
        slow_write_timeout_s=config.limits.slow_write_timeout_s,
        slow_read_timeout_s=config.limits.slow_read_timeout_s,
    )


def capacity_of(config: Config) -> Capacity:
    """Give how much all callers together, and each host, may take."""
    return Capacity(
        associations=config.limits.associations,
        associations_per_host=config.limits.associations_per_host,
        connections=config.limits.connections,
        connections_per_host=config.limits.connections_per_host,
        waiting_requests=config.limits.waiting_requests,
        handshake_timeout_s=config.limits.handshake_timeout_s,
    )


def dicom_certificates(config: Config) -> Certificates | None:
    """Give the certificates of DICOM over TLS; None without.

    Raises:
        ConfigError: A file cannot be used.
    """
    if not config.dicom_tls_enabled and not config.dicom_tls_port:
        return None
    credentials = dicom_credentials(config)
    return Certificates(partial(server_context, credentials), credentials.files)


def https_certificates(config: Config) -> Certificates | None:
    """Give the certificates of HTTPS; None without.

    Raises:
        ConfigError: A file cannot be used.
    """
    if not config.http_server_enabled or not config.ssl_enabled:
        return None
    credentials = https_credentials(config)
    return Certificates(partial(server_context, credentials), credentials.files)
