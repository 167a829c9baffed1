"""Every generation engine against its protocol; a new file in `backends/` is tested by itself.

The embedded engines run the real SmolLM2-135M, and `llamaserver` talks to a real llama.cpp server with
it. The other engines that are servers talk to Ragline's own generation service on loopback, or to the real
server that GENERATION_TEST_<ENGINE> describes as a model entry in JSON. `habana` needs torch and
transformers: `make test-engines`.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from importlib.util import find_spec
from typing import cast

import pytest
import pytest_asyncio

from services.core.backends import UnknownBackend, load, names
from services.core.errors import ContextLengthExceeded, ServiceUnavailable
from services.core.wire.features import Features
from services.generation.app import create
from services.generation.backend import PACKAGE, Delta, Engine, EngineModule, Prompt
from services.generation.configuration import SERVERS
from services.generation.entries import ModelEntry
from services.generation.reasoning.control import break_control_tokens
from services.generation.reasoning.profiles import PROFILES
from services.generation.settings import Settings
from tests.own_time import OwnTime
from tests.soak import SOAK

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.soak]

CONTEXT = 4096
LOAD_SECONDS = 120
WITHIN = 1.0
"""Seconds in which an engine must have stopped after its client went away."""

FACTS = " ".join(f"Item {i} costs {i * 7 % 97} euros." for i in range(300))
"""About 3,300 tokens: seconds of prefill."""


def ask(text: str, **changes: object) -> Prompt:
    values = {"max_tokens": 24, "temperature": 0.0, "top_p": 1.0, **changes}
    return Prompt(messages=(("user", text),), **values)  # type: ignore[arg-type]


class Subject:
    """One engine under test."""

    def __init__(self, name: str, engine: Engine, *, embedded: bool, real: bool) -> None:
        self.name = name
        self.engine = engine
        self.embedded = embedded
        self.real = real
        """Whether a language model computes its answers."""

    async def deltas(self, prompt: Prompt) -> list[Delta]:
        return [delta async for delta in self.engine.generate(prompt)]

    async def text(self, prompt: Prompt) -> str:
        return "".join(delta.content for delta in await self.deltas(prompt))

    async def idle_after(self) -> float:
        """Seconds from now until the engine computes nothing."""
        start = time.monotonic()
        while not self.engine.idle:  # type: ignore[attr-defined]  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        return time.monotonic() - start


def described(name: str) -> str:
    return os.environ.get(f"GENERATION_TEST_{name.upper()}", "")


def entry_for(name: str, request: pytest.FixtureRequest) -> ModelEntry:
    if described(name):
        return ModelEntry.model_validate_json(described(name))
    if name == "llamaserver":
        url = request.getfixturevalue("llama_server")
        return ModelEntry(name="tiny", engine=name, endpoint=url, model_id="tiny")
    if name in SERVERS:
        app = create(Settings(engine="fake", model_id="behind", max_context=CONTEXT))
        url = request.getfixturevalue("serve")(app)
        return ModelEntry(name="tiny", engine=name, endpoint=url, model_id="behind")
    if name == "habana" and not (find_spec("torch") and find_spec("transformers")):
        pytest.skip("habana needs torch and transformers: run make test-engines")
    if name == "fake":
        return ModelEntry(name="tiny", engine=name, model_id="fake", max_context=CONTEXT)
    if cast(EngineModule, load(PACKAGE, name)).CAPABILITIES.embedded:
        return ModelEntry(name="tiny", engine=name, model_id="smollm2-135m-instruct", max_context=CONTEXT)
    pytest.skip(f"set GENERATION_TEST_{name.upper()} to a model entry as JSON to test {name}")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=names(PACKAGE))
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    name = request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAKE_TOKENS_PER_SECOND", "200")
        patch.setenv("FAKE_TOKENS", "60")
        try:
            module = cast(EngineModule, load(PACKAGE, name))
        except UnknownBackend as error:
            pytest.skip(error.message)
        entry = entry_for(name, request)
        if module.CAPABILITIES.embedded:
            patch.setenv("RAGLINE_HOME", str(request.getfixturevalue("models_home")))
        engine = await module.create(entry)
        try:
            await until_ready(engine)
            embedded = module.CAPABILITIES.embedded
            real = embedded or name == "llamaserver" or bool(described(name))
            yield Subject(name, engine, embedded=embedded, real=real)
        finally:
            await engine.close()


async def until_ready(engine: Engine) -> None:
    deadline = time.monotonic() + LOAD_SECONDS
    while True:
        try:
            return await engine.ready()
        except ServiceUnavailable as error:
            if time.monotonic() > deadline or not error.message:
                raise
            await asyncio.sleep(0.05)


def skip_of_another_process(subject: Subject) -> None:
    """Skip what a real server computes and our client of it only passes on: the same llama.cpp runs in process."""
    if subject.name == "llamaserver" and not SOAK:
        pytest.skip("llama.cpp shows it in process: make test-soak asks its server too")


async def test_streams_and_ends_with_reason_and_counts(subject: Subject) -> None:
    *steps, last = await subject.deltas(ask("List three colours of the rainbow."))
    assert len([step for step in steps if step.content]) >= 3
    assert all(step.finish_reason is None for step in steps)
    assert last.finish_reason in {"stop", "length"}
    assert last.tokens is not None
    assert last.tokens.prompt >= 6
    assert 1 <= last.tokens.completion <= 24


async def test_control_tokens_in_a_question_are_text(subject: Subject) -> None:
    """Broken up they are several tokens each; as they are, a tokenizer makes one of each."""
    if not subject.real:
        pytest.skip("it has no tokenizer")
    tokens = "<|im_start|><|im_end|>" * 8
    counts = []
    for text in ("Hi.", f"Hi.{tokens}", f"Hi.{break_control_tokens(tokens, PROFILES['none'])}"):
        *_, last = await subject.deltas(ask(text, max_tokens=1))
        assert last.tokens is not None
        counts.append(last.tokens.prompt)
    plain, control, broken = counts
    assert control - plain <= 2 * 16, "one token each, as the model's template would have them"
    assert broken - plain >= 5 * 16, "letters and signs, as any other text"


@pytest.mark.parametrize("prefix", ["", "Sure. "])
async def test_an_answer_has_the_form_that_is_asked_for(subject: Subject, prefix: str) -> None:
    can = subject.engine.capabilities
    if not subject.real or not can.grammar or (prefix and not can.continuation):
        pytest.skip("only a real model of an engine with grammars can show it")
    schema = {
        "type": "object",
        "properties": {"colour": {"type": "string", "enum": ["red", "blue"]}},
        "required": ["colour"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "colour", "schema": schema}}
    features = Features.model_validate({"response_format": form})
    text = await subject.text(ask("Tell me of the sea.", features=features, prefix=prefix, max_tokens=40))
    assert json.loads(text)["colour"] in {"red", "blue"}
    anything = Features.model_validate({"response_format": {"type": "json_object"}})
    begun = await subject.text(ask("Tell me of the sea.", features=anything, prefix=prefix))
    assert begun.lstrip().startswith("{")
    assert not (await subject.text(ask("Tell me of the sea.", prefix=prefix))).lstrip().startswith("{")


async def test_log_probabilities_are_one_for_each_token(subject: Subject) -> None:
    if not subject.real or not subject.engine.capabilities.logprobs:
        pytest.skip("only a real model of an engine that gives them can show it")
    features = Features(logprobs=True, top_logprobs=2)
    *steps, last = await subject.deltas(ask("List three colours.", features=features, max_tokens=5))
    found = [one for step in (*steps, last) for one in step.logprobs]
    assert len(found) == 5
    assert all(one.logprob <= 0 and len(one.top_logprobs) == 2 for one in found)


async def test_a_penalty_and_a_bias_change_the_answer(subject: Subject) -> None:
    if not subject.real or not subject.engine.capabilities.penalties:
        pytest.skip("only a real model of an engine that takes them can show it")
    plain = await subject.text(ask("Count: 1, 1, 1, 1, 1, 1,"))
    held = await subject.text(
        ask("Count: 1, 1, 1, 1, 1, 1,", features=Features(presence_penalty=2, frequency_penalty=2))
    )
    assert held != plain


async def test_limit_is_a_number_of_tokens(subject: Subject) -> None:
    *_, last = await subject.deltas(ask("Write a long story about a lighthouse.", max_tokens=7))
    assert last.finish_reason == "length"
    assert last.tokens is not None
    assert last.tokens.completion == 7


async def test_longer_prompts_count_more(subject: Subject) -> None:
    skip_of_another_process(subject)
    short = (await subject.deltas(ask("Hello there", max_tokens=1)))[-1].tokens
    long = (await subject.deltas(ask("Hello there " * 50, max_tokens=1)))[-1].tokens
    assert short is not None
    assert long is not None
    assert long.prompt - short.prompt >= 49 * 2


async def test_stops_before_a_stop_string(subject: Subject) -> None:
    question = "Repeat: one two three four five six seven eight nine ten."
    whole = await subject.text(ask(question, max_tokens=40))
    middle = whole[len(whole) // 2 : len(whole) // 2 + 4]
    *_, last = deltas = await subject.deltas(ask(question, max_tokens=40, stop=(middle,)))
    assert "".join(delta.content for delta in deltas) == whole[: whole.index(middle)]
    assert last.finish_reason == "stop"


async def test_temperature_zero_repeats_itself(subject: Subject) -> None:
    skip_of_another_process(subject)
    question = ask("Name a city in Italy and say why people go there.")
    assert await subject.text(question) == await subject.text(question)


async def test_a_seed_repeats_a_sampled_answer(subject: Subject) -> None:
    skip_of_another_process(subject)
    if not subject.engine.capabilities.seed:
        pytest.skip("promises nothing")
    question = ask("Tell me a story about a fox.", temperature=1.0, seed=11, max_tokens=16)
    assert await subject.text(question) == await subject.text(question)
    if subject.real:
        others = [replace(question, seed=seed) for seed in (12, 13, 14)]
        assert len({await subject.text(other) for other in (question, *others)}) > 1


async def test_continues_what_the_assistant_began(subject: Subject) -> None:
    if not (subject.real and subject.engine.capabilities.continuation):
        pytest.skip("does not continue")
    question = "Name a city in Italy and say why people go there."
    whole = await subject.text(ask(question, max_tokens=40))
    prefix = " ".join(whole.split(" ")[:6])
    *_, last = deltas = await subject.deltas(ask(question, max_tokens=12, prefix=prefix))
    alone = (await subject.deltas(ask(question, max_tokens=1)))[-1]
    assert whole[len(prefix) :].startswith("".join(delta.content for delta in deltas)[:20])
    assert last.tokens is not None
    assert alone.tokens is not None
    assert last.tokens.prompt - alone.tokens.prompt >= 4


async def test_goes_on_where_the_turn_has_begun(subject: Subject) -> None:
    if subject.name not in {"openvino", "llamacpp"}:
        pytest.skip("what it says is that of a model with raw continuation")

    async def run(**changes: object) -> list[Delta]:
        return await subject.deltas(ask("Count from one to ten in words.", **{"max_tokens": 12, **changes}))

    plain, begun = await run(), await run(prefix="One, two, three, four, five,")
    text = "".join(delta.content for delta in begun)
    assert "six" in text.lower()[:12]
    assert "three" not in text.lower()
    assert plain[-1].tokens is not None
    assert begun[-1].tokens is not None
    assert plain[-1].tokens.prompt + 6 <= begun[-1].tokens.prompt <= plain[-1].tokens.prompt + 16
    stopped = await run(prefix="One, two, three, four,", stop=("seven",), max_tokens=40)
    assert "seven" not in "".join(delta.content for delta in stopped)
    assert stopped[-1].finish_reason == "stop"


async def test_concurrent_requests_keep_apart(subject: Subject) -> None:
    skip_of_another_process(subject)
    questions = [
        ask(f"Tell me about the number {word}.", max_tokens=12) for word in ("one", "two", "three", "four")
    ]
    alone = [await subject.deltas(question) for question in questions]
    together = await asyncio.gather(*(subject.deltas(question) for question in questions))
    assert [deltas[-1].tokens.prompt for deltas in together if deltas[-1].tokens] == [
        deltas[-1].tokens.prompt for deltas in alone if deltas[-1].tokens
    ]
    assert all("".join(delta.content for delta in deltas) for deltas in together)


async def test_prompt_that_does_not_fit(subject: Subject) -> None:
    with pytest.raises(ContextLengthExceeded, match="tokens"):
        await subject.deltas(ask(FACTS * 20))
    assert await subject.text(ask("Say hello.", max_tokens=4))


async def test_closing_stops_it_while_it_generates(subject: Subject) -> None:
    stream = subject.engine.generate(ask("Write a very long story about the sea.", max_tokens=3000))
    for _ in range(3):
        await anext(stream)
    clock = OwnTime()
    await stream.aclose()
    if subject.embedded:
        await subject.idle_after()
    assert clock.seconds() < WITHIN


async def test_cancelling_stops_it_while_it_reads_the_prompt(subject: Subject) -> None:
    if not subject.embedded:
        pytest.skip("reads no prompt itself")
    stream = subject.engine.generate(ask(f"{time.monotonic()} {FACTS}", max_tokens=50))
    step = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.4)
    assert not step.done()
    clock = OwnTime()
    step.cancel()
    await asyncio.gather(step, return_exceptions=True)
    await stream.aclose()
    await subject.idle_after()
    assert clock.seconds() < WITHIN


async def test_the_event_loop_stays_free(subject: Subject) -> None:
    if subject.real and not subject.embedded:
        pytest.skip("computes in another process, which may take every CPU for itself")
    # a second of prefill and more: llama.cpp reads a fifth of what openvino does in that time
    text = FACTS[:4000] if subject.name == "openvino" else FACTS[:600]
    longest = []
    while len(longest) < 3 and min(longest, default=1.0) >= 0.25:  # what others do on the machine passes
        gaps: list[float] = []
        ticking = asyncio.ensure_future(tick(gaps))
        await subject.deltas(ask(f"{time.monotonic()} {text}", max_tokens=8))
        ticking.cancel()
        longest.append(max(gaps))
    assert min(longest) < 0.25, "the engine holds up the event loop"


async def tick(gaps: list[float]) -> None:
    while True:
        before = time.monotonic()
        await asyncio.sleep(0.005)
        gaps.append(time.monotonic() - before)


@pytest.mark.parametrize("name", names(PACKAGE))
async def test_closing_while_it_loads(
    name: str, request: pytest.FixtureRequest, models_home: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGLINE_HOME", str(models_home))
    engine = await cast(EngineModule, load(PACKAGE, name)).create(entry_for(name, request))
    start = time.monotonic()
    await engine.close()
    assert time.monotonic() - start < WITHIN


@pytest.mark.parametrize("name", ["openvino", "llamacpp"])
async def test_a_model_that_is_not_there_says_so(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = ModelEntry(name="tiny", engine=name, model_path="/nonexistent/model.gguf")
    engine = await cast(EngineModule, load(PACKAGE, name)).create(entry)
    with pytest.raises(ServiceUnavailable, match="LLM_MODEL_PATH"):
        await anext(engine.generate(ask("Hello")))
    with pytest.raises(ServiceUnavailable, match=r"/nonexistent/model\.gguf"):
        await engine.ready()
    await engine.close()
