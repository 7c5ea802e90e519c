"""What a configuration makes of the parts that talk: DICOM associations and certificates."""

from functools import partial

from mwl.config import Config
from mwl.dataset import TRANSFER_SYNTAXES
from mwl.find import IDENTIFIER_LIMIT_BYTES
from mwl.net.certificates import Certificates
from mwl.net.dicom import Service
from mwl.net.journal import Journal
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
        limits=Limits(
            max_pdu_length=config.maximum_pdu_length,
            idle_timeout_s=config.dicom_scp_timeout_s,
            max_message_bytes=IDENTIFIER_LIMIT_BYTES,
        ),
        values_in_log=not config.deidentify_logs,
        journal=Journal(config.queries_history_size),
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
