"""A certificate of our own, made on the spot and kept, so that a phone must be told once alone."""

from __future__ import annotations

import ipaddress
import logging
import os
import ssl
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from rtrecon.errors import ArgumentError, DataError, MissingExtraError, OutputError
from rtrecon.files import make_folder, write_secret

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["context_of", "own_context"]

logger = logging.getLogger(__name__)

_DAYS, _RENEW_DAYS = 397, 30  # browsers take none that is valid for longer
_MOST_NAMES = 32


def context_of(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """For a certificate that the user has.

    Args:
        certificate: PEM, with those that it was signed by.
        key: PEM; None: in the same file.

    Raises:
        DataError: they cannot be used, or not together.
    """
    context = _context()
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ssl.SSLError, ValueError) as error:
        named = f"{certificate}" if key is None else f"{certificate} and {key}"
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        raise DataError(
            f"the certificate of {named} cannot be used ({reason}): give PEM files of a "
            "certificate and of its key, which has no password"
        ) from error
    return context


def own_context(names: Iterable[str], folder: Path | None = None) -> ssl.SSLContext:
    """For one of our own that is valid for ``names``, made anew where the kept one is not.

    Args:
        names: host names and addresses.
        folder: where it is kept; None: the user's configuration.

    Raises:
        MissingExtraError: cryptography is not installed.
    """
    if folder is None:
        folder = Path(platformdirs.user_config_dir("rtrecon", appauthor=False), "web")
    path = folder / "certificate.pem"
    wanted = list(dict.fromkeys(names))[:_MOST_NAMES]
    known, has_run_out = _kept(path)
    if not has_run_out and set(wanted) <= set(known):
        try:
            return context_of(path, None)
        except DataError:
            logger.warning("%s is damaged: made anew", path)
    # Addresses that it had come back, as those of the network at home.
    pem = _make(list(dict.fromkeys([*wanted, *known]))[:_MOST_NAMES])
    try:
        make_folder(folder)
        write_secret(path, pem)
    except OutputError as error:
        logger.warning("%s; the certificate ends with this run", error)
        return _loaded(pem)
    logger.info("made a certificate for %s", ", ".join(wanted))
    return context_of(path, None)


def _kept(path: Path) -> tuple[list[str], bool]:
    """Names of the one that is kept, and whether it must be renewed."""
    x509 = _import_x509()
    try:
        made = x509.load_pem_x509_certificate(path.read_bytes())
        names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        listed = [
            *names.get_values_for_type(x509.DNSName),
            *map(str, names.get_values_for_type(x509.IPAddress)),
        ]
        left = made.not_valid_after_utc - datetime.now(UTC)
        return listed, left < timedelta(days=_RENEW_DAYS)
    except OSError:
        return [], True
    except (ValueError, x509.ExtensionNotFound):
        return [], True


def _make(names: list[str]) -> bytes:
    """A certificate signed by itself and its key, PEM."""
    x509 = _import_x509()
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rtrecon of this machine")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=_DAYS - 1))
        .add_extension(x509.SubjectAlternativeName([_general(n) for n in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    made: bytes = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return made + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _general(name: str) -> x509.GeneralName:
    module = _import_x509()
    made: x509.GeneralName
    try:
        made = module.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        made = module.DNSName(name)
    return made


def _loaded(pem: bytes) -> ssl.SSLContext:
    """Of a certificate that cannot be kept: OpenSSL reads it from a file alone."""
    number, name = tempfile.mkstemp(suffix=".pem")  # for this user alone
    try:
        with os.fdopen(number, "wb") as file:
            file.write(pem)
        return context_of(Path(name), None)
    finally:
        Path(name).unlink()


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _no_password() -> str:
    raise ArgumentError("the key has a password")


def _import_x509() -> Any:
    try:
        from cryptography import x509
    except ImportError as error:
        raise MissingExtraError("cryptography", "web") from error
    return x509
