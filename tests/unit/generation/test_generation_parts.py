"""Small parts: loading, sampling, files, processors."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from services.core.context import set_deadline
from services.core.errors import InvalidRequest, ServiceError, ServiceUnavailable
from services.core.models.catalogue import CATALOGUE
from services.core.models.fetch import location
from services.core.models.memory import NotEnoughMemory
from services.core.models.references import find_catalogue_name
from services.core.wire.chat import ChatMessage, ChatRequest
from services.generation.backend import Prompt
from services.generation.backends.openvino import convert
from services.generation.backends.openvino.folder import find_converted_folder
from services.generation.entries import ModelEntry
from services.generation.loading import Loader, Report, locate_model
from services.generation.selection import cpu_model
from services.generation.settings import usable_cpus
from services.generation.task import make_task
from services.generation.threads import run_in_thread


async def test_a_thread_passes_results_and_errors_on() -> None:
    assert await run_in_thread(threading.get_ident, "t") != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await run_in_thread(lambda: 1 // 0, "t")


async def test_loader_waits_for_what_is_short() -> None:
    async def load(_: Report) -> str:
        await asyncio.sleep(0.05)
        return "model"

    loader = Loader("model m", load)
    with pytest.raises(ServiceUnavailable, match=r"model m: loading \.\.\."):
        await loader.ready()
    assert await loader.get() == "model"
    await loader.ready()
    assert await loader.close() == "model"


async def test_loader_is_not_stopped_by_a_caller_that_gives_up() -> None:
    async def load(_: Report) -> str:
        set_deadline(0.001)
        await asyncio.sleep(0.05)
        return "model"

    loader = Loader("model m", load)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await loader.get()
    assert await loader.get() == "model"
    await loader.close()


async def test_a_phase_that_begins_while_one_waits_ends_the_wait() -> None:
    async def load(report: Report) -> str:
        await asyncio.sleep(0.05)
        report("fetching m: 3 %")
        await asyncio.sleep(5)
        return "model"

    loader = Loader("model m", load)
    with pytest.raises(ServiceUnavailable, match="fetching m: 3 %"):
        await loader.get()
    assert await loader.close() is None


async def test_a_crash_while_loading_is_a_service_error() -> None:
    async def load(_: Report) -> str:
        raise RuntimeError("bad magic")

    loader = Loader("model m", load)
    with pytest.raises(ServiceError, match="model m could not be loaded: bad magic"):
        await loader.get()
    await loader.close()


def request(**fields: object) -> ChatRequest:
    return ChatRequest.model_validate({"messages": [{"role": "user", "content": "Hi"}], **fields})


def prompt(request: ChatRequest, answer: int) -> Prompt:
    return make_task(request, ModelEntry(name="m", model_id="any-instruct"), answer=answer, thinking=0).prompt


def test_defaults_are_greedy_and_bounded() -> None:
    made = prompt(request(), 512)
    assert (made.temperature, made.top_p, made.max_tokens, made.seed, made.stop) == (0.0, 1.0, 512, None, ())


def test_what_the_request_says_wins() -> None:
    made = prompt(
        request(temperature=0.6, top_p=0.95, max_completion_tokens=9, max_tokens=7, seed=0, stop="E"),
        5,
    )
    assert (made.temperature, made.top_p, made.max_tokens, made.seed, made.stop) == (0.6, 0.95, 9, 0, ("E",))


def test_developer_is_system_and_parts_are_joined() -> None:
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
    ]
    made = prompt(ChatRequest(messages=[ChatMessage.model_validate(m) for m in messages]), 5)
    assert made.messages == (("system", "Be brief."), ("user", "ab"))


@pytest.mark.parametrize("fields", [{"stop": [""]}, {"stop": ["x"] * 17}, {"messages": [{"role": "user"}]}])
def test_what_no_engine_can_do(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        prompt(request(**fields), 5)


def test_hub_ids_find_the_catalogue() -> None:
    assert find_catalogue_name("Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF") == "qwen2.5-coder-0.5b-instruct"
    assert find_catalogue_name("deepseek-ai/DeepSeek-R1-Distill-Llama-8B") == "deepseek-r1-distill-llama-8b"
    assert find_catalogue_name("unsloth/DeepSeek-R1-Distill-Qwen-7B-GGUF") == "deepseek-r1-distill-qwen-7b"
    assert find_catalogue_name("Qwen/Qwen3-0.6B") == "qwen3-0.6b"
    assert find_catalogue_name("someone/Qwen3-0.6B-GGUF") == "someone/Qwen3-0.6B-GGUF", "another file"
    assert find_catalogue_name("org/unknown") == "org/unknown"
    assert all(find_catalogue_name(name) == name for name in CATALOGUE)


def test_a_path_is_used_as_it_is(tmp_path: Path) -> None:
    entry = ModelEntry(name="m", model_path=str(tmp_path))
    assert locate_model(entry, tmp_path / "home", lambda _: None) == tmp_path
    with pytest.raises(ServiceUnavailable, match="LLM_MODEL_PATH"):
        locate_model(entry.model_copy(update={"model_path": str(tmp_path / "no")}), tmp_path, lambda _: None)


def test_a_fetched_model_needs_no_fetching(models_home: Path) -> None:
    said: list[str] = []
    path = locate_model(ModelEntry(name="m", model_id="smollm2-135m-instruct"), models_home, said.append)
    assert path == location(CATALOGUE["smollm2-135m-instruct"], models_home)
    assert [phase for phase in said if phase] == []


def test_a_model_that_does_not_fit_is_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.generation.loading.read_memory_limit", lambda: 1_000_000_000)
    with pytest.raises(NotEnoughMemory, match=r"qwen3-8b needs at least 5\.\d GB"):
        locate_model(ModelEntry(name="m", model_id="qwen3-8b"), tmp_path, lambda _: None)
    assert not list(tmp_path.rglob("*.gguf"))


def test_a_changed_file_or_engine_is_converted_again(tmp_path: Path) -> None:
    gguf = tmp_path / "m.gguf"
    gguf.write_bytes(b"one")
    first = find_converted_folder(gguf, tmp_path, "1")
    assert first == find_converted_folder(gguf, tmp_path, "1")
    assert first != find_converted_folder(gguf, tmp_path, "2")
    gguf.write_bytes(b"three")
    assert first != find_converted_folder(gguf, tmp_path, "1")


def test_conversion_is_whole_or_absent_and_done_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gguf, folder = tmp_path / "m.gguf", tmp_path / "openvino" / "m-2"
    gguf.touch()
    older, other = folder.with_name("m-1"), folder.with_name("n-1")
    for path, source in ((older, gguf), (other, tmp_path / "n.gguf")):
        path.mkdir(parents=True)
        (path / convert.DONE).write_text(f'{{"context_length": null, "source": "{source}"}}')
    built: list[Path] = []

    def build(source: Path, staging: Path) -> None:
        built.append(staging)
        assert not folder.exists()
        if len(built) == 1:
            raise OSError("disk full")
        (staging / convert.DONE).write_text(f'{{"context_length": 8, "source": "{source}"}}')

    monkeypatch.setattr(convert, "_build", build)
    with pytest.raises(OSError, match="disk full"):
        convert.convert(gguf, folder)
    assert not folder.exists()
    for _ in range(2):
        convert.convert(gguf, folder)
    assert len(built) == 2
    assert sorted(path.name for path in folder.parent.iterdir() if path.is_dir()) == ["m-2", "n-1"]


def test_cpus_respect_a_container_quota(tmp_path: Path) -> None:
    limit = tmp_path / "cpu.max"
    allowed = len(os.sched_getaffinity(0))
    for text, expected in (
        ("max 100000", allowed),
        ("100000 100000", 1),
        ("50000 100000", 1),
        ("junk", allowed),
    ):
        limit.write_text(text)
        assert usable_cpus(limit) == expected
    assert usable_cpus(tmp_path / "absent") == allowed


def test_the_processor_has_a_name(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor : 0\nmodel name\t: Some CPU @ 2GHz\n")
    assert cpu_model(cpuinfo) == "Some CPU @ 2GHz"
    assert cpu_model(tmp_path / "absent")
