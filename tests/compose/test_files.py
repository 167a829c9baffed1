"""What the compose files promise: pinned images, loopback ports, hardened containers, documented variables."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.compose.files import FILES, FOLDER, documented, load, services, variables

XEON = services(FOLDER / "xeon.yaml")
BASE = services(FOLDER / "compose.yaml")
OWN = ("embedding", "retrieval", "reranking", "generation", "dataprep", "gateway")
EACH = [pytest.param(path, name, id=f"{path.stem}-{name}") for path in FILES for name in services(path)]


def shown(image: str) -> str:
    """With the variables' defaults in their place."""
    return re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", image)


def test_there_is_a_file_for_each_kind_of_machine():
    assert {path.stem for path in FILES} == {"compose", "xeon", "gaudi", "gpu", "observability", "tls"}


def test_every_service_is_there_healthy_before_what_needs_it():
    assert set(OWN) <= set(BASE)
    assert set(BASE["gateway"]["depends_on"]) == {*OWN, "secrets-changed"} - {"gateway"}
    for name in OWN:
        assert "/health/ready" in str(BASE[name]["healthcheck"]["test"])
        waits = BASE[name].get("depends_on", {})
        assert all("condition" in each for each in waits.values())


@pytest.mark.parametrize("name", [*OWN, "secrets-changed"])
def test_every_container_of_ours_is_locked_down(name):
    service = BASE[name]
    assert service["read_only"] is True
    assert service["user"] == "10001:10001"
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]


@pytest.mark.parametrize(("path", "name"), EACH)
def test_images_are_pinned(path: Path, name: str):
    image = services(path)[name].get("image")
    if image is None:
        assert name in BASE, "a service that no other file describes needs an image"
        return
    reference = shown(image).rpartition("/")[2]
    assert re.fullmatch(r"[a-z0-9.-]+:[\w.-]*\d[\w.-]*", reference), image
    assert not reference.endswith(":latest")


@pytest.mark.parametrize(("path", "name"), EACH)
def test_ports_are_published_where_bind_says_and_on_loopback_by_default(path: Path, name: str):
    for port in services(path)[name].get("ports", []):
        assert port.startswith("${BIND:-127.0.0.1}:")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_lasts_is_on_named_volumes(path: Path):
    described = load(path)
    named = set(described.get("volumes") or {})
    for name, service in described["services"].items():
        for mount in service.get("volumes", []):
            source, _target, *mode = mount.split(":")
            bound = source.startswith(".")
            assert bound or source in named, (name, mount)
            assert not bound or mode == ["ro"], (name, mount)


def test_every_variable_is_in_the_example_and_every_line_of_it_is_read():
    read: dict[str, str] = {}
    for path in reversed(FILES):
        read |= variables(path.read_text())
    told = documented((FOLDER / ".env.example").read_text())
    assert set(told) == set(read)
    base = variables((FOLDER / "compose.yaml").read_text())
    assert {name: told[name] for name in base if told[name] != "CHANGEME"}.items() <= base.items()


def secrets(document: Any) -> set[str]:
    return set(re.findall(r"\$\{([A-Z_]+):-CHANGEME\}", str(document)))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_shipped_secret_is_refused_beyond_loopback(path: Path):
    described = services(path)
    guarded = secrets(described.pop("secrets-changed", {}))
    assert secrets(described) == guarded


def test_the_health_check_asks_as_the_service_speaks(tmp_path: Path):
    """Its very command, in a shell, with a certificate of the tests and without one."""
    command = BASE["gateway"]["healthcheck"]["test"][1].replace("$$", "$")
    assert "http${TLS_CERT_FILE:+s}://" in command
    image = (FOLDER.parent / "services" / "Dockerfile").read_text()
    assert "http${TLS_CERT_FILE:+s}://" in image
    for variable, scheme in (("", "http"), ("/etc/ragline/tls/tls.crt", "https")):
        shell = command.replace("exec python -S -E -c", "echo").replace(
            "cat /opt/ragline/share/port", "echo 1"
        )
        done = subprocess.run(
            ["sh", "-c", shell], env={"TLS_CERT_FILE": variable}, capture_output=True, text=True, check=True
        )
        assert f"'{scheme}://127.0.0.1:1/health/ready'" in done.stdout


def test_with_tls_every_service_of_ours_has_the_files_and_calls_the_others_by_https():
    secure = services(FOLDER / "tls.yaml")
    assert set(secure) == set(OWN)
    plain = load(FOLDER / "compose.yaml")["x-environment"]
    for service in secure.values():
        told = service["environment"]
        addresses = {name: value for name, value in told.items() if name.endswith("_URL")}
        assert addresses.keys() == {name for name in plain if name.endswith("_URL")}
        assert {name: shown(plain[name]).replace("http:", "https:") for name in addresses} == {
            name: shown(value) for name, value in addresses.items()
        }
        assert service["volumes"] == ["./tls:/etc/ragline/tls:ro"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_container_has_a_bound_of_memory_and_of_its_log(path: Path):
    """A service's first description has both; the files after it add to that."""
    for name, service in services(path).items():
        if "image" not in service or (name in {*BASE, *XEON} and path.stem not in {"compose", "xeon"}):
            continue
        assert re.fullmatch(r"\d+[mg]", shown(str(service["mem_limit"]))), name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name


def test_memory_and_names_are_those_of_the_chart():
    values = yaml.safe_load((FOLDER.parent / "kubernetes" / "ragline" / "values.yaml").read_text())
    for name in OWN:
        limit = values[name]["resources"]["limits"]["memory"]
        assert shown(BASE[name]["mem_limit"]) == limit.lower().removesuffix("i"), name
        version = shown(BASE[name]["image"])
        assert version.startswith(f"{values['image']['prefix']}{name}:"), name
