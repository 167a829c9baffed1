"""The `habana` engine's CPU path with a real model: `make test-engines`. Skipped without torch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from services.core.errors import InvalidRequest, ServiceUnavailable
from services.core.models.fetch import fetch
from services.generation.backend import Engine, Prompt
from services.generation.backends.habana import gaudi
from services.generation.backends.habana.engine import HabanaEngine, Settings, create
from services.generation.entries import ModelEntry

pytest.importorskip("torch", reason="habana needs torch: run make test-engines")
transformers = pytest.importorskip("transformers", reason="habana needs transformers: run make test-engines")

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASK = Prompt((("user", "Name a city in Italy."),), max_tokens=16, temperature=0.0, top_p=1.0)
FACTS = " ".join(f"Item {i} costs {i * 7 % 97} euros." for i in range(250))


async def until_ready(engine: Engine) -> None:
    async with asyncio.timeout(120):
        while True:
            try:
                return await engine.ready()
            except ServiceUnavailable:
                await asyncio.sleep(0.1)


async def text(engine: Engine, prompt: Prompt) -> str:
    return "".join([delta.content async for delta in engine.generate(prompt)])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(models_home: Path) -> AsyncIterator[Engine]:
    entry = ModelEntry(name="tiny", engine="habana", model_id="smollm2-135m-instruct", max_context=4096)
    engine = HabanaEngine(entry, Settings(home=models_home))
    await until_ready(engine)
    yield engine
    await engine.close()


async def test_a_folder_gives_the_same_answer_as_the_file(
    engine: Engine, models_home: Path, tmp_path: Path
) -> None:
    file = fetch("smollm2-135m-instruct", models_home)
    source = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    transformers.AutoTokenizer.from_pretrained(**source).save_pretrained(tmp_path)
    read = transformers.AutoModelForCausalLM.from_pretrained(**source)
    config = transformers.AutoConfig.from_pretrained(**source)
    plain = transformers.AutoModelForCausalLM.from_config(
        config
    )  # a model read from a GGUF file is not saved
    plain.load_state_dict(read.state_dict())
    plain.generation_config = read.generation_config
    plain.save_pretrained(tmp_path)
    entry = ModelEntry(name="folder", engine="habana", model_path=str(tmp_path), max_context=1024)
    other = await create(entry)
    await until_ready(other)
    assert await text(other, ASK) == await text(engine, ASK)
    await other.close()


async def test_a_hang_up_while_it_reads_a_long_prompt(engine: HabanaEngine) -> None:
    prompt = Prompt((("user", FACTS),), max_tokens=50, temperature=0.0, top_p=1.0)
    step = asyncio.ensure_future(anext(engine.generate(prompt)))
    await asyncio.sleep(0.5)
    assert not engine.idle
    start = time.monotonic()
    step.cancel()
    await asyncio.gather(step, return_exceptions=True)
    while not engine.idle:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    assert time.monotonic() - start < 1
    assert await text(engine, ASK)


async def test_waiting_requests_take_turns(engine: Engine) -> None:
    alone = await text(engine, ASK)
    assert await asyncio.gather(*(text(engine, ASK) for _ in range(3))) == [alone] * 3


async def test_messages_that_the_template_refuses(engine: Engine) -> None:
    loader = engine._loader  # type: ignore[attr-defined]
    tokenizer = (await loader.get())._tokenizer
    own = tokenizer.chat_template
    tokenizer.chat_template = "{{ raise_exception('no system role') }}"
    try:
        with pytest.raises(InvalidRequest, match="no system role"):
            await text(engine, ASK)
    finally:
        tokenizer.chat_template = own


@pytest.mark.skipif(gaudi.find_device() == gaudi.HPU, reason="there is a Gaudi here")
async def test_without_a_bridge_it_is_the_cpu() -> None:
    assert gaudi.find_device() == "cpu"
    with pytest.raises(ServiceUnavailable, match="habana_frameworks"):
        gaudi.adapt_transformers()


@pytest.mark.skipif(
    gaudi.find_device() != gaudi.HPU,
    reason="no Gaudi here: optimum-habana's models, HPU graphs and growing shapes are not run, only the CPU path is",
)
async def test_on_a_card_the_models_are_gaudis() -> None:
    gaudi.adapt_transformers()
