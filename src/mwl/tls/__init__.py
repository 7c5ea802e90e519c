"""TLS: contexts made of files with certificates, and what certificates and handshakes say.

`contexts` makes what encrypts, of the cipher suites in `ciphers`; `names` is who a certificate is
for, `expiry` until when and who vouches for it; `problems` is why a handshake failed, in words.

Source: DICOM PS3.15 B.12 (the profile of BCP 195: RFC 8996, RFC 9325); RFC 5280 (certificates).
"""
