"""What happens when things break: services that die, clients that leave, requests that are wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.conftest import Running
from tests.own_time import OwnTime

QUESTION = "How many grams are in one pound?"
LONG = {"messages": [{"role": "user", "content": QUESTION}], "stream": True, "max_tokens": 400}
CHAT = "/v1/chat/completions"


@pytest.fixture
def healed(fakes: Running) -> Iterator[Running]:
    """The stack; services that a test killed run again afterwards."""
    yield fakes
    for name in fakes.stack.local:
        if fakes.stack.pid(name) is None:
            fakes.heal(name)


def error_of(reply: httpx.Response) -> dict[str, str]:
    error: dict[str, str] = reply.json()["error"]
    return error


def test_killing_generation_ends_the_stream_with_an_error_event(healed: Running) -> None:
    with httpx.stream("POST", healed.url + CHAT, json=LONG, timeout=60) as reply:
        lines = reply.iter_lines()
        for line in lines:
            if '"content"' in line and "context_id" not in line:
                break
        healed.kill("generation")
        killed = OwnTime()
        rest = [line for line in lines if line]
    assert killed.seconds() < 2
    assert rest[-2] == "event: error"
    error = json.loads(rest[-1].removeprefix("data: "))["error"]
    assert error["service"] == "generation"
    assert "data: [DONE]" not in rest


def test_killing_generation_fails_the_command_line(healed: Running) -> None:
    environment = {**healed.environment, "RAGLINE_URL": healed.url, "PYTHONUNBUFFERED": "1"}
    question = "Tell me everything about mass and weight, at great length."
    child = subprocess.Popen(
        [Path(sys.executable).parent / "ragline", "ask", question],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert os.read(child.stdout.fileno(), 1)
    healed.kill("generation")
    killed = OwnTime()
    _, errors = child.communicate(timeout=60)
    assert killed.seconds() < 2
    assert child.returncode != 0
    assert b"generation" in errors


def test_without_reranking_the_answer_comes_in_retrieval_order(healed: Running) -> None:
    healed.kill("reranking")
    reply = httpx.post(healed.url + CHAT, json={"messages": LONG["messages"], "max_tokens": 16}, timeout=60)
    answer = reply.json()
    assert reply.status_code == 200
    assert answer["degraded"] == ["reranking"]
    scores = [passage["fused_score"] for passage in answer["context"]["passages"]]
    assert scores == sorted(scores, reverse=True)
    assert answer["choices"][0]["message"]["content"]


@pytest.mark.parametrize("service", ["embedding", "retrieval", "generation"])
def test_a_service_that_is_down_is_named_at_once(healed: Running, service: str) -> None:
    healed.kill(service)
    for stream in (False, True):
        clock = OwnTime()
        reply = httpx.post(healed.url + CHAT, json={**LONG, "stream": stream}, timeout=60)
        assert clock.seconds() < 2
        assert reply.status_code == 503
        assert error_of(reply)["service"] == service
        assert error_of(reply)["code"] == "service_unavailable"
    ready = httpx.get(f"{healed.url}/health/ready")
    assert ready.status_code == 503
    assert not ready.json()["dependencies"][service]["ready"]
    assert service in ready.json()["dependencies"][service]["detail"]


def chat(**fields: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": QUESTION}], **fields}


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"messages": []}, 422, "messages"),
        ({}, 422, "messages"),
        (chat(messages=[{"role": "user", "content": "  "}]), 422, "last message"),
        (chat(messages=[{"role": "assistant", "content": "x"}]), 422, "last message"),
        (chat(model="nowhere"), 404, "nowhere"),
        (chat(rag={"top_k": 0}), 422, "top_k"),
        (chat(rag={"top_k": 10**9}), 422, "top_k"),
        (chat(rag={"top_n": 0}), 422, "top_n"),
        (chat(rag={"topk": 3}), 422, "topk"),
        (chat(rag={"collection": "../etc"}), 422, "collection"),
        (chat(rag={"collection": "unknown"}), 404, "unknown"),
        (chat(temperature=9), 422, "temperature"),
        (chat(max_tokens=0), 422, "max_tokens"),
        (chat(n=3), 422, "n"),
        (chat(messages=[{"role": "user", "content": "x" * 10_000_000}]), 413, "bytes"),
        (chat(messages=[{"role": "user", "content": "long " * 30_000}], rag={"floor": 0}), 400, "tokens"),
    ],
    ids=lambda value: None if isinstance(value, dict) else str(value),
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_wrong_question_says_what_to_change(
    fakes: Running, body: dict[str, object], status: int, words: str, stream: bool
) -> None:
    reply = httpx.post(fakes.url + CHAT, json={**body, "stream": stream}, timeout=60)
    assert reply.status_code == status, reply.text[:300]
    error = error_of(reply)
    assert words in error["message"]
    assert error["request_id"] == reply.headers["x-request-id"]


def test_invalid_json_is_a_400(fakes: Running) -> None:
    reply = httpx.post(fakes.url + CHAT, content=b"{", headers={"content-type": "application/json"})
    assert (reply.status_code, error_of(reply)["code"]) == (400, "malformed_request")


def test_half_a_character_is_a_422(fakes: Running) -> None:
    body = b'{"messages": [{"role": "user", "content": "\\ud800"}]}'
    reply = httpx.post(fakes.url + CHAT, content=body, headers={"content-type": "application/json"})
    assert (reply.status_code, error_of(reply)["code"]) == (422, "invalid_request")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("broken.pdf", b"this is not a PDF"),
        ("truncated.pdf", b"%PDF-1.7\n1 0 obj\n<<"),
        ("empty.md", b""),
        ("blank.txt", b" \n\t "),
        ("../escape.md", b"# hello\n\nworld"),
        ("/etc/passwd.md", b"# hello\n\nworld"),
        ("a\\..\\b.md", b"# hello\n\nworld"),
        ("binary.txt", bytes(range(256)) * 20),
        ("program.exe", b"MZ"),
        ("noname", b"text"),
    ],
)
def test_a_bad_file_is_refused_and_nothing_is_written(fakes: Running, name: str, content: bytes) -> None:
    before = fakes.documents()
    reply = fakes.upload(name, content)
    assert 400 <= reply.status_code < 500, reply.text
    assert error_of(reply)["message"]
    assert fakes.documents() == before


def test_an_upload_without_files_is_refused(fakes: Running) -> None:
    assert httpx.post(f"{fakes.url}/v1/documents", json={}).status_code == 415
    assert httpx.post(f"{fakes.url}/v1/documents", files={"other": b"x"}).status_code == 422


def test_a_service_that_is_down_loses_no_document(healed: Running) -> None:
    before = healed.documents()
    healed.kill("embedding")
    reply = healed.upload("late.md", b"# Late\n\nThis document comes while embedding is down.")
    assert (reply.status_code, error_of(reply)["service"]) == (503, "embedding")
    assert healed.documents() == before


def test_a_service_that_is_told_to_stop_finishes_its_stream(healed: Running) -> None:
    with httpx.stream("POST", healed.url + CHAT, json={**LONG, "max_tokens": 64}, timeout=60) as reply:
        lines = reply.iter_lines()
        for line in lines:
            if '"content"' in line and "context_id" not in line:
                break
        pid = healed.stack.pid("generation")
        assert pid is not None
        os.kill(pid, 15)
        rest = [line for line in lines if line]
    assert rest[-1] == "data: [DONE]"
    assert "event: error" not in rest
    end = time.monotonic() + 10
    while healed.stack.pid("generation") is not None:  # healed only once it has gone
        assert time.monotonic() < end
        time.sleep(0.1)
