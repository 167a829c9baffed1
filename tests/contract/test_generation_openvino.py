"""The real openvino-genai in its process: many requests, a crash while it streams, and its own tokens."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path

import openvino_genai as genai
import pytest
import pytest_asyncio

from services.core.errors import ServiceError, ServiceUnavailable
from services.core.models.fetch import fetch
from services.generation.backend import Prompt
from services.generation.backends.openvino.engine import DISTRIBUTION, OpenVinoEngine, create
from services.generation.backends.openvino.folder import find_converted_folder
from services.generation.backends.openvino.model import OpenVinoModel
from services.generation.entries import ModelEntry

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASK = Prompt(messages=(("user", "Say hello."),), max_tokens=6, temperature=0.0, top_p=1.0)
STORY = Prompt(messages=(("user", "Tell me a long story."),), max_tokens=400, temperature=0.0, top_p=1.0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(models_home: Path) -> AsyncIterator[OpenVinoEngine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGLINE_HOME", str(models_home))
        created = await create(ModelEntry(name="tiny", model_id="smollm2-135m-instruct", max_context=2048))
        while True:
            try:
                await anext(created.generate(ASK))
                break
            except ServiceError:
                await asyncio.sleep(0.2)
        yield created
        await created.close()


class NoPipeline:
    def get_config(self) -> genai.GenerationConfig:
        return genai.GenerationConfig()


@pytest.fixture(scope="module")
def model(engine: OpenVinoEngine, models_home: Path) -> OpenVinoModel:
    """The same model's tokenizer in this process; the engine has converted it. Nothing is computed with it."""
    folder = find_converted_folder(
        fetch("smollm2-135m-instruct", models_home), models_home, version(DISTRIBUTION)
    )
    return OpenVinoModel(genai.Tokenizer(str(folder)), NoPipeline(), 2048, "tiny")


async def answer(engine: OpenVinoEngine) -> str:
    return "".join([delta.content async for delta in engine.generate(ASK)])


async def fall_idle(engine: OpenVinoEngine) -> None:
    async with asyncio.timeout(60):
        while not engine.idle:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_idle_again_and_again(engine: OpenVinoEngine) -> None:
    first = await answer(engine)
    for pause in (0, 0.001, 0.003, 0.01, 0.03):
        await asyncio.sleep(pause)
        assert await answer(engine) == first
    await fall_idle(engine)


async def test_requests_come_and_go_while_it_works(engine: OpenVinoEngine) -> None:
    """Each is added in the middle of another's steps, and some leave early."""
    first = await answer(engine)
    stream = engine.generate(STORY)
    await anext(stream)
    for _ in range(3):
        left = engine.generate(STORY)
        await anext(left)
        await left.aclose()
        assert await answer(engine) == first
    await stream.aclose()
    await fall_idle(engine)


async def test_an_engine_that_is_killed_while_it_streams(engine: OpenVinoEngine) -> None:
    whole = await answer(engine)
    streams = [engine.generate(STORY) for _ in range(2)]
    for stream in streams:
        await anext(stream)
    pid = engine.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    for stream in streams:
        with pytest.raises(ServiceUnavailable, match="engine process died of SIGKILL"):
            async for _ in stream:
                pass
    assert await answer(engine) == whole
    assert engine.pid not in {None, pid}


async def test_the_chat_template_is_the_models_own(model: OpenVinoModel) -> None:
    tokens = model.encode(ASK).data[0].tolist()
    text = str(model.tokenizer.decode(tokens, skip_special_tokens=False))
    assert text.startswith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM")
    assert text.endswith("<|im_start|>user\nSay hello.<|im_end|>\n<|im_start|>assistant\n")


async def test_long_prompts_are_counted_whole(model: OpenVinoModel) -> None:
    """Tokenizers made from GGUF files cut at 8,192 tokens without a word."""
    long = Prompt(messages=(("user", "honey bees dance " * 6000),), max_tokens=1, temperature=0, top_p=1)
    assert model.truncates_at == 8192
    assert model.encode(long).shape[1] > 18000
