"""The gateway's keys in the chart: the first one, keys of one's own, and none."""

from __future__ import annotations

import base64
import re

import yaml

from services.gateway.access.keys import KeyList, hash_key
from tests.chart.conftest import CHART, KUBERNETES, Helm


def test_the_first_key_s_hash_is_in_the_file_that_the_gateway_reads(helm: Helm) -> None:
    def secret(*arguments: str) -> dict[str, str]:
        done = helm.run(
            "template",
            "ragline",
            str(CHART),
            "--set",
            "image.local=true",
            "--kube-version",
            KUBERNETES,
            *arguments,
        )
        found = next(
            one
            for one in yaml.safe_load_all(done.stdout)
            if one and one["metadata"]["name"] == "ragline-keys"
        )
        return {name: base64.b64decode(value).decode() for name, value in found["data"].items()}

    first, second = secret(), secret()
    assert re.fullmatch(r"rl_[A-Za-z0-9]{43}", first["key"])
    assert first["key"] != second["key"]
    keys = KeyList.model_validate_json(first["keys.json"]).keys
    assert [(key.hash, key.roles, key.tenant) for key in keys] == [
        (hash_key(first["key"]), ["admin"], "default")
    ]


def test_keys_of_one_s_own_and_none_at_all(helm: Helm) -> None:
    own = helm.rendered("default", "--set", "keys.existingSecret=ours")
    assert "ours" in str(own.named("Deployment")["gateway"])
    off = helm.rendered("default", "--set", "keys.enabled=false")
    assert "GATEWAY_ACCESS" in str(off.named("Deployment")["gateway"])
    for rendered in (own, off):
        assert "ragline-keys" not in str(rendered.objects)
