"""TLS between our services: real handshakes with certificates that the test makes."""

from __future__ import annotations

import asyncio
import datetime
import errno
import ipaddress
import os
import ssl
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from services.cli.local import probe
from services.cli.local.addresses import ROSTER
from services.cli.local.stack import Stack
from services.core.client import HttpClient
from services.core.errors import InvalidRequest, RaglineError, ServiceError
from services.core.listener import ListenerConfig
from services.core.serve import Server, serve
from services.core.settings import ServiceSettings
from services.core.tls import client_context, listener_context
from tests.ports import free_port, free_ports
from tests.run_guard import bare_environment
from tests.unit.core.test_listener import GET, PATIENT, Client, code, service, serving

PEM = serialization.Encoding.PEM
PKCS8 = serialization.PrivateFormat.PKCS8


@dataclass(frozen=True)
class Files:
    ca: Path
    certificate: Path
    key: Path
    locked_key: Path

    @property
    def settings(self) -> dict[str, Path]:
        return {"tls_cert_file": self.certificate, "tls_key_file": self.key}


def write_files(folder: Path) -> Files:
    """Make an authority, and a certificate of it for 127.0.0.1."""

    def sign(
        subject: str, key: ec.EllipticCurvePrivateKey, issuer: str, issuer_key: ec.EllipticCurvePrivateKey
    ):
        now = datetime.datetime.now(datetime.UTC)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
        names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        is_ca = subject == issuer
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]))
            .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(identifier, critical=False)
        )
        if not is_ca:
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return made.sign(issuer_key, hashes.SHA256())

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    files = Files(*(folder / name for name in ("ca.pem", "tls.crt", "tls.key", "locked.key")))
    files.ca.write_bytes(sign("our ca", ca_key, "our ca", ca_key).public_bytes(PEM))
    files.certificate.write_bytes(sign("service", key, "our ca", ca_key).public_bytes(PEM))
    files.key.write_bytes(key.private_bytes(PEM, PKCS8, serialization.NoEncryption()))
    password = serialization.BestAvailableEncryption(b"secret")
    files.locked_key.write_bytes(key.private_bytes(PEM, PKCS8, password))
    return files


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return write_files(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def port(files: Files) -> Iterator[int]:
    settings = ServiceSettings(**files.settings, **PATIENT)
    with serving(Server(ListenerConfig("demo", service(settings), settings, 0), None)) as number:
        yield number


class SecureClient(Client):
    def __init__(self, port: int, files: Files) -> None:
        super().__init__(port)
        self.socket = ssl.create_default_context(cafile=files.ca).wrap_socket(
            self.socket, server_hostname="127.0.0.1"
        )


async def test_a_client_with_the_authority_is_answered_and_one_without_is_told_why(
    port: int, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"https://127.0.0.1:{port}"
    async with HttpClient("retrieval", url) as stranger:
        with pytest.raises(ServiceError, match=rf"retrieval at {url}: its certificate .* TLS_CA_FILE"):
            await stranger.get("/health")
    refused = await asyncio.to_thread(probe.awaits_ready, "retrieval", url)
    assert "certificate" in refused
    assert url in refused
    monkeypatch.setenv("TLS_CA_FILE", str(files.ca))
    async with HttpClient("retrieval", url) as client:
        assert await client.post("/echo", {"k": 1}) == b'{"k":1}'
        assert await client.post("/echo", {"k": 2}) == b'{"k":2}'
    assert await asyncio.to_thread(probe.awaits_ready, "retrieval", url) == ""


async def test_a_certificate_for_another_name_is_refused(
    port: int, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TLS_CA_FILE", str(files.ca))
    async with HttpClient("retrieval", f"https://localhost:{port}") as client:
        with pytest.raises(ServiceError, match="certificate"):
            await client.get("/health")


async def test_the_wrong_scheme_is_an_error_on_either_side(port: int) -> None:
    async with HttpClient("retrieval", f"http://127.0.0.1:{port}") as plain:
        with pytest.raises(RaglineError, match=r"retrieval (closed|reset)"):
            await plain.get("/health")
    settings = ServiceSettings(**PATIENT)
    with serving(Server(ListenerConfig("demo", service(settings), settings, 0), None)) as other:
        async with HttpClient("retrieval", f"https://127.0.0.1:{other}") as secure:
            with pytest.raises(ServiceError, match="no secure connection"):
                await secure.get("/health")


def test_the_limits_of_a_head_hold(port: int, files: Files) -> None:
    with SecureClient(port, files) as attacker:
        status, body = attacker.send(GET + b"x: " + b"a" * 70_000).reply()
    assert (status, code(body)) == (431, "headers_too_large")
    with SecureClient(port, files) as other:
        assert other.send(GET + b"\r\n").reply()[0] == 200


def test_the_times_of_a_handshake_and_of_a_head_hold(files: Files) -> None:
    settings = ServiceSettings(header_seconds=0.2, **files.settings)
    with serving(Server(ListenerConfig("demo", service(settings), settings, 0), None)) as port:
        with Client(port) as silent:
            assert silent.ended()
        with Client(port) as half:
            assert half.send(b"\x16\x03\x01\x02\x00\x01").ended()
    settings = ServiceSettings(header_seconds=5, **files.settings)  # in which the handshake must have its end
    with (
        serving(Server(ListenerConfig("demo", service(settings), settings, 0), None)) as port,
        SecureClient(port, files) as slow,
    ):
        assert slow.send(GET).reply()[0] == 408


def test_handshakes_count_as_connections_and_make_room(files: Files) -> None:
    settings = ServiceSettings(max_connections=3, **files.settings, **PATIENT)
    with serving(Server(ListenerConfig("demo", service(settings), settings, 0), None)) as port:
        silent = [Client(port) for _ in range(4)]
        assert silent[0].ended()
        with SecureClient(port, files) as client:
            assert client.send(GET + b"\r\n").reply()[0] == 200
        for other in silent:
            other.socket.close()


def test_a_service_ends_while_a_handshake_does_not(files: Files) -> None:
    settings = ServiceSettings(shutdown_seconds=60, **files.settings, **PATIENT)
    with serving(Server(ListenerConfig("demo", service(settings), settings, 0), None)) as port:
        silent = Client(port)
        with SecureClient(port, files) as client:
            assert client.send(GET + b"\r\n").reply()[0] == 200
    with silent:
        assert silent.ended()


def test_a_connection_for_which_no_descriptor_is_left_is_closed(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    settings = ServiceSettings(**files.settings, **PATIENT)
    with serving(Server(ListenerConfig("demo", service(settings), settings, 0), None)) as port:
        with monkeypatch.context() as full:
            full.setattr("services.core.handshake.os.dup", refuse)
            with Client(port) as refused:
                assert refused.ended()
        with SecureClient(port, files) as client:
            assert client.send(GET + b"\r\n").reply()[0] == 200


def test_the_port_of_its_own_is_secure_too(files: Files) -> None:
    admin_port = free_port()
    settings = ServiceSettings(admin_port=admin_port, **files.settings, **PATIENT)
    app = service(settings)
    admin = ListenerConfig("demo", app.state.admin, settings, admin_port)
    with (
        serving(Server(ListenerConfig("demo", app, settings, 0), admin)),
        SecureClient(admin_port, files) as client,
    ):
        assert client.send(GET.replace(b"/health", b"/openapi.json") + b"\r\n").reply()[0] == 200


def test_services_of_a_stack_call_each_other_by_https(
    tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TLS_CA_FILE", str(files.ca))
    env = {
        **bare_environment(),
        "PYTHONPATH": os.pathsep.join(sys.path),
        "EMBEDDING_BACKEND": "fake",
        "TLS_CERT_FILE": str(files.certificate),
        "TLS_KEY_FILE": str(files.key),
        "TLS_CA_FILE": str(files.ca),
    }
    with Stack(tmp_path, env, free_ports(ROSTER)) as stack:
        for name in ("embedding", "gateway"):
            stack.start(name)
        stack.wait_ready(60, ["embedding"])
        stack.wait_ready(60, ["gateway"], probed=probe.awaits_answer)
        assert stack.url("gateway").startswith("https://127.0.0.1:")
        state = probe.readiness("gateway", stack.url("gateway"))
        assert state is not None
        assert state.dependencies["embedding"].ready
        assert not state.dependencies["retrieval"].ready


def test_a_service_with_a_wrong_file_ends_with_one_line(
    files: Files, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("services.core.serve.configure_logs", lambda *_: None)
    settings = ServiceSettings(tls_cert_file=Path("/no/file"), tls_key_file=files.key)
    with pytest.raises(SystemExit) as ended:
        serve("demo", settings, service(settings), port=free_port())
    assert ended.value.code == 3
    (line,) = capsys.readouterr().out.splitlines()
    assert "cannot start: TLS_CERT_FILE /no/file: No such file" in line


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (lambda files: {"tls_cert_file": files.certificate}, "TLS_CERT_FILE is set and TLS_KEY_FILE is not"),
        (lambda files: {"tls_key_file": files.key}, "TLS_KEY_FILE is set and TLS_CERT_FILE is not"),
        (
            lambda files: {**files.settings, "tls_cert_file": Path("/no/file")},
            "TLS_CERT_FILE /no/file: No such",
        ),
        (lambda files: {**files.settings, "tls_key_file": files.ca.parent}, "TLS_KEY_FILE .* directory"),
        (lambda files: {**files.settings, "tls_cert_file": files.key}, "TLS_CERT_FILE .* no certificate"),
        (lambda files: {**files.settings, "tls_key_file": files.ca}, "TLS_KEY_FILE .* no private key"),
        (lambda files: {**files.settings, "tls_key_file": files.locked_key}, "TLS_KEY_FILE .* password"),
        (lambda files: {**files.settings, "tls_cert_file": files.ca}, "TLS_KEY_FILE .* not the key"),
    ],
)
def test_a_file_that_cannot_be_used_names_its_setting(
    files: Files, wrong: Callable[[Files], dict[str, Path]], named: str
) -> None:
    with pytest.raises(InvalidRequest, match=named):
        listener_context(ServiceSettings(**wrong(files)))


@pytest.mark.parametrize(("path", "named"), [("/no/file", "No such"), (__file__, "no certificate")])
def test_an_authority_that_cannot_be_read_names_its_setting(
    path: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TLS_CA_FILE", path)
    with pytest.raises(InvalidRequest, match=f"TLS_CA_FILE {path}: {named}"):
        client_context()


def served_certificate(port: int) -> str:
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=30)


def test_a_renewed_certificate_counts_from_the_next_connection_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.core.tls.LOOK_SECONDS", 0.0)
    (tmp_path / "other").mkdir()
    files, renewed = write_files(tmp_path), write_files(tmp_path / "other")
    first, second = files.certificate.read_text(), renewed.certificate.read_text()
    settings = ServiceSettings(**files.settings, **PATIENT)
    with serving(Server(ListenerConfig("demo", service(settings), settings, 0), None)) as number:
        old = SecureClient(number, files)
        assert served_certificate(number) == first
        files.certificate.write_text(second)
        assert served_certificate(number) == first, "it does not fit its key yet"
        files.key.write_bytes(renewed.key.read_bytes())
        assert served_certificate(number) == second
        files.certificate.unlink()
        assert served_certificate(number) == second
        with old:
            assert old.send(GET + b"\r\n").reply()[0] == 200, "a connection that was there goes on"
