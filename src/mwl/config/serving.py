"""Whether a configuration that can be read can be served: what is switched off, what is missing."""

import socket
import stat
from pathlib import Path

from mwl.config.load import Loaded, Note, together
from mwl.config.values import Modality
from mwl.errors import ConfigError
from mwl.paths import problem_of_file

_MISSING = "does not exist"


def refusals(loaded: Loaded) -> list[ConfigError]:
    """Give every reason for which `mwl serve` refuses a configuration that can be read."""
    config = loaded.config
    errors = []
    if not config.dicom_server_enabled:
        hint = 'write "DicomServerEnabled": true'
        errors.append(_refusal(loaded, "DicomServerEnabled", hint))
    if not config.worklists.enable:
        errors.append(_refusal(loaded, "Worklists.Enable", _how_to_enable(loaded)))
    errors += _unusable_tls(loaded)
    errors += _nobody_to_be(loaded)
    errors += _unusable_audit(loaded)
    if config.http_server_enabled and config.remote_access_allowed:
        errors += _insecure_remote(loaded)
    return errors


def _unusable_tls(loaded: Loaded) -> list[ConfigError]:
    """Give what is missing for DICOM over TLS."""
    config = loaded.config
    if not config.dicom_tls_enabled and not config.dicom_tls_port:
        return []
    errors = []
    if config.dicom_tls_certificate is None:
        message = "there is no certificate for DICOM over TLS"
        hint = 'write "DicomTlsCertificate": "/path/of/certificate.pem"'
        errors.append(_at(loaded, "DicomTlsCertificate", message, hint))
    if config.dicom_tls_remote_certificate_required and (
        config.dicom_tls_trusted_certificates is None
    ):
        message = "callers must show a certificate, and none vouches for theirs"
        hint = 'write "DicomTlsTrustedCertificates": "/path/of/trusted.pem", or '
        hint += '"DicomTlsRemoteCertificateRequired": false'
        errors.append(_at(loaded, "DicomTlsTrustedCertificates", message, hint))
    if config.dicom_tls_minimum_protocol_version and not config.dicom_tls_ciphers_accepted:
        message = "is needed with a DicomTlsMinimumProtocolVersion other than 0"
        hint = "leave both out for the profile of BCP 195"
        errors.append(_at(loaded, "DicomTlsCiphersAccepted", message, hint))
    if config.dicom_tls_enabled and config.dicom_tls_port:
        message = "DicomTlsEnabled is true, so DicomPort speaks TLS already"
        hint = 'write "DicomTlsEnabled": false to let callers without TLS in, too'
        errors.append(_at(loaded, "DicomTlsPort", message, hint))
    return errors


def _nobody_to_be(loaded: Loaded) -> list[ConfigError]:
    """Refuse to ask devices for users when there are none: each that offers one is locked out."""
    config = loaded.config
    if config.dicom_user_identity == "ignored" or config.registered_users:
        return []
    message = f"user identities are {config.dicom_user_identity}, and nobody is registered"
    hint = 'write "RegisteredUsers": {"name": "a long password"}'
    return [_at(loaded, "DicomUserIdentity", message, hint)]


def _unusable_audit(loaded: Loaded) -> list[ConfigError]:
    """Give what is missing for audit messages over TLS."""
    audit = loaded.config.audit
    if audit.destination is None or audit.destination.scheme != "tls":
        return []
    if audit.trusted_certificates is None:
        message = "audit messages go over TLS, and nothing vouches for their receiver"
        hint = 'write "TrustedCertificates": "/path/of/trusted.pem" into Audit'
        return [_at(loaded, "Audit.TrustedCertificates", message, hint)]
    return []


def _insecure_remote(loaded: Loaded) -> list[ConfigError]:
    """Give what makes it unsafe to let other machines use HTTP."""
    config = loaded.config
    if config.http_authentication and not config.registered_users:
        message = "other machines may use HTTP (RemoteAccessAllowed), and nobody is registered"
        hint = 'write "RegisteredUsers": {"name": "a long password"}'
        return [_at(loaded, "RegisteredUsers", message, hint)]
    if config.http_insecure_remote:
        return []
    if not config.http_authentication:
        message = "other machines may use HTTP (RemoteAccessAllowed) without a password"
        hint = f'write "AuthenticationEnabled": true; {_AT_OWN_RISK}'
        return [_at(loaded, "AuthenticationEnabled", message, hint)]
    if not config.ssl_enabled:
        message = "the passwords of other machines (RemoteAccessAllowed) can be read on the way"
        hint = f'write "SslEnabled": true and "SslCertificate"; {_AT_OWN_RISK}'
        return [_at(loaded, "SslEnabled", message, hint)]
    return []


_AT_OWN_RISK = (
    'behind a proxy that encrypts, or in a network that you trust, "HttpInsecureRemote": true'
)


def require_worklist(loaded: Loaded) -> None:
    """Refuse a configuration that serves no worklist, for a command that is to serve one.

    Raises:
        ConfigError: The first of the `refusals`; the others are its notes (`add_note`).
    """
    if errors := refusals(loaded):
        raise together(errors)


def missing_here(loaded: Loaded) -> list[Note]:
    """Warn of what a configuration names and this machine does not have.

    They are no errors: `mwl serve` starts without the folder and serves it when it comes, and a
    file may be checked on another machine than the one that it is for.
    """
    config = loaded.config
    notes = []
    if problem := _problem_of_folder(config.worklists.database):
        hint = "every query fails until it does" if problem == _MISSING else None
        message = f"{config.worklists.database.absolute()} {problem}"
        notes.append(_warning(loaded, "Worklists.Database", message, hint))
    notes += _missing_scripts(loaded)
    if config.dicom_host and not _can_be_resolved(config.dicom_host):
        message = "is neither an address nor a name that this machine can resolve"
        notes.append(_warning(loaded, "DicomHost", message, "empty listens on all addresses"))
    notes += _missing_certificates(loaded)
    notes += _bound_in_vain(loaded)
    notes += _old_tls(loaded)
    notes += _readable_passcodes(loaded)
    return notes


def _missing_certificates(loaded: Loaded) -> list[Note]:
    config = loaded.config
    files: list[tuple[str, Path | None]] = []
    if config.http_server_enabled and config.ssl_enabled:
        files.append(("SslCertificate", config.ssl_certificate))
    if config.dicom_tls_enabled or config.dicom_tls_port:
        files += [
            ("DicomTlsCertificate", config.dicom_tls_certificate),
            ("DicomTlsPrivateKey", config.dicom_tls_private_key),
            ("DicomTlsTrustedCertificates", config.dicom_tls_trusted_certificates),
        ]
    audit = config.audit
    if audit.destination is not None and audit.destination.scheme == "tls":
        files += [
            ("Audit.TrustedCertificates", audit.trusted_certificates),
            ("Audit.Certificate", audit.certificate),
            ("Audit.PrivateKey", audit.private_key),
        ]
    return [
        _warning(loaded, option, f"{path.absolute()} {problem}", "the server does not start")
        for option, path in files
        if path is not None and (problem := problem_of_file(path))
    ]


def _bound_in_vain(loaded: Loaded) -> list[Note]:
    """Warn of modalities that must show a certificate where none can be shown, or beside others."""
    config = loaded.config
    bound = [modality for modality in config.modalities if modality.tls_subject]
    if not bound:
        return []
    names = ", ".join(modality.name for modality in bound)
    must = f"{names} must show a certificate (TlsSubject)"
    if not config.dicom_tls_enabled and not config.dicom_tls_port:
        hint = "set DicomTlsEnabled or DicomTlsPort, or they are refused"
        return [_warning(loaded, "DicomModalities", f"{must}, and TLS is off", hint)]
    if config.dicom_tls_trusted_certificates is None:
        message = f"{must}, and nobody is asked for one"
        hint = "set DicomTlsTrustedCertificates, or they are refused"
        return [_warning(loaded, "DicomModalities", message, hint)]
    return _beside_bound(loaded, bound)


def _beside_bound(loaded: Loaded, bound: list[Modality]) -> list[Note]:
    titles = {modality.ae_title.upper() for modality in bound}
    return [
        _warning(
            loaded,
            f"DicomModalities.{modality.name}",
            f"has no TlsSubject, and others with the AE title {modality.ae_title} have one",
            f"it needs no certificate when it calls from {modality.host}",
        )
        for modality in loaded.config.modalities
        if not modality.tls_subject and modality.ae_title.upper() in titles
    ]


def _old_tls(loaded: Loaded) -> list[Note]:
    config = loaded.config
    in_use = config.dicom_tls_enabled or config.dicom_tls_port
    if not in_use or config.dicom_tls_minimum_protocol_version not in _BROKEN_VERSIONS:
        return []
    message = "lets versions of TLS in that can be broken into"
    hint = "leave it out once every device speaks TLS 1.2 or later"
    return [_warning(loaded, "DicomTlsMinimumProtocolVersion", message, hint)]


_BROKEN_VERSIONS = (1, 2, 3)
"""Values of `DicomTlsMinimumProtocolVersion` that RFC 8996 advises against."""


def _readable_passcodes(loaded: Loaded) -> list[Note]:
    config = loaded.config
    if config.dicom_user_identity == "ignored" or config.dicom_tls_enabled:
        return []
    message = "the passcodes of devices can be read on the way: DicomPort is without TLS"
    return [_warning(loaded, "DicomUserIdentity", message, 'write "DicomTlsEnabled": true')]


def _missing_scripts(loaded: Loaded) -> list[Note]:
    config = loaded.config
    scripts = (
        *(("LuaScripts", path) for path in config.lua_scripts),
        *(("PythonScript", path) for path in (config.python_script,) if path is not None),
        *(("Hooks", path) for path in config.hooks if isinstance(path, Path)),
    )
    hint = "the server does not start without it"
    return [
        _warning(loaded, option, f"{path.absolute()} {problem}", hint)
        for option, path in scripts
        if (problem := problem_of_file(path))
    ]


def _refusal(loaded: Loaded, option: str, hint: str) -> ConfigError:
    given = option in loaded.origins
    message = "is false, so there is nothing to serve" if given else "is not set to true"
    return _at(loaded, option, message, hint)


def _at(loaded: Loaded, option: str, message: str, hint: str) -> ConfigError:
    place = loaded.origins.get(option)
    return ConfigError(
        message,
        file=str(place.file) if place else None,
        line=place.line if place else None,
        option=option,
        hint=hint,
    )


def _how_to_enable(loaded: Loaded) -> str:
    # A section pasted beside the one that is there would be an error.
    if "Worklists.Enable" in loaded.origins:
        return 'write "Enable": true'
    if any(option.startswith("Worklists.") for option in loaded.origins):
        return 'inside Worklists add: "Enable": true'
    return 'write "Worklists": {"Enable": true, "Database": "/path/of/the/folder"}'


def _warning(loaded: Loaded, option: str, message: str, hint: str | None) -> Note:
    place = loaded.origins.get(option)
    return Note(
        kind="warning",
        message=message,
        file=str(place.file) if place else None,
        line=place.line if place else None,
        option=option,
        hint=hint,
    )


def _problem_of_folder(folder: Path) -> str | None:
    try:
        mode = folder.stat().st_mode
    except FileNotFoundError:
        return _MISSING
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None if stat.S_ISDIR(mode) else "is no folder"


def _can_be_resolved(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, ValueError):  # ValueError: no name can look like this
        return False
    return True
