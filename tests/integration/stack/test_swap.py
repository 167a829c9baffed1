"""The swap: another model by an environment variable and a restart of one service."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from tests.integration.conftest import Running

CHAT = "/v1/chat/completions"
BODY = {"messages": [{"role": "user", "content": "How many grams are in one pound?"}]}


def ask(running: Running, **fields: str) -> dict[str, Any]:
    reply = httpx.post(running.url + CHAT, json={**BODY, **fields}, timeout=120)
    assert reply.status_code == 200, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


def test_the_default_model_is_swapped_by_environment(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    documents = running.documents()
    pids = {name: running.stack.pid(name) for name in running.stack.local}
    first = ask(running)
    start = time.monotonic()
    try:
        running.heal("generation", {"LLM_BACKEND": "llamacpp-entry"})
        down = time.monotonic() - start
        second = ask(running)
        whole = time.monotonic() - start
        with capsys.disabled():
            print(f"\nswap: generation down for {down:.1f} s, next answer complete after {whole:.1f} s")
    finally:
        running.heal("generation")
    assert (first["model"], second["model"]) == ("openvino-entry", "llamacpp-entry")
    assert first["context"]["context_id"] == second["context"]["context_id"]
    assert running.documents() == documents
    changed = {name for name in running.stack.local if running.stack.pid(name) != pids[name]}
    assert changed == {"generation"}


def test_an_entry_can_be_asked_for_by_its_default(running: Running) -> None:
    models = httpx.get(f"{running.url}/v1/models").json()["data"]
    assert [model["id"] for model in models if model["default"]] == ["openvino-entry"]
