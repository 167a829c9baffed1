"""Schemas of what no `/openapi.json` describes: the port of the metrics, and `/mcp`, which speaks JSON-RPC."""

from __future__ import annotations

from typing import Any

TOOLS = ["search", "ask", "compare", "list_documents", "nothing"]
METHODS = ["initialize", "ping", "tools/list", "tools/call", "notifications/initialized", "prompts/list", "x"]
ARGUMENTS = {
    "type": "object",
    "properties": {
        "question": {"anyOf": [{"enum": ["What do bees make?"]}, {"type": "string"}]},
        "collection": {"anyOf": [{"enum": ["default"]}, {"type": "string"}]},
        "model": {"enum": ["plain", "other", "", "unknown"]},
        "arms": {"type": "array", "items": {"enum": ["plain", "other", "plain+cite", "x@y"]}, "maxItems": 4},
        "top_n": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    },
}
PARAMS = {
    "type": "object",
    "properties": {
        "name": {"anyOf": [{"enum": TOOLS}, {"type": "string"}]},
        "arguments": ARGUMENTS,
        "protocolVersion": {"anyOf": [{"enum": ["2025-06-18"]}, {"type": "string"}]},
        "capabilities": {"type": "object"},
        "clientInfo": {"type": "object"},
    },
}
MESSAGE = {
    "type": "object",
    "required": ["jsonrpc", "method"],
    "properties": {
        "jsonrpc": {"enum": ["2.0"]},
        "id": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        "method": {"anyOf": [{"enum": METHODS}, {"type": "string"}]},
        "params": PARAMS,
    },
}
HEADERS = [
    {
        "name": "accept",
        "in": "header",
        "required": True,
        "schema": {"enum": ["application/json, text/event-stream", "application/json", "text/html"]},
    },
    {
        "name": "mcp-protocol-version",
        "in": "header",
        "schema": {"anyOf": [{"enum": ["2025-06-18"]}, {"type": "string"}]},
    },
    {"name": "mcp-session-id", "in": "header", "schema": {"type": "string"}},
]
RESPONSES = {"default": {"description": "any"}}

MCP_PATHS: dict[str, Any] = {
    "/mcp": {
        "post": {
            "parameters": HEADERS,
            "requestBody": {"required": True, "content": {"application/json": {"schema": MESSAGE}}},
            "responses": RESPONSES,
        },
        "delete": {"parameters": HEADERS, "responses": RESPONSES},
    }
}


def describe(paths: dict[str, Any]) -> dict[str, Any]:
    """Make a schema of some paths."""
    return {"openapi": "3.1.0", "info": {"title": "by hand", "version": "0"}, "paths": paths}


ADMIN = describe(
    {path: {"get": {"responses": RESPONSES}} for path in ("/metrics", "/docs", "/openapi.json", "/nowhere")}
)
MCP = describe(MCP_PATHS)
