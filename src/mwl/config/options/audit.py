"""The audit trail: where it goes, and what keeps it until it is there."""

from mwl.config.option import Option

AUDIT: tuple[Option, ...] = (
    Option(
        name="Audit.Destination",
        field="destination",
        kind="audit destination",
        default="",
        from_orthanc=False,
        needs_restart=True,
        help="Where audit messages (DICOM PS3.15 A.5) go. Empty makes none. A file gets a message "
        "on each line; syslog goes to a receiver over UDP (port 514 unless another is given) or "
        "over TLS (port 6514). Messages name patients. Those of queries longer than 24,000 bytes "
        "hold words in place of the query, so that no receiver has to cut them off.",
    ),
    Option(
        name="Audit.TrustedCertificates",
        field="trusted_certificates",
        kind="optional file",
        default="",
        from_orthanc=False,
        needs_restart=True,
        help="File with the certificates, as PEM, that vouch for that of the receiver over TLS. "
        "Needed for TLS.",
    ),
    Option(
        name="Audit.CheckServerName",
        field="check_server_name",
        kind="boolean",
        default=True,
        from_orthanc=False,
        needs_restart=True,
        help="Whether the certificate of the receiver has to be for the host that `Destination` "
        "names (RFC 5425). If not, any certificate that is vouched for will do.",
    ),
    Option(
        name="Audit.Certificate",
        field="certificate",
        kind="optional file",
        default="",
        from_orthanc=False,
        needs_restart=True,
        help="File with the certificate that this server shows the receiver over TLS, as PEM.",
    ),
    Option(
        name="Audit.PrivateKey",
        field="private_key",
        kind="optional file",
        default="",
        from_orthanc=False,
        needs_restart=True,
        help="File with the private key of `Certificate` as PEM, without a password. Without it "
        "the key is in the file of the certificate.",
    ),
    Option(
        name="Audit.SourceId",
        field="source_id",
        kind="text",
        default="",
        from_orthanc=False,
        needs_restart=True,
        help="What messages call this server (AuditSourceID). Empty is its AE title, an @ and "
        "the name of the machine.",
    ),
    Option(
        name="Audit.EnterpriseSiteId",
        field="enterprise_site_id",
        kind="text",
        default="",
        from_orthanc=False,
        needs_restart=True,
        help="Site of the enterprise that the server is for (AuditEnterpriseSiteID), if messages "
        "are to say it.",
    ),
    Option(
        name="Audit.SpoolFolder",
        field="spool_folder",
        kind="state folder",
        default="auto",
        from_orthanc=False,
        needs_restart=True,
        help="Folder that keeps messages until they have arrived, also while the server is down. "
        "It holds patient data: only the server's user can read it. Each server needs one of its "
        'own. With "auto" it is $STATE_DIRECTORY/audit (systemd), else $XDG_STATE_HOME/mwl/audit, '
        "else ~/.local/state/mwl/audit.",
    ),
    Option(
        name="Audit.SpoolSize",
        field="spool_size_mib",
        kind="integer",
        default=100,
        minimum=1,
        maximum=1_000_000,
        unit="MiB",
        from_orthanc=False,
        needs_restart=True,
        help="Most that the spool may hold: 100 MiB are some 60,000 queries. When it is full, new "
        "messages are dropped, counted, and told of in the log and in the trail.",
    ),
)
