"""The page and its files: whatever an answer or a file name holds, nothing foreign runs or loads there."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

STATIC = Path(__file__).with_name("static")

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-cache",
    "vary": "accept-encoding",
}
"""`no-cache`: a browser asks whether a file has changed, so that an upgrade is seen at the next load."""

MEDIA = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class _File:
    """A file as it is sent, as it is and packed; `tag` names what it holds."""

    content: bytes
    packed: bytes
    tag: str


@lru_cache(maxsize=64)
def _read(path: Path, modified: int) -> _File:
    """Read a file, once for each time that it is written."""
    content = path.read_bytes()
    tag = hashlib.sha256(content).hexdigest()[:32]
    return _File(content, gzip.compress(content, mtime=0), f'W/"{tag}"')


def _serve(name: str, request: Request) -> Response:
    path = STATIC / name
    file = _read(path, path.stat().st_mtime_ns)
    headers = HEADERS | {"etag": file.tag}
    if file.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers |= {"content-encoding": "gzip"}
        return Response(file.packed, media_type=MEDIA[path.suffix], headers=headers)
    return Response(file.content, media_type=MEDIA[path.suffix], headers=headers)


@router.api_route("/", methods=["GET", "HEAD"])
async def index(request: Request) -> Response:
    return _serve("index.html", request)


@router.api_route("/page/{name}", methods=["GET", "HEAD"])
async def file(name: str, request: Request) -> Response:
    """Serve one of the files that lie there; a name with a slash in it never gets here."""
    if name not in {path.name for path in STATIC.iterdir() if path.suffix in MEDIA}:
        raise HTTPException(404)
    return _serve(name, request)
