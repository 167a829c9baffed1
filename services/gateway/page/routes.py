"""The page and its files: whatever an answer or a file name holds, nothing foreign runs or loads there."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse

STATIC = Path(__file__).with_name("static")

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-cache",
}
"""`no-cache`: a browser asks whether a file has changed, so that an upgrade is seen at the next load."""

MEDIA = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

router = APIRouter(include_in_schema=False)


def _serve(name: str) -> FileResponse:
    path = STATIC / name
    return FileResponse(path, media_type=MEDIA[path.suffix], headers=HEADERS)


@router.api_route("/", methods=["GET", "HEAD"])
async def index() -> FileResponse:
    return _serve("index.html")


@router.api_route("/page/{name}", methods=["GET", "HEAD"])
async def file(name: str) -> FileResponse:
    """Serve one of the files that lie there; a name with a slash in it never gets here."""
    if name not in {path.name for path in STATIC.iterdir() if path.suffix in MEDIA}:
        raise HTTPException(404)
    return _serve(name)
