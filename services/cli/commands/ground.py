"""Say how well passages support claims.

Reads one claim with its passages from each line, and writes one JSON line for each to standard output: its
`verdict`, `p_supported`, `p_contradicted` and the supporting `spans`. It needs no model and no service.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import orjson
import typer
from pydantic import Field, ValidationError
from rich.progress import track

from pipelines.evaluation.grounding.calibration import calibration_id
from pipelines.evaluation.grounding.claims import read_claim
from pipelines.evaluation.grounding.scorer import Grounding, score_claims
from services.cli.console import Output
from services.cli.errors import UsageError
from services.core.wire.base import Text, Wire

PANEL = "Measure"


def command(
    *,
    source: Annotated[
        Path,
        typer.Option(
            "--input",
            help="A JSONL file; each line has a `claim`, its `passages`, and a short answer its `question`.",
        ),
    ],
    local: Annotated[
        bool, typer.Option("--local", hidden=True, help="Of no effect: nothing is embedded any more.")
    ] = False,
) -> None:
    del local
    ground(read_claims(source), Output.standard())


class ClaimLine(Wire):
    """A line of the input; `id`, where it has one, stands in the output too, other fields are left alone."""

    claim: Text = Field(min_length=1)
    passages: list[Text]
    question: Text = ""
    id: Text | int | None = None


def read_claims(path: Path) -> list[ClaimLine]:
    """The claims of a JSONL file. Raises `UsageError` that names the line and what is wrong with it."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    claims = [_parse_claim(f"{path}:{number}", line) for number, line in enumerate(lines, 1) if line.strip()]
    if not claims:
        raise UsageError(f"{path} holds no claims: write lines with `claim` and `passages`")
    return claims


def _parse_claim(where: str, line: str) -> ClaimLine:
    try:
        return ClaimLine.model_validate(json.loads(line))
    except json.JSONDecodeError as error:
        raise UsageError(f"{where}: not JSON ({error})") from None
    except ValidationError as error:
        issue = error.errors()[0]
        raise UsageError(f"{where}: {'.'.join(map(str, issue['loc']))}: {issue['msg']}") from None


def ground(claims: Sequence[ClaimLine], output: Output) -> None:
    """Print one JSON line for each claim."""
    for claim in _track(claims, output):
        [grounding] = score_claims([read_claim(claim.claim, claim.question)], claim.passages)
        output.out.file.write(_output_line(claim, grounding).decode() + "\n")
        output.out.file.flush()


def _track(claims: Sequence[ClaimLine], output: Output) -> Iterator[ClaimLine]:
    yield from track(
        claims,
        "grounding",
        console=output.err,
        disable=output.out.is_terminal or not output.err.is_terminal,
        transient=True,
    )


def _output_line(claim: ClaimLine, grounding: Grounding) -> bytes:
    return orjson.dumps(
        ({} if claim.id is None else {"id": claim.id})
        | {
            "claim": claim.claim,
            "verdict": grounding.verdict,
            "p_supported": round(grounding.p_supported, 4),
            "p_contradicted": round(grounding.p_contradicted, 4),
            "spans": list(grounding.spans),
            "against": grounding.against,
            "scorer": calibration_id(),
        }
    )
