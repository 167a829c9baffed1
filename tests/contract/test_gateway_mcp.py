"""`/mcp` as an agent uses it, through the official SDK's own client."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from services.gateway.app import create as create_gateway
from services.gateway.settings import Settings
from tests.contract.conftest import Serve
from tests.contract.gateway_chain import QUESTION, ScriptedEngine, start_gateway
from tests.contract.tenants_chain import Tenant, start_chain, write_key_file


@pytest.fixture(scope="module")
def url(serve: Serve) -> str:
    return start_gateway(serve, ScriptedEngine(), ["talker", "thinker"])


@asynccontextmanager
async def connected(url: str, key: str = "") -> AsyncIterator[Client]:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client,
    ):
        yield client


async def call(url: str, tool: str, key: str = "", **arguments: Any) -> dict[str, Any]:
    async with connected(url, key) as client:
        reply = await client.call_tool(tool, arguments)
    assert not reply.is_error, reply.content
    content: dict[str, Any] = reply.structured_content
    return content


async def refused(url: str, tool: str, **arguments: Any) -> str:
    async with connected(url) as client:
        reply = await client.call_tool(tool, arguments)
    assert reply.is_error
    return str(reply.content)


async def test_the_tools_are_described(url: str) -> None:
    async with connected(url) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) == {"search", "ask", "compare", "list_documents"}
    for tool in tools.values():
        assert tool.description
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint
        assert tool.output_schema
    assert tools["ask"].input_schema["required"] == ["question"]


async def test_each_tool(url: str) -> None:
    found = await call(url, "search", question=QUESTION, top_n=1)
    assert [passage["document"] for passage in found["passages"]] == ["insects.md"]
    assert "Bees make honey." in found["passages"][0]["text"]
    answer = await call(url, "ask", question=QUESTION, model="talker")
    assert (answer["answer"], answer["model"], answer["outcome"]) == ("Honey it is.", "talker", "answered")
    compared = await call(url, "compare", question=QUESTION, arms=["small", "talker"])
    assert [arm["arm"] for arm in compared["answers"]] == ["small", "talker"]
    assert all(arm["answer"] and arm["status"] == "answered" for arm in compared["answers"])
    listed = await call(url, "list_documents")
    assert [document["name"] for document in listed["documents"]] == ["insects.md"]


async def test_an_error_says_what_to_change(url: str) -> None:
    assert "no model entry 'nobody'" in await refused(url, "ask", question=QUESTION, model="nobody")
    assert "question" in await refused(url, "ask", question="")
    assert "collection" in await refused(url, "search", question=QUESTION, collection="../x")
    assert "not_found" in await refused(url, "search", question=QUESTION, collection="elsewhere")
    thought = await refused(url, "ask", question=QUESTION, model="thinker")
    assert "gave no answer" in thought
    assert "Hm" not in thought


async def test_many_at_once_keep_apart(url: str) -> None:
    names = ["small", "talker"] * 8
    answers = await asyncio.gather(*(call(url, "ask", question=QUESTION, model=name) for name in names))
    assert [answer["model"] for answer in answers] == names


def test_no_session_is_kept(url: str) -> None:
    reply = httpx.post(
        f"{url}/mcp",
        json={"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}},
        headers={"accept": "application/json, text/event-stream"},
    )
    assert reply.status_code == 200
    assert "mcp-session-id" not in reply.headers
    assert "list_documents" in reply.text


def test_a_tool_runs_as_the_caller_whose_key_came(serve: Serve, tmp_path: Path) -> None:
    roles = {"acme": ["ask", "ingest"], "zeta": ["ask", "ingest"], "putter": ["ingest"]}
    keys = write_key_file(
        tmp_path / "keys.json",
        **{name: {"tenant": name, "roles": own} for name, own in roles.items()},
    )
    chain = start_chain(serve, tmp_path, keys_file=tmp_path / "keys.json")
    for name in ("acme", "zeta"):
        assert (
            Tenant(chain.gateway, keys[name]).upload(f"{name}.md", f"Bees of {name} make honey.").is_success
        )

    async def ask_all(name: str) -> None:
        for tool, arguments in (
            ("list_documents", {}),
            ("search", {"question": QUESTION}),
            ("ask", {"question": QUESTION}),
        ):
            text = str(await call(chain.gateway, tool, keys[name], **arguments))
            assert name in text
            assert ("zeta" if name == "acme" else "acme") not in text

    async def ask_at_once() -> None:
        await asyncio.gather(*(ask_all(name) for name in ("acme", "zeta") * 4))

    asyncio.run(ask_at_once())
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    accept = {"accept": "application/json, text/event-stream"}
    assert httpx.post(f"{chain.gateway}/mcp", json=body, headers=accept).status_code == 401
    barred = {**accept, "x-api-key": keys["putter"]}
    assert httpx.post(f"{chain.gateway}/mcp", json=body, headers=barred).status_code == 403


def test_the_sdk_changes_nothing_of_the_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    level = root.level
    create_gateway(Settings())
    assert (root.handlers, root.level) == ([], level)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_without_sessions_there_is_no_stream_to_wait_for(url: str, method: str) -> None:
    """A GET's would bring nothing and never end."""
    headers = {"accept": "text/event-stream"}
    reply = httpx.request(method, f"{url}/mcp", headers=headers, timeout=30)
    assert (reply.status_code, reply.headers["allow"]) == (405, "POST")
    assert "POST alone" in reply.json()["error"]["message"]


@pytest.mark.parametrize("kind", ["text/plain", ""])
def test_another_type_of_body_is_refused_as_everywhere(url: str, kind: str) -> None:
    headers = {"content-type": kind} if kind else {}
    reply = httpx.post(f"{url}/mcp", content=b"{}", headers=headers)
    assert reply.status_code == 415
    assert "application/json" in reply.json()["error"]["message"]


def test_without_the_extra_it_says_so(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "services.gateway.mcp", None)
    monkeypatch.delitem(sys.modules, "services.gateway.mcp")
    monkeypatch.setitem(sys.modules, "mcp.server.mcpserver", None)
    gateway = serve(create_gateway(Settings()))
    for method in ("GET", "POST"):
        reply = httpx.request(method, f"{gateway}/mcp")
        assert reply.status_code == 501
        assert "extra `mcp`" in reply.json()["error"]["message"]
