"""TLS of our own listeners and clients: the contexts, from files that settings name."""

from __future__ import annotations

import ssl
import time
from functools import lru_cache
from pathlib import Path

import structlog
from pydantic import Field

from services.core.errors import InvalidRequest
from services.core.settings import ServiceSettings, Settings

LOOK_SECONDS = 1.0
"""How often it is looked whether a certificate was renewed, at most."""

log = structlog.get_logger(__name__)


class TrustSettings(Settings):
    """Whom our clients believe."""

    ca_file: Path | None = Field(
        None,
        validation_alias="TLS_CA_FILE",
        description="certificates (PEM) of authorities whose https:// peers are believed, besides the "
        "system's own: for the services' addresses, for models' servers, for `ragline`; read at start",
    )


def listener_context(settings: ServiceSettings) -> ssl.SSLContext | None:
    """Read the certificate and the key of a service's listeners.

    Args:
        settings: The service's.

    Returns:
        Their context, for TLS 1.2 and later; None where the service speaks plain HTTP.

    Raises:
        InvalidRequest: One of the two settings is missing, or its file cannot be used. It names the setting.
    """
    certificate, key = settings.tls_cert_file, settings.tls_key_file
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        given, missing = (
            ("TLS_CERT_FILE", "TLS_KEY_FILE") if certificate else ("TLS_KEY_FILE", "TLS_CERT_FILE")
        )
        raise InvalidRequest(f"{given} is set and {missing} is not: set both, or neither for plain HTTP")
    certificate_path = _find_file("TLS_CERT_FILE", certificate)
    key_path = _find_file("TLS_KEY_FILE", key)

    def refuse_password() -> str:
        raise InvalidRequest(f"TLS_KEY_FILE {key_path}: the key has a password: write it without one")

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        _trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "TLS_CERT_FILE", certificate_path)
        context.load_cert_chain(certificate_path, key_path, refuse_password)
    except ssl.SSLError as error:
        reason = (
            "it is not the key of TLS_CERT_FILE"
            if error.reason == "KEY_VALUES_MISMATCH"
            else f"no private key in PEM ({error.reason or error.strerror})"
        )
        raise InvalidRequest(f"TLS_KEY_FILE {key_path}: {reason}") from None
    return context


class RenewedCertificate:
    """A listener's certificate, read anew when its files change: a renewal needs no restart."""

    def __init__(self, settings: ServiceSettings, context: ssl.SSLContext) -> None:
        """Take the context that the settings' files gave."""
        self._settings = settings
        self._context = context
        self._mark = self._look()
        self._look_again = 0.0

    @property
    def context(self) -> ssl.SSLContext:
        """The context of the next connection; files that do not fit leave the last good one in force."""
        if time.monotonic() >= self._look_again:
            self._look_again = time.monotonic() + LOOK_SECONDS
            mark = self._look()
            if mark != self._mark:
                self._mark = mark  # before they are read: what is written meanwhile is another change
                self._renew()
        return self._context

    def _renew(self) -> None:
        try:
            renewed = listener_context(self._settings)
        except InvalidRequest as error:
            log.error("the certificate was not renewed: the last good one is in force", problem=error.message)
            return
        if renewed is not None:
            self._context = renewed
            log.info("read the certificate anew", file=str(self._settings.tls_cert_file))

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        marks = []
        for path in (self._settings.tls_cert_file, self._settings.tls_key_file):
            try:
                state = path.expanduser().stat() if path else None
            except OSError:
                state = None
            marks.append((state.st_mtime_ns, state.st_ino, state.st_size) if state else (0, 0, 0))
        return tuple(marks)


def open_certificate(settings: ServiceSettings) -> RenewedCertificate | None:
    """Read a listener's certificate, to be read anew when it changes; see `listener_context`."""
    context = listener_context(settings)
    return None if context is None else RenewedCertificate(settings, context)


def client_context() -> ssl.SSLContext:
    """Make the context of our clients: the system's authorities, and those of `TLS_CA_FILE`.

    Raises:
        InvalidRequest: The file cannot be used.
    """
    return _read_authorities(TrustSettings.load().ca_file)


@lru_cache(maxsize=8)
def _read_authorities(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        _trust(context, "TLS_CA_FILE", _find_file("TLS_CA_FILE", ca_file))
    return context


def _trust(context: ssl.SSLContext, variable: str, path: Path) -> None:
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as error:
        reason = error.reason or error.strerror
        raise InvalidRequest(f"{variable} {path}: no certificate in PEM ({reason})") from None


def _find_file(variable: str, path: Path) -> Path:
    found = path.expanduser()
    try:
        with found.open("rb"):
            return found
    except OSError as error:
        raise InvalidRequest(f"{variable} {found}: {error.strerror}") from None
