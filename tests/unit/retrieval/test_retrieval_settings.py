from __future__ import annotations

from pathlib import Path

import pytest

from services.core.addresses import StoreAddress
from services.core.errors import InvalidRequest
from services.retrieval.settings import VECTOR_URL

KNOWN = ["edge", "memory", "qdrant"]


@pytest.mark.parametrize(
    ("text", "backend", "tls"),
    [
        ("edge:", "edge", False),
        ("edge:///srv/vectors", "edge", False),
        ("memory://", "memory", False),
        ("qdrant://db:6333", "qdrant", False),
        ("qdrants://db", "qdrant", True),
        ("qdrant://db?tls=true", "qdrant", True),
        ("qdrant://db?tls=false", "qdrant", False),
        ("nonsense://x", "nonsense", False),
    ],
)
def test_the_scheme_names_the_backend(text, backend, tls):
    url = StoreAddress.parse(VECTOR_URL, text)
    assert url.backend(KNOWN) == backend
    assert url.tls is tls


def test_the_parts_of_a_server_url():
    url = StoreAddress.parse(VECTOR_URL, "qdrant://[::1]:7000/prefix?grpc_port=7001")
    assert (url.host, url.port, url.path, url.options) == ("::1", 7000, "/prefix", {"grpc_port": "7001"})


def test_a_local_directory_may_have_spaces_or_be_left_out(tmp_path):
    assert StoreAddress.parse(VECTOR_URL, f"edge://{tmp_path}/a%20b").directory == tmp_path / "a b"
    assert StoreAddress.parse(VECTOR_URL, "edge:rel/dir").directory == Path("rel/dir").resolve()
    assert StoreAddress.parse(VECTOR_URL, "edge:").directory is None
    assert StoreAddress.parse(VECTOR_URL, "edge://").directory is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("/srv/vectors", "no scheme"),
        ("", "no scheme"),
        ("qdrant://host:port", "not a URL"),
        ("qdrant://:secret@host", "QDRANT_API_KEY"),
        ("redis://:secret@host", "REDIS_PASSWORD"),
    ],
)
def test_a_bad_url_says_how_it_must_look(text, says):
    with pytest.raises(InvalidRequest, match=says) as caught:
        StoreAddress.parse(VECTOR_URL, text)
    assert "secret" not in caught.value.message


def test_a_host_where_a_directory_belongs_is_refused():
    with pytest.raises(InvalidRequest, match="three slashes"):
        _ = StoreAddress.parse(VECTOR_URL, "edge://srv/vectors").directory
