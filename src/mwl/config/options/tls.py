"""DICOM over TLS."""

from mwl.config.option import Option

TLS: tuple[Option, ...] = (
    Option(
        name="DicomTlsEnabled",
        field="dicom_tls_enabled",
        kind="boolean",
        needs_restart=True,
        default=False,
        help="Whether `DicomPort` speaks TLS and nothing else. To let both in, see `DicomTlsPort`.",
    ),
    Option(
        name="DicomTlsPort",
        field="dicom_tls_port",
        kind="integer",
        needs_restart=True,
        default=0,
        minimum=0,
        maximum=65535,
        from_orthanc=False,
        help="A second TCP port that speaks TLS, beside `DicomPort`; 2762 is the one registered "
        "for DICOM. 0 is none.",
    ),
    Option(
        name="DicomTlsCertificate",
        field="dicom_tls_certificate",
        kind="optional file",
        default="",
        help="File with the certificate of this server as PEM, and behind it those that vouch for "
        "it. It is read again when it changes. It also stands for this server where it asks a "
        "modality with `UseDicomTls`.",
    ),
    Option(
        name="DicomTlsPrivateKey",
        field="dicom_tls_private_key",
        kind="optional file",
        default="",
        help="File with the private key of `DicomTlsCertificate` as PEM, without a password. Keep "
        "it readable by the server alone. Without it the key is in the file of the certificate.",
    ),
    Option(
        name="DicomTlsTrustedCertificates",
        field="dicom_tls_trusted_certificates",
        kind="optional file",
        default="",
        help="File with the certificates, as PEM, that vouch for those of peers, or that peers "
        "show themselves. Without it no caller is asked for one. It is read again when it changes.",
    ),
    Option(
        name="DicomTlsRemoteCertificateRequired",
        field="dicom_tls_remote_certificate_required",
        kind="boolean",
        default=True,
        help="Whether a caller must show a certificate that `DicomTlsTrustedCertificates` vouches "
        "for. If not, one that is shown is still checked.",
    ),
    Option(
        name="DicomTlsMinimumProtocolVersion",
        field="dicom_tls_minimum_protocol_version",
        kind="integer",
        default=0,
        minimum=0,
        maximum=5,
        help="Oldest version taken: 0 is the profile of BCP 195 (PS3.15 B.12: TLS 1.2 and 1.3 with "
        "its cipher suites), 1 and 2 are TLS 1.0, 3 is TLS 1.1, 4 is TLS 1.2, 5 is TLS 1.3. Other "
        "values than 0 need `DicomTlsCiphersAccepted`. Versions before 1.2 can be broken into, and "
        "with them OpenSSL takes short keys and SHA-1 in certificates.",
    ),
    Option(
        name="DicomTlsCiphersAccepted",
        field="dicom_tls_ciphers_accepted",
        kind="texts",
        default=[],
        help="Cipher suites taken, by their names in the standard, as DCMTK and Orthanc have them, "
        "or in OpenSSL. Without any they are those of the profile of BCP 195. Those of TLS 1.3 are "
        "always taken; with no others in the list nothing older is.",
    ),
)
