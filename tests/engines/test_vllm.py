"""A real vLLM server behind our generation service, as users run it: `make test-engines`.

Its environment is `build/vllm-venv`, which that target makes; skipped without it. The model is SmolLM2-135M with tags for its
thinking (`vllm_model.py`), so the format is real and the answers are nonsense. The server takes minutes to start.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import orjson
import pytest
import pytest_asyncio

from services.core.models.fetch import fetch
from services.generation.app import create
from services.generation.settings import Settings
from tests.contract.conftest import running
from tests.ports import free_port

BUILD = Path(__file__).parents[2] / "build"
PYTHON = BUILD / "vllm-venv" / "bin" / "python"
MODEL = BUILD / "vllm-model"
LOG = BUILD / "vllm.log"
START_SECONDS = 1200
CONTEXT = 1024
BUDGET = 12
STORY = "Tell me a long story about a lighthouse and the people who live there."

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
}

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(START_SECONDS + 600),
    pytest.mark.skipif(not PYTHON.exists(), reason="no vLLM in build/vllm-venv: run make test-engines"),
]


@pytest.fixture(scope="module")
def vllm_url(models_home: Path) -> Iterator[str]:
    """The base URL of a vLLM server that parses DeepSeek-R1's reasoning; VLLM_TEST_URL names one that runs already."""
    if os.environ.get("VLLM_TEST_URL"):
        yield os.environ["VLLM_TEST_URL"]
        return
    if not (MODEL / "model.safetensors").exists():
        source = fetch("smollm2-135m-instruct", models_home)
        make = [PYTHON, Path(__file__).with_name("vllm_model.py"), source, MODEL]
        subprocess.run(make, check=True, env={**os.environ, **OFFLINE})
    port = free_port()
    command = [PYTHON, "-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--model", MODEL, "--served-model-name", "tiny", "--dtype", "bfloat16", "--enforce-eager"]
    command += ["--max-model-len", str(CONTEXT), "--reasoning-parser", "deepseek_r1"]
    with LOG.open("wb") as log:
        server = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, cwd=BUILD, env={**os.environ, **OFFLINE}
        )
        try:
            wait_for(port, server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            try:
                server.wait(60)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if server.poll() is not None:
            raise AssertionError(f"vLLM ended with status {server.returncode}: see {LOG}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.5)
    raise AssertionError(f"vLLM does not listen after {START_SECONDS} s: see {LOG}")


@pytest.fixture(scope="module", params=["native budget", "closed by us"])
def url(request: pytest.FixtureRequest, vllm_url: str) -> Iterator[str]:
    """Our generation service with the server as its only entry."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_THINKING_BUDGET", str(request.param == "native budget").lower())
        settings = Settings(
            engine="vllm", endpoint=vllm_url, model_id="tiny", profile="deepseek-r1", max_tokens=32
        )
        with running(create(settings)) as url:
            yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def ask(text: str, **fields: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}], "temperature": 0, **fields}


async def test_it_is_ready_and_serves_the_entrys_model(session: aiohttp.ClientSession, url: str) -> None:
    async with session.get(f"{url}/health/ready") as reply:
        assert reply.status == 200, await reply.text()


async def test_thinking_within_its_budget_and_then_an_answer(
    session: aiohttp.ClientSession, url: str
) -> None:
    body = ask("Name a city in Italy.", max_reasoning_tokens=BUDGET)
    async with session.post(f"{url}/v1/chat/completions", json=body) as reply:
        answer = await reply.json()
    assert reply.status == 200, answer
    message, usage = answer["choices"][0]["message"], answer["usage"]
    assert message["content"].strip()
    assert message["reasoning_content"].strip()
    assert "think>" not in message["content"] + message["reasoning_content"]
    # vLLM counts from the opener on, which this template writes: it says 0, and so the service says that it does not know
    counted = usage["completion_tokens_details"]["reasoning_tokens"]
    assert counted is None or 0 < counted <= BUDGET + 2
    assert usage["prompt_tokens"] > 20


async def test_a_stream_has_the_thinking_first(session: aiohttp.ClientSession, url: str) -> None:
    body = ask(STORY, max_reasoning_tokens=BUDGET, stream=True, stream_options={"include_usage": True})
    chunks: list[dict[str, object]] = []
    async with session.post(f"{url}/v1/chat/completions", json=body) as reply:
        lines = [line.decode().strip() async for line in reply.content]
    events = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    chunks = [orjson.loads(event) for event in events[:-1]]
    channels: list[str] = []
    for chunk in chunks:
        for choice in chunk["choices"]:  # type: ignore[attr-defined]
            for name in ("reasoning_content", "content"):
                if choice["delta"].get(name):
                    channels.append(name)
    assert channels == sorted(channels, reverse=True)  # reasoning_content before content
    assert len(set(channels)) == 2
    assert 1 < channels.count("reasoning_content") <= BUDGET + 2
    assert channels.count("content") > 5
    assert chunks[-1]["usage"]["completion_tokens"] > BUDGET  # type: ignore[index]


async def test_without_thinking_the_answer_comes_at_once(session: aiohttp.ClientSession, url: str) -> None:
    body = ask("Name a city in Italy.", max_reasoning_tokens=0, max_tokens=12)
    async with session.post(f"{url}/v1/chat/completions", json=body) as reply:
        answer = await reply.json()
    assert reply.status == 200, answer
    assert answer["choices"][0]["message"]["content"].strip()
    assert answer["usage"]["completion_tokens"] <= 12 + 2


async def test_a_client_that_hangs_up_stops_the_server(
    session: aiohttp.ClientSession, url: str, vllm_url: str
) -> None:
    body = ask(STORY, max_reasoning_tokens=600, max_tokens=800, stream=True)
    async with session.post(f"{url}/v1/chat/completions", json=body) as reply:
        async for line in reply.content:
            if b'"reasoning_content":"' in line:
                break
        assert await running_requests(session, vllm_url) == 1
    async with asyncio.timeout(20):
        while await running_requests(session, vllm_url):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def running_requests(session: aiohttp.ClientSession, vllm_url: str) -> float:
    async with session.get(f"{vllm_url}/metrics") as reply:
        lines = (await reply.text()).splitlines()
    return float(next(line for line in lines if line.startswith("vllm:num_requests_running")).split()[-1])


async def test_a_prompt_that_does_not_fit_is_a_400(session: aiohttp.ClientSession, url: str) -> None:
    async with session.post(f"{url}/v1/chat/completions", json=ask("word " * 3000)) as reply:
        answer = await reply.json()
    assert (reply.status, answer["error"]["code"]) == (400, "context_length_exceeded")
    assert str(CONTEXT) in answer["error"]["message"]


async def test_another_model_than_the_served_one_is_named(
    session: aiohttp.ClientSession, vllm_url: str
) -> None:
    settings = Settings(engine="vllm", endpoint=vllm_url, model_id="other")
    with running(create(settings)) as url:
        async with session.get(f"{url}/health/ready") as reply:
            text = await reply.text()
    assert reply.status == 503
    assert "serves tiny, not other" in text
