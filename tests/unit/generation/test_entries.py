"""Which entries the environment describes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from services.core.errors import NotFound
from services.generation.configuration import BadEntries, Entries, find_backend, read_entries
from services.generation.entries import ModelEntry, build_chain
from services.generation.reasoning.matching import find_profile
from services.generation.settings import EntrySettings
from services.generation.task import profile_of

ENGINES = ["fake", "llamacpp", "llamaserver", "openai", "openvino", "tgi", "vllm"]
TWO = [
    {"name": "a", "engine": "vllm", "endpoint": "http://x:8000", "model_id": "org/Model-A"},
    {"name": "b", "engine": "openvino", "model_id": "smollm2-135m-instruct", "max_context": 1024},
]


def entries(**settings: object) -> Entries:
    return read_entries(EntrySettings(**settings), ENGINES)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in EntrySettings.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)


def test_nothing_set_gives_small_and_large() -> None:
    found = entries()
    assert list(found.by_name) == ["small", "large"]
    assert found.default.name == "small"
    assert {entry.engine for entry in found.by_name.values()} == {"auto"}
    assert found.by_name["large"].model_id == "qwen2.5-coder-1.5b-instruct"


def test_the_swap_is_one_variable() -> None:
    assert entries(backend="large").default.name == "large"


def test_unknown_default_lists_the_known() -> None:
    with pytest.raises(BadEntries, match=r"LLM_BACKEND=medium: unknown, choose one of small, large"):
        entries(backend="medium")


def test_engine_alone_overrides_auto() -> None:
    found = entries(engine="llamacpp", backend="large")
    assert {entry.engine for entry in found.by_name.values()} == {"llamacpp"}
    assert found.default.name == "large"


def test_one_server_entry_becomes_the_default_beside_the_embedded_two() -> None:
    found = entries(
        engine="vllm", endpoint="http://gaudi:8000/v1", model_id="deepseek-ai/DeepSeek-R1", api_key="k"
    )
    assert found.default.name == "DeepSeek-R1"
    assert found.default.endpoint == "http://gaudi:8000/v1"
    assert found.default.api_key == "k"
    assert list(found.by_name) == ["small", "large", "DeepSeek-R1"]
    assert "k" not in repr(found.default).split("api")


def test_name_of_the_one_entry_is_the_callers() -> None:
    found = entries(backend="r1", endpoint="http://x", model_id="deepseek-ai/DeepSeek-R1")
    assert found.default.name == "r1"
    assert found.default.engine == "openai"


def test_a_path_is_enough(tmp_path: Path) -> None:
    found = entries(model_path=str(tmp_path / "my model v2.gguf"), max_context=2048)
    assert (found.default.name, found.default.engine) == ("my-model-v2", "auto")
    assert found.default.max_context == 2048


def test_fake_needs_nothing() -> None:
    assert entries(engine="fake").default.name == "fake"


def test_list_replaces_the_embedded_two() -> None:
    found = entries(backends=orjson.dumps(TWO).decode())
    assert list(found.by_name) == ["a", "b"]
    assert found.default.name == "a"
    assert entries(backends=orjson.dumps(TWO).decode(), backend="b").default.max_context == 1024


@pytest.mark.parametrize("kind", ["json", "toml"])
def test_list_from_a_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"models.{kind}"
    if kind == "json":
        path.write_bytes(orjson.dumps(TWO))
    else:
        blocks = (
            "\n".join(f"{key} = {orjson.dumps(value).decode()}" for key, value in e.items()) for e in TWO
        )
        path.write_text("".join(f"[[models]]\n{block}\n" for block in blocks))
    found = entries(backends=str(path))
    assert [entry.model_dump(exclude_defaults=True) for entry in found.by_name.values()] == TWO


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"engine": "vllm"}, "set LLM_ENDPOINT"),
        ({"engine": "openai", "endpoint": "http://x"}, "needs LLM_MODEL_ID"),
        (
            {"engine": "vllm", "endpoint": "x:8000", "model_id": "m"},
            "LLM_ENDPOINT=x:8000: must start with http",
        ),
        ({"engine": "vlm", "model_id": "m"}, "unknown engine 'vlm', choose one of auto"),
        ({"backends": "[]"}, "the list is empty"),
        ({"backends": "/nonexistent/models.json"}, "/nonexistent/models.json cannot be read"),
        ({"backends": "[{"}, "LLM_BACKENDS: not a JSON list"),
        ({"backends": '[{"name": "a", "engin": "vllm"}]'}, "0.engin"),
        ({"backends": orjson.dumps([TWO[0], TWO[0]]).decode()}, "two entries have the same name"),
        ({"backends": '[{"name": "a", "engine": "vllm", "model_id": "m"}]'}, "entry a: .* set endpoint"),
        ({"backend": "not a name", "endpoint": "http://x", "model_id": "m"}, "LLM_BACKEND=not a name: name"),
    ],
)
def test_mistakes_name_the_variable(settings: dict[str, object], message: str) -> None:
    with pytest.raises(BadEntries, match=message):
        entries(**settings)


def test_a_name_that_is_no_model_is_refused() -> None:
    with pytest.raises(BadEntries, match=r"LLM_MODEL_ID=R1: .*hub id.*LLM_MODEL_PATH.*LLM_ENDPOINT"):
        entries(model_id="R1")
    with pytest.raises(BadEntries, match=r"LLM_MODEL_ID=all-minilm-l6-v2: not in the model catalogue"):
        entries(model_id="all-minilm-l6-v2")
    for model in ("Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF", "a/b-GGUF:Q8_0", "https://files.example/c.gguf"):
        assert entries(model_id=model).default.engine == "auto"


@pytest.mark.parametrize(
    ("named", "name", "profile"),
    [
        ("deepseek-r1-distill-qwen-1.5b", "deepseek-r1-distill-qwen-1.5b", "deepseek-r1"),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", "deepseek-r1-distill-llama-8b", "deepseek-r1"),
        ("qwen3-0.6b", "qwen3-0.6b", "qwen3"),
        ("Qwen/Qwen3-8B", "qwen3-8b", "qwen3"),
    ],
)
def test_the_default_may_be_named_out_of_the_catalogue(named: str, name: str, profile: str) -> None:
    made = entries(backend=named, engine="llamacpp")
    assert made.default.name == made.default.model_id == name
    assert made.default.engine == "llamacpp"
    assert list(made.by_name) == ["small", "large", name], "the others stay, to be asked and compared"
    assert find_profile(made.default.model_id).name == profile


def test_an_entry_of_ones_own_goes_before_the_catalogue() -> None:
    listed = '[{"name": "qwen3-8b", "engine": "fake", "model_id": "m"}]'
    assert entries(backend="qwen3-8b", backends=listed).default.engine == "fake"


def test_the_service_does_not_start_on_a_mistake() -> None:
    environment = {**os.environ, "LLM_BACKEND": "medium"}
    run = subprocess.run(  # noqa: PLW1510 - its status is what is tested
        [sys.executable, "-m", "services.generation"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert run.returncode == 2
    assert run.stderr.startswith("LLM_BACKEND=medium: unknown")


def test_a_request_picks_by_name_or_model_id() -> None:
    found = entries(backends=orjson.dumps(TWO).decode())
    assert found.find("").name == "a"
    assert found.find("b").name == "b"
    assert found.find("org/Model-A").name == "a"
    with pytest.raises(NotFound, match="choose one of a, b"):
        found.find("c")


def test_server_names_are_one_protocol() -> None:
    assert {find_backend(name) for name in ("ollama", "ovms", "sglang", "lmdeploy")} == {"openai"}
    assert find_backend("llama-server") == "llamaserver"
    assert find_backend("vllm") == "vllm"
    assert find_backend("openvino") == "openvino"


def listed(*entries: dict[str, object]) -> str:
    fake = {"engine": "fake", "model_id": "m"}
    return orjson.dumps([{**fake, **entry} for entry in entries]).decode()


def test_the_environment_overrides_what_the_default_entry_says() -> None:
    found = entries(
        backends=listed({"name": "a", "profile": "tags"}, {"name": "b"}, {"name": "c"}),
        backend="a",
        profile="qwen3",
        temperature=0.0,
        top_p=0.5,
        aliases="gpt-4o, chat",
        fallback="c , b",
    ).by_name
    a = found["a"]
    assert (a.profile, a.temperature, a.top_p) == ("qwen3", 0.0, 0.5)
    assert (a.aliases, a.fallback) == (("gpt-4o", "chat"), ("c", "b"))
    assert found["b"] == ModelEntry(name="b", engine="fake", model_id="m")


def test_the_one_entry_takes_them_too() -> None:
    one = entries(engine="fake", backend="r1", profile="tags", fallback="small").default
    assert (one.name, one.profile, one.fallback) == ("r1", "tags", ("small",))


def test_an_alias_is_a_name_and_goes_before_a_model_id() -> None:
    found = entries(
        backends=listed({"name": "a", "model_id": "gpt-4o"}, {"name": "b", "aliases": ["gpt-4o"]})
    )
    assert found.find("gpt-4o").name == "b"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fallback": "nobody"}, "LLM_FALLBACK: no model entry 'nobody', choose among a, b"),
        ({"fallback": "a"}, "LLM_FALLBACK: goes in a circle: a -> a"),
        ({"fallback": "b", "b": {"fallback": ["a"]}}, "LLM_FALLBACK: goes in a circle: a -> b -> a"),
        ({"b": {"fallback": ["c"]}}, "LLM_BACKENDS: entry b: fallback: no model entry 'c'"),
        ({"aliases": "b"}, "LLM_ALIASES: 'b' is a name of entry b already"),
        ({"b": {"aliases": ["x"]}, "aliases": "x"}, "LLM_ALIASES: 'x' is a name of entry b already"),
        ({"b": {"aliases": ["a"]}}, "LLM_BACKENDS: entry b: aliases: 'a' is a name of entry a already"),
        ({"profile": "deep"}, "LLM_PROFILE: no reasoning profile 'deep': choose one of none"),
        ({"b": {"profile": "deep"}}, "LLM_BACKENDS: entry b: profile: no reasoning profile 'deep'"),
        ({"b": {"temperature": 3}}, r"LLM_BACKENDS: 1\.temperature"),
    ],
)
def test_names_that_lead_nowhere_are_refused_at_the_start(settings: dict[str, object], message: str) -> None:
    b = settings.pop("b", {})
    with pytest.raises(BadEntries, match=message):
        entries(backends=listed({"name": "a"}, {"name": "b", **b}), **settings)  # type: ignore[dict-item]


def test_a_chain_goes_through_every_fallback_once() -> None:
    found = entries(
        backends=listed(
            {"name": "a", "fallback": ["b", "d"]},
            {"name": "b", "fallback": ["c"]},
            {"name": "c"},
            {"name": "d", "fallback": ["c"]},
        )
    )
    assert [entry.name for entry in build_chain(found.default, found.by_name)] == ["a", "b", "c", "d"]


def test_a_new_model_needs_no_code() -> None:
    default = entries(
        engine="openai",
        endpoint="http://x",
        model_id="somebody/new-model",
        think_tags="<mm:think>, </mm:think>",
        request='{"drop": ["stream_options"], "rename": {"max_tokens": "max_new_tokens"}}',
        first_token_seconds=5,
        between_tokens_seconds=2,
    ).default
    profile = profile_of(default)
    assert (profile.trace, profile.opener, profile.closer) == ("tags", "<mm:think>", "</mm:think>")
    assert (profile.dropped, profile.renamed) == (("stream_options",), (("max_tokens", "max_new_tokens"),))
    assert (default.first_token_seconds, default.between_tokens_seconds) == (5, 2)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"think_tags": "<mm:think>"}, "LLM_THINK_TAGS"),
        ({"think_tags": "<a>,"}, "LLM_THINK_TAGS"),
        ({"request": "{"}, "LLM_REQUEST"),
        ({"request": '{"remove": ["x"]}'}, "LLM_REQUEST"),
        ({"request": '{"drop": ["messages"]}'}, "LLM_REQUEST"),
    ],
)
def test_a_dialect_that_cannot_be_used(settings: dict[str, object], words: str) -> None:
    with pytest.raises(BadEntries, match=words):
        entries(**settings)


def test_tags_of_a_model_whose_template_writes_the_opener() -> None:
    entry = ModelEntry(name="a", model_id="deepseek-r1", think_tags=("<a>", "</a>"))
    assert (profile_of(entry).trace, profile_of(entry).pairs) == ("prefilled", (("<a>", "</a>"),))
