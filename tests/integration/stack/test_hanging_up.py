"""Real models behind the whole chain: clients that leave, and a question that is too long."""

from __future__ import annotations

import time

import httpx
import psutil
import pytest

from tests.integration.conftest import Running
from tests.soak import soak_only

CHAT = "/v1/chat/completions"
LONG = {
    "messages": [{"role": "user", "content": "How many grams are in one pound?"}],
    "stream": True,
    "max_tokens": 400,
}
LEAVING = 0.7
"""Seconds after which a client leaves that has not had a token: in the middle of the prompt's reading."""

STOPPING = 2.3
"""Processor seconds that the engine may still use: two processors for a second, and what the service itself does."""


def processor_seconds(process: psutil.Process) -> float:
    """What a service has used, with the process that an engine of it may be."""
    times = [member.cpu_times() for member in (process, *process.children(recursive=True))]
    return float(sum(used.user + used.system for used in times))


@pytest.mark.parametrize(
    "entry", ["openvino-entry", soak_only("llamacpp-entry", reason="real_models hangs up on it")]
)
@pytest.mark.parametrize("when", ["while it streams", "before the first token"])
def test_a_client_that_hangs_up_stops_the_engine(running: Running, entry: str, when: str) -> None:
    """What it computes after that is counted in processor time, which a busy machine does not stretch."""
    pid = running.stack.pid("generation")
    assert pid is not None
    engine = psutil.Process(pid)
    # history makes the prefill long enough to hang up in
    filler = [{"role": "user", "content": "wind " * 1500}, {"role": "assistant", "content": "ok"}]
    messages = [*(filler if when == "before the first token" else []), *LONG["messages"]]
    warm = {"messages": LONG["messages"], "model": entry, "max_tokens": 1}
    assert httpx.post(running.url + CHAT, json=warm, timeout=120).status_code == 200
    timeout = httpx.Timeout(60, read=LEAVING) if when == "before the first token" else httpx.Timeout(60)
    try:
        with httpx.stream(
            "POST", running.url + CHAT, json={**LONG, "messages": messages, "model": entry}, timeout=timeout
        ) as reply:
            for line in reply.iter_lines():
                if '"content"' in line and "context_id" not in line:
                    break
    except httpx.ReadTimeout:
        assert when == "before the first token"
    left = processor_seconds(engine)
    end = time.monotonic() + 30
    while True:
        before = processor_seconds(engine)
        time.sleep(0.5)
        if in_flight(running) == 0 and processor_seconds(engine) - before < 0.15:
            break
        assert time.monotonic() < end, "the engine does not stop"
    assert processor_seconds(engine) - left < STOPPING


def in_flight(running: Running) -> float:
    """Requests in the generation service, this one for its metrics not counted."""
    metrics = httpx.get(f"{running.stack.url('generation')}/metrics").text
    line = next(line for line in metrics.splitlines() if line.startswith("ragline_requests_in_flight{"))
    return float(line.split()[-1]) - 1


def test_a_question_that_does_not_fit_is_a_400(running: Running) -> None:
    body = {"messages": [{"role": "user", "content": "long " * 30_000}], "rag": {"floor": 0}}
    reply = httpx.post(running.url + CHAT, json=body, timeout=60)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "context_length_exceeded")
    assert "tokens" in reply.json()["error"]["message"]
