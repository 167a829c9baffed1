"""Variables of OPEA's compose files, and of the scripts that set them, as an `.env` of Ragline's."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from services.core.aliases import ADDRESSES, NAMES, join_address

_ASSIGNMENT = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$")
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)(?::?-([^}]*))?\}|([A-Za-z_][A-Za-z0-9_]*))")

SAME = ("TEI_EMBEDDING_ENDPOINT", "TEI_RERANKING_ENDPOINT", "LLM_MODEL_ID", "LLM_ENDPOINT")
RENAMED: Mapping[str, str] = {
    "LLM_MODEL": "LLM_MODEL_ID",
    "OLLAMA_MODEL": "LLM_MODEL_ID",
    "OPENAI_API_KEY": "LLM_API_KEY",
    "RERANK_MODEL_ID": "RERANKING_MODEL_ID",
    "CHATQNA_BACKEND_PORT": "GATEWAY_PORT",
    "MEGA_SERVICE_PORT": "GATEWAY_PORT",
    "HF_TOKEN": "HF_TOKEN",
    **{alias: name for name, aliases in NAMES.items() for alias in aliases},
    "http_proxy": "HTTP_PROXY",
    "https_proxy": "HTTPS_PROXY",
    "no_proxy": "NO_PROXY",
}
"""By OPEA's name, ours; of several that mean one, the first in the file that has a value counts."""

ENGINES = {"vllm": "vllm", "tgi": "tgi", "ollama": "ollama"}
"""By a part of a component's name in lower case, the engine."""

NOWHERE: Mapping[str, str] = {
    "INDEX_NAME": "the collection is a request's index_name; left out it is `default`",
    "QDRANT_INDEX_NAME": "the collection is a request's index_name; left out it is `default`",
    "QDRANT_COLLECTION_NAME": "the collection is a request's index_name; left out it is `default`",
    "MAX_INPUT_TOKENS": "the engine's own; LLM_MAX_TOKENS bounds an answer",
    "MAX_TOTAL_TOKENS": "the engine's own; LLM_MAX_TOKENS bounds an answer",
    "CHATQNA_FRONTEND_SERVICE_PORT": "the gateway has a page of its own, at /",
    "NGINX_PORT": "the gateway is the only door: GATEWAY_PORT",
}


@dataclass(slots=True)
class Variables:
    """The variables of a file, in order, and the lines that are no assignment."""

    values: dict[str, str] = field(default_factory=dict)
    unset: dict[str, list[str]] = field(default_factory=dict)
    """By name, the variables that a value needs and that the file does not set."""
    others: list[str] = field(default_factory=list)


def read_variables(text: str) -> Variables:
    """Read an env file, or the plain assignments of a shell script; commands are not run."""
    found = Variables()
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _ASSIGNMENT.match(line)
        raw = match.group(2) if match else ""
        if match is None or "$(" in raw or "`" in raw:
            found.others.append(stripped)
            continue
        name, value = match.group(1), _unquote(raw)
        needed = [one for one in _names_in(value) if one != name and not found.values.get(one)]
        if needed:
            found.unset[name] = needed
        found.values[name] = _VARIABLE.sub(lambda one: _value_of(one, found.values), value)
    return found


def _unquote(raw: str) -> str:
    try:
        return "".join(shlex.split(raw, comments=True)[:1])
    except ValueError:
        return raw.strip()


def _names_in(value: str) -> list[str]:
    return [one.group(1) or one.group(3) for one in _VARIABLE.finditer(value) if one.group(2) is None]


def _value_of(match: re.Match[str], values: Mapping[str, str]) -> str:
    return values.get(match.group(1) or match.group(3)) or match.group(2) or ""


@dataclass(slots=True)
class MigratedEnvironment:
    """Ragline's variables, and what a reader has to know of them."""

    values: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def render(self) -> str:
        """Write an `.env` file."""
        return "".join(f"{name}={_quote(value)}\n" for name, value in self.values.items())


def _quote(value: str) -> str:
    return value if re.fullmatch(r"[\w@%+=:,./\[\]-]*", value) else "'" + value.replace("'", "'\\''") + "'"


def convert_variables(theirs: Variables) -> MigratedEnvironment:
    """Write Ragline's variables for those of OPEA's ChatQnA."""
    given = {name: value for name, value in theirs.values.items() if value and name not in theirs.unset}
    done = MigratedEnvironment()
    read: set[str] = set()

    def take(name: str) -> str:
        read.add(name)
        return given.get(name, "")

    for name in (*SAME, *RENAMED):
        value = take(name)
        if value:
            done.values.setdefault(RENAMED.get(name, name), value)
    for ours, (host, port, default) in ADDRESSES.items():
        address = join_address(take(host), take(port) or str(default))
        if address:
            done.values.setdefault(ours, address)
    if host := take("OLLAMA_HOST"):
        done.values.setdefault("LLM_ENDPOINT", join_address(host, "11434"))
    _write_store(done, take)
    _write_engine(done, take)
    _write_encoders(done, take, given)
    _write_guard(done, take)
    if take("LOGFLAG").lower() in {"true", "1", "yes"}:
        done.values["LOG_LEVEL"] = "debug"
    if collector := take("TELEMETRY_ENDPOINT"):
        done.values["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.removesuffix("/v1/traces")
    done.notes += [f"{name}: needs a value of {', '.join(lacks)}" for name, lacks in theirs.unset.items()]
    rest = [name for name in given if name not in read]
    done.notes += [f"{name}: {NOWHERE.get(name, 'no counterpart')}" for name in rest]
    done.notes += [f"not run: {line}" for line in theirs.others]
    return done


def _write_store(done: MigratedEnvironment, take: Callable[[str], str]) -> None:
    host, url = take("QDRANT_HOST"), take("REDIS_URL")
    port = take("QDRANT_PORT") or "6333"
    if host:
        done.values["VECTOR_URL"] = f"qdrant://{host}:{port}"
    elif url:
        if "@" in url:
            done.notes.append("REDIS_URL: its password belongs into REDIS_PASSWORD, not into a URL")
            url = re.sub(r"//[^@/]*@", "//", url)
        done.values["VECTOR_URL"] = url


def _write_encoders(done: MigratedEnvironment, take: Callable[[str], str], given: Mapping[str, str]) -> None:
    if "TEI_EMBEDDING_ENDPOINT" in done.values:
        done.values["EMBEDDING_BACKEND"] = "tei"
        take("EMBEDDING_MODEL_ID")
    elif model := take("EMBEDDING_MODEL_ID"):
        done.notes.append(
            f"EMBEDDING_MODEL_ID={model}: not taken, as no TEI_EMBEDDING_ENDPOINT serves it; MiniLM embeds"
        )
    if take("CHATQNA_TYPE") == "CHATQNA_NO_RERANK":
        done.values["RERANKING_BACKEND"] = "none"
    elif "TEI_RERANKING_ENDPOINT" in done.values:
        done.values["RERANKING_BACKEND"] = "tei"
    elif kind := given.get("CHATQNA_TYPE"):
        done.notes.append(f"CHATQNA_TYPE={kind}: no counterpart")


def _write_guard(done: MigratedEnvironment, take: Callable[[str], str]) -> None:
    if url := take("SAFETY_GUARD_ENDPOINT"):
        done.values |= {"GUARD_BACKEND": "openai", "GUARD_URL": url}
        if model := take("SAFETY_GUARD_MODEL_ID"):
            done.values["GUARD_MODEL_ID"] = model


def _write_engine(done: MigratedEnvironment, take: Callable[[str], str]) -> None:
    """Write the engine, by the component's name, where there is a server."""
    components = (take("LLM_COMPONENT_NAME") + take("FAQGen_COMPONENT_NAME")).lower()
    named = next((engine for part, engine in ENGINES.items() if part in components), "")
    if "LLM_ENDPOINT" in done.values:
        is_ollama = done.values["LLM_ENDPOINT"].endswith(":11434")
        done.values["LLM_ENGINE"] = named or ("ollama" if is_ollama else "vllm")
    elif model := done.values.pop("LLM_MODEL_ID", ""):
        done.notes.append(
            f"LLM_MODEL_ID={model}: not taken, as no LLM_ENDPOINT or LLM_SERVER_HOST_IP serves it; "
            "compose/xeon.yaml and gaudi.yaml deploy a vLLM for it"
        )
