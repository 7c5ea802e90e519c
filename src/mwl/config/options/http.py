"""HTTP: where it listens, who may use it, how it is encrypted."""

from mwl.config.option import Option

HTTP: tuple[Option, ...] = (
    Option(
        name="HttpServerEnabled",
        field="http_server_enabled",
        kind="boolean",
        needs_restart=True,
        default=True,
        help="Whether to listen for HTTP.",
    ),
    Option(
        name="HttpPort",
        field="http_port",
        kind="integer",
        needs_restart=True,
        default=8042,
        minimum=0,
        maximum=65535,
        help="TCP port of HTTP. 0 takes any free port and writes it to the log.",
    ),
    Option(
        name="HttpBindAddresses",
        field="http_bind_addresses",
        kind="texts",
        needs_restart=True,
        default=[],
        help="Addresses to listen on for HTTP. Without any it is all of them with "
        "`RemoteAccessAllowed`, else those of the loopback interface.",
    ),
    Option(
        name="HttpHosts",
        field="http_hosts",
        kind="texts",
        default=[],
        from_orthanc=False,
        help="Names by which a proxy on this machine passes requests on (their header `Host`). "
        "Without `RemoteAccessAllowed` every other name than those of the loopback interface is "
        "refused, so that no web page can reach this server through a browser.",
    ),
    Option(
        name="RemoteAccessAllowed",
        field="remote_access_allowed",
        kind="boolean",
        needs_restart=True,
        default=False,
        help="Whether other machines may use HTTP. The server does not start if that would be "
        "without `RegisteredUsers`, or with passwords that can be read on the way: see "
        "`HttpInsecureRemote`.",
    ),
    Option(
        name="HttpInsecureRemote",
        field="http_insecure_remote",
        kind="boolean",
        needs_restart=True,
        default=False,
        from_orthanc=False,
        help="Whether other machines may use HTTP without encryption (`SslEnabled` false), or "
        "without a password (`AuthenticationEnabled` false). Patient data and passwords can then "
        "be read and changed by whoever reaches the port: for a proxy or a closed network.",
    ),
    Option(
        name="AuthenticationEnabled",
        field="authentication_enabled",
        kind="switch",
        needs_restart=True,
        default=None,
        help="Whether HTTP asks for a name and a password of `RegisteredUsers`. Left out it is as "
        "`RemoteAccessAllowed`.",
    ),
    Option(
        name="RegisteredUsers",
        field="registered_users",
        kind="users",
        default={},
        help="Who may use HTTP: name to password. With `DicomUserIdentity` they are also those of "
        "devices. Keep the file readable by the server alone.",
    ),
    Option(
        name="SslEnabled",
        field="ssl_enabled",
        kind="boolean",
        needs_restart=True,
        default=False,
        help="Whether HTTP is encrypted (HTTPS), with `SslCertificate`.",
    ),
    Option(
        name="SslCertificate",
        field="ssl_certificate",
        kind="file",
        default="certificate.pem",
        help="File with the certificate of HTTPS and its private key, both as PEM. A relative "
        "path starts at the folder of the configuration file.",
    ),
    Option(
        name="SslVerifyPeers",
        field="ssl_verify_peers",
        kind="boolean",
        needs_restart=True,
        default=False,
        help="Whether clients of HTTPS must have a certificate that `SslTrustedClientCertificates` "
        "vouches for.",
    ),
    Option(
        name="SslTrustedClientCertificates",
        field="ssl_trusted_client_certificates",
        kind="file",
        default="trustedClientCertificates.pem",
        help="File with the certificates, as PEM, that vouch for those of clients.",
    ),
    Option(
        name="SslMinimumProtocolVersion",
        field="ssl_minimum_protocol_version",
        kind="integer",
        default=4,
        minimum=0,
        maximum=5,
        help="Oldest version of TLS that HTTPS takes: 5 is TLS 1.3, every other is TLS 1.2, for "
        "nothing older is taken. The cipher suites are those of BCP 195.",
    ),
    Option(
        name="HttpDescribeErrors",
        field="http_describe_errors",
        kind="boolean",
        needs_restart=True,
        default=True,
        help="Whether an error over HTTP says what is wrong, beyond its status.",
    ),
)
