"""AutoMTLS: a throw-away certificate for this process; only the host that started it may connect."""

from __future__ import annotations

import datetime
from typing import Tuple

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFE = datetime.timedelta(days=365 * 30)
SKEW = datetime.timedelta(seconds=30)


def key_and_certificate() -> Tuple[bytes, bytes]:
    """Both as PEM. Nobody else has seen the key, and nothing keeps it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    usage = x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        key_agreement=True,
        key_cert_sign=True,
        content_commitment=False,
        data_encipherment=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    both = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage(both), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private, certificate.public_bytes(serialization.Encoding.PEM)


def credentials(client_certificate: bytes) -> Tuple[str, grpc.ServerCredentials]:
    """Our certificate as the handshake has it (base64 of DER, unpadded), and what the server listens with."""
    key, certificate = key_and_certificate()
    listening = grpc.ssl_server_credentials(
        [(key, certificate)], root_certificates=client_certificate, require_client_auth=True
    )
    # PEM is base64 of DER between two lines.
    body = "".join(certificate.decode().strip().splitlines()[1:-1])
    return body.rstrip("="), listening
