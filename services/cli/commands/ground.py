"""Say how well passages support claims.

Reads one claim with its passages from each line, and writes one JSON line for each to standard output:
`p_supported`, `p_contradicted` and the supporting `spans`. The embedding service that runs here, or
EMBEDDING_URL, gives the vectors; where there is none, this process does.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import numpy as np
import orjson
import typer
from pydantic import Field, ValidationError
from rich.progress import track

from pipelines.evaluation.grounding.scorer import (
    Encoded,
    Encoder,
    GroundednessScorer,
    Grounding,
    ServiceEncoder,
)
from services.cli.console import Output
from services.cli.errors import UsageError
from services.cli.gateway import local_stack
from services.core.client import HttpClient
from services.core.clients.embedding import EmbeddingClient
from services.core.wire.base import Text, Wire
from services.embedding.backend import EmbeddingBackend

PANEL = "Measure"


def command(
    *,
    source: Annotated[
        Path, typer.Option("--input", help="A JSONL file; each line has a `claim` and its `passages`.")
    ],
    local: Annotated[
        bool, typer.Option("--local", help="Embed in this process, even where a service runs.")
    ] = False,
) -> None:
    claims = read_claims(source)
    stack = local_stack()
    served = not local and ("embedding" in stack.external or "embedding" in stack.running)
    url = stack.url("embedding") if served else ""
    asyncio.run(ground(claims, Output.standard(), embedding_url=url))


class Claim(Wire):
    """A line of the input; `id`, where it has one, stands in the output too, other fields are left alone."""

    claim: Text = Field(min_length=1)
    passages: list[Text]
    id: Text | int | None = None


class _LocalEncoder:
    """The embedding model in this process."""

    def __init__(self, backend: EmbeddingBackend) -> None:
        self._backend = backend

    async def encode(self, texts: Sequence[str], *, tokens: bool) -> Encoded:
        encoded = await self._backend.encode(texts, normalize=True, truncate=True, token_vectors=tokens)
        if encoded.states is None:
            return Encoded(encoded.vectors, None)
        rows = [states[1:-1] for states in encoded.states]
        units = [row / np.maximum(np.linalg.norm(row, axis=1, keepdims=True), 1e-12) for row in rows]
        return Encoded(encoded.vectors, units)


@asynccontextmanager
async def local_encoder() -> AsyncIterator[Encoder]:
    """The embedding model in this process, fetched where it is not there yet."""
    from services.embedding.backends import openvino  # noqa: PLC0415 - seconds that other commands save

    backend = await openvino.create()
    try:
        yield _LocalEncoder(backend)
    finally:
        await backend.close()


@asynccontextmanager
async def _service_encoder(url: str) -> AsyncIterator[Encoder]:
    async with HttpClient("embedding", url) as client:
        yield ServiceEncoder(EmbeddingClient(client))


def read_claims(path: Path) -> list[Claim]:
    """The claims of a JSONL file. Raises `UsageError` that names the line and what is wrong with it."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    claims = [_parse_claim(f"{path}:{number}", line) for number, line in enumerate(lines, 1) if line.strip()]
    if not claims:
        raise UsageError(f"{path} holds no claims: write lines with `claim` and `passages`")
    return claims


def _parse_claim(where: str, line: str) -> Claim:
    try:
        return Claim.model_validate(json.loads(line))
    except json.JSONDecodeError as error:
        raise UsageError(f"{where}: not JSON ({error})") from None
    except ValidationError as error:
        issue = error.errors()[0]
        raise UsageError(f"{where}: {'.'.join(map(str, issue['loc']))}: {issue['msg']}") from None


async def ground(claims: Sequence[Claim], output: Output, *, embedding_url: str = "") -> None:
    """Print one JSON line for each claim. The embedding service at `embedding_url`, else in this process."""
    async with _service_encoder(embedding_url) if embedding_url else local_encoder() as encoder:
        scorer = GroundednessScorer(encoder)
        for claim in _track(claims, output):
            grounding = await scorer.score(claim.claim, claim.passages)
            output.out.file.write(_output_line(claim, grounding).decode() + "\n")
            output.out.file.flush()


def _track(claims: Sequence[Claim], output: Output) -> Iterator[Claim]:
    yield from track(
        claims,
        "grounding",
        console=output.err,
        disable=output.out.is_terminal or not output.err.is_terminal,
        transient=True,
    )


def _output_line(claim: Claim, grounding: Grounding) -> bytes:
    return orjson.dumps(
        ({} if claim.id is None else {"id": claim.id})
        | {
            "claim": claim.claim,
            "p_supported": round(grounding.p_supported, 4),
            "p_contradicted": round(grounding.p_contradicted, 4),
            "spans": list(grounding.spans),
            "against": grounding.against,
        }
    )
