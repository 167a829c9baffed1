"""What schemathesis is told besides the services' own schemas: bodies and names to send, and what a reply must be.

It runs in schemathesis' own environment, so it imports nothing of Ragline. Schemathesis loads it by the name in
`SCHEMATHESIS_HOOKS`.
"""

from __future__ import annotations

import atexit
import json
import os
import random
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import schemathesis

SECONDS = 30.0
"""The longest that a request may take, to the last byte of its reply."""
TEI_ROUTES = {
    "embedding": {"/info", "/embed", "/", "/embed_all", "/tokenize", "/decode"},
    "reranking": {"/info", "/rerank", "/"},
}
"""The routes that answer with text-embeddings-inference's error body."""
IDS = "the fake backend has no tokens, and a backend that cannot do a thing is a 501 `not_supported`"
REFUSALS: Mapping[tuple[str, str, int], str] = {
    **{("embedding", path, 501): IDS for path in ("/", "/embed", "/embed_all", "/decode", "/v1/embeddings")},
    ("reranking", "/v1/sentences", 501): IDS,
    **{(gateway, "/v1/embeddings", 501): IDS for gateway in ("gateway", "gateway-keys")},
}
"""The statuses from 500 on that a route may answer with here, and why: (service, path, status)."""
UPLOAD = {
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "properties": {
                "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
                "collection": {"type": "string"},
                "chunk_size": {"type": "string"},
            },
        }
    }
}
"""The body of an upload, for a gateway's route that reads its body by itself and declares none."""

PUBLIC = ("/page", "/health", "/v1/health_check")
"""The paths of the gateway, with what is below them, that need no key."""
KEPT_OUT = {401}
BARE = {("/mcp", 406): "the MCP SDK refuses an Accept header by the status alone"}
"""Refusals without a body, by path and status, and why."""
MODELS = ["plain", "other"]
SERVICE = os.environ.get("FUZZ_SERVICE", "")
NAMES: Mapping[str, list[str]] = json.loads(os.environ.get("FUZZ_NAMES", "{}"))
needed: dict[str, set[str]] = {}
statuses: Counter[int] = Counter()


class Clock:
    """Times one request after the other: schemathesis sends them so."""

    begun = 0.0
    seconds = 0.0
    longest = (0.0, "")


@schemathesis.hook
def before_load_schema(context: object, raw_schema: dict[str, Any]) -> None:
    """Declare the uploads, and let what a path or a body names be something that is there as well."""
    note_bodies(raw_schema)
    for path, operations in raw_schema["paths"].items():
        for method, operation in operations.items():
            if (
                SERVICE.startswith("gateway")
                and method == "post"
                and path in {"/v1/documents", "/v1/jobs", "/v1/dataprep/ingest"}
            ):
                operation.setdefault("requestBody", {"content": UPLOAD, "required": True})
            for parameter in operation.get("parameters", []):
                there = find_names(path, parameter["name"])
                if there:
                    parameter["schema"] = {"anyOf": [{"enum": there}, parameter["schema"]]}


def find_names(path: str, parameter: str) -> list[str]:
    """Find what there is of the kind that a parameter names."""
    if parameter in {"collection", "model"}:
        return {"collection": ["default"], "model": MODELS}[parameter]
    for part, kind in (("/jobs/", "jobs"), ("/documents/", "documents"), ("/passages/", "passages")):
        if part in path and parameter in {"id", "job", "document_id", "passage_id"}:
            return NAMES[kind]
    return []


def note_bodies(raw_schema: dict[str, Any]) -> None:
    """Let a body's `model` be one that is there, and note which fields each route's body needs."""
    schemas = raw_schema.get("components", {}).get("schemas", {})
    for schema in schemas.values():
        if "model" in schema.get("properties", {}):
            schema["properties"]["model"] = {"anyOf": [{"enum": MODELS}, schema["properties"]["model"]]}
    for path, operations in raw_schema["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
            needed[f"{method.upper()} {path}"] = set(schemas.get(name, {}).get("required", ()))


@schemathesis.hook
def map_body(context: schemathesis.HookContext, body: object) -> object:
    """Leave most optional fields out: with all of them at once nearly every body is refused for one."""
    if not isinstance(body, dict) or context.operation is None:
        return body
    always = needed.get(context.operation.label, set())
    random_of_body = random.Random(repr(body))
    kept = random_of_body.sample(list(body), k=min(len(body), random_of_body.randrange(4)))
    body = {name: value for name, value in body.items() if name in always or name in kept}
    messages = body.get("messages")
    if isinstance(messages, list) and random_of_body.random() < 0.5:
        body["messages"] = [
            {name: message[name] for name in ("role", "content") if name in message}
            if isinstance(message, dict)
            else message
            for message in messages
        ]
    return body


@schemathesis.hook
def before_call(context: object, case: schemathesis.Case, kwargs: object) -> None:
    """Note when a request begins."""
    Clock.begun = time.monotonic()


@schemathesis.hook
def after_call(context: object, case: schemathesis.Case, response: schemathesis.Response) -> None:
    """Count the reply, and note how long its request took."""
    Clock.seconds = time.monotonic() - Clock.begun
    Clock.longest = max(Clock.longest, (Clock.seconds, case.operation.label))
    statuses[response.status_code] += 1


@schemathesis.check
def no_server_error(ctx: object, response: schemathesis.Response, case: schemathesis.Case) -> None:
    """A reply from 500 on is one of the refusals that are listed with a reason."""
    status = response.status_code
    assert status < 500 or (SERVICE, case.operation.path, status) in REFUSALS, (
        f"{status}: {response.text[:500]}"
    )


@schemathesis.check
def no_hang(ctx: object, response: schemathesis.Response, case: schemathesis.Case) -> None:
    """A reply is whole in time, a stream too."""
    assert Clock.seconds < SECONDS, f"it took {Clock.seconds:.1f} s"


@schemathesis.check
def kept_out(ctx: object, response: schemathesis.Response, case: schemathesis.Case) -> None:
    """Without a key the locked gateway answers nothing but what is for everybody."""
    path = urlsplit(response.request.url).path
    is_public = path == "/" or any(path == start or path.startswith(f"{start}/") for start in PUBLIC)
    if SERVICE == "gateway-locked" and not is_public:
        assert response.status_code in KEPT_OUT, f"{response.status_code}: {response.text[:500]}"


@schemathesis.check
def one_error_body(ctx: object, response: schemathesis.Response, case: schemathesis.Case) -> None:
    """An error has the one error body; on TEI's routes TEI's."""
    if response.status_code < 400 or response.request.method == "HEAD":
        return
    if (case.operation.path, response.status_code) in BARE and not response.content:
        return
    assert response.headers["content-type"][0].startswith("application/json"), response.headers
    body = json.loads(response.content)
    if case.operation.path in TEI_ROUTES.get(SERVICE, ()) and "error_type" in body:
        assert body["error"], body
        return
    error = body["error"]
    if case.operation.path == "/mcp" and "jsonrpc" in body:
        assert error["message"], body
        return
    assert all(error[name] for name in ("type", "code", "message", "service", "request_id")), error


@atexit.register
def write_counts() -> None:
    """Leave what was counted where `tests.fuzz.run` reads it."""
    if target := os.environ.get("FUZZ_COUNTS"):
        Path(target).write_text(json.dumps({"statuses": statuses, "longest": Clock.longest}))
