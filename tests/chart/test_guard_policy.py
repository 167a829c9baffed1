"""A guard's server may be reached by those who ask it, and by nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.chart.conftest import LOADER, Helm
from tests.chart.objects import component


def outside_ports(text: str) -> dict[str, set[int]]:
    """By component, the ports that it may reach outside of the release."""
    found: dict[str, set[int]] = {}
    for item in yaml.load_all(text, LOADER):
        if not item or item["kind"] != "NetworkPolicy":
            continue
        rules = item["spec"].get("egress", [])
        found[component(item)] = {
            port["port"] for rule in rules if "ipBlock" in str(rule.get("to", "")) for port in rule["ports"]
        }
    return found


@pytest.mark.parametrize(
    ("values", "who"),
    [
        ("env: {GUARD_URL: 'http://guard:8091'}", {"gateway", "dataprep"}),
        ("gateway: {env: {GUARD_URL: 'http://guard:8091'}}", {"gateway"}),
        ("dataprep: {env: {GUARD_URL: 'http://guard:8091'}}", {"dataprep"}),
        ("{}", set()),
    ],
)
def test_the_port_of_the_guard_is_open_to_those_who_ask_it(
    helm: Helm, tmp_path: Path, values: str, who: set[str]
) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(values)
    done = helm.template("--values", str(path))
    assert done.returncode == 0, done.stderr
    assert {name for name, ports in outside_ports(done.stdout).items() if 8091 in ports} == who
