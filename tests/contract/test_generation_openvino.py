"""openvino-genai's pipeline shared by many: what must not happen between requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import openvino_genai as genai
import pytest
import pytest_asyncio

from services.core.errors import ServiceError
from services.generation.backend import Prompt
from services.generation.backends.openvino.engine import OpenVinoEngine, create
from services.generation.backends.openvino.model import Model, encode
from services.generation.entries import ModelEntry

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASK = Prompt(messages=(("user", "Say hello."),), max_tokens=6, temperature=0.0, top_p=1.0)


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


@pytest.fixture
def model(engine: OpenVinoEngine) -> Model:
    value = engine._loader.value
    assert value is not None
    return value


async def answer(engine: OpenVinoEngine) -> str:
    return "".join([delta.content async for delta in engine.generate(ASK)])


async def fall_idle(model: Model) -> None:
    async with asyncio.timeout(5):
        while not model.batch.idle:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_request_that_came_as_it_fell_idle_is_answered(engine: OpenVinoEngine, model: Model) -> None:
    """The pump has just ended, the request is in the pipeline, and nobody works on it."""
    await fall_idle(model)
    config = genai.GenerationConfig()
    config.max_new_tokens = 3
    config.apply_chat_template = False
    handle = model.batch._pipeline.add_request(10**6, encode(model, ASK), config)
    async with asyncio.timeout(5):
        while not handle.can_read():
            model.batch.check(handle)
            await asyncio.sleep(0.01)
    await fall_idle(model)
    assert handle.get_status() == genai.GenerationStatus.FINISHED
    assert await answer(engine)


async def test_idle_again_and_again(engine: OpenVinoEngine, model: Model) -> None:
    first = await answer(engine)
    for pause in (0, 0.001, 0.003, 0.01, 0.03):
        await asyncio.sleep(pause)
        assert await answer(engine) == first
    await fall_idle(model)


async def test_a_failure_of_the_engine_reaches_every_request_and_passes(
    engine: OpenVinoEngine, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fall_idle(model)
    whole = await answer(engine)
    await fall_idle(model)

    def fail() -> genai.GenerationConfig:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(model.batch, "_primer_config", fail)
        results = await asyncio.gather(answer(engine), answer(engine), return_exceptions=True)
    failures = [result for result in results if isinstance(result, BaseException)]
    assert failures
    assert all(isinstance(failure, ServiceError) for failure in failures)
    assert all("out of memory" in str(failure) for failure in failures)
    assert await answer(engine) == whole


async def test_the_chat_template_is_the_models_own(model: Model) -> None:
    text = str(model.tokenizer.decode(encode(model, ASK).data[0].tolist(), skip_special_tokens=False))
    assert text.startswith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM")
    assert text.endswith("<|im_start|>user\nSay hello.<|im_end|>\n<|im_start|>assistant\n")


async def test_long_prompts_are_counted_whole(model: Model) -> None:
    """Tokenizers made from GGUF files cut at 8,192 tokens without a word."""
    long = Prompt(messages=(("user", "honey bees dance " * 6000),), max_tokens=1, temperature=0, top_p=1)
    assert model.truncates_at == 8192
    assert encode(model, long).shape[1] > 18000
