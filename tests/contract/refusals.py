"""What a refused request was told, in Ragline's words or in TEI's."""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp

from services.core.errors import ErrorBody
from services.core.tei import TeiError


@dataclass(frozen=True, slots=True)
class Refusal:
    status: int
    message: str
    service: str | None


async def refusal(session: aiohttp.ClientSession, url: str, path: str, body: object) -> Refusal:
    """Of `body` at a service's route: those below `/v1/` answer with `ErrorBody`, the others as TEI does."""
    async with session.post(url + path, json=body) as reply:
        status, raw = reply.status, await reply.read()
    if path.startswith("/v1/"):
        detail = ErrorBody.model_validate_json(raw).error
        return Refusal(status, detail.message, detail.service)
    error = TeiError.model_validate_json(raw)
    assert error.error_type == "Validation"
    return Refusal(status, error.error, error.service)
