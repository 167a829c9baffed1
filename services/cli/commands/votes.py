"""Show what people preferred: votes and thumbs, by person.

They come from the gateway, or from a file that --export wrote.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import orjson
import typer
from pydantic import TypeAdapter, ValidationError

from services.cli.console import Output
from services.cli.gateway import call_gateway
from services.core.client import HttpClient
from services.core.errors import InvalidRequest
from services.core.wire.feedback import Feedback, FeedbackPage

PANEL = "Measure"
PAGE = 500

_PAGE = TypeAdapter(FeedbackPage)


def command(
    file: Annotated[
        Path | None, typer.Argument(help="A file that --export wrote; left out: the gateway's.")
    ] = None,
    *,
    export: Annotated[
        Path | None, typer.Option(help="Write every vote and thumb there, one JSON object a line.")
    ] = None,
) -> None:
    from pipelines.evaluation.votes import summarise  # noqa: PLC0415 - needs the extra `evaluation`

    output = Output.standard()
    feedback = read_file(file) if file else call_gateway(read_all)
    if export:
        export.write_bytes(b"".join(orjson.dumps(item.model_dump(mode="json")) + b"\n" for item in feedback))
        output.line(f"{len(feedback)} written to {export}")
    votes = summarise(feedback)
    if not feedback:
        output.line("no votes and no thumbs: the gateway's page takes them, and POST /v1/feedback")
    if votes.duels:
        head = ("one", "other", "one won", "other won", "both", "neither", "blind", "people", "one preferred")
        rows = [
            (
                duel.one,
                duel.other,
                *map(str, (duel.won, duel.lost, duel.both, duel.neither, duel.blind)),
                str(duel.preferred.people) if duel.preferred else "",
                show_share(duel.preferred.value, duel.preferred.interval) if duel.preferred else "",
            )
            for duel in votes.duels
        ]
        output.table([head, *rows])
    if votes.thumbs:
        thumbs = [
            (arm, str(share.n), str(share.people), show_share(share.value, share.interval))
            for arm, share in votes.thumbs.items()
        ]
        output.table([("answers of", "thumbs", "people", "thumbs up"), *thumbs])


def show_share(value: float, interval: tuple[float, float] | None) -> str:
    """Write a share as a percentage with its interval, or why it has none."""
    if interval is None:
        return f"{value:.0%} (one person: no interval)"
    return f"{value:.0%} ({interval[0]:.0%} to {interval[1]:.0%})"


async def read_all(client: HttpClient) -> list[Feedback]:
    """Read all feedback of the key's tenant, page by page."""
    found: list[Feedback] = []
    after = ""
    while True:
        page = _PAGE.validate_json(await client.get(f"/v1/feedback?limit={PAGE}&after={quote(after)}"))
        found += page.feedback
        if page.next is None:
            return found
        after = page.next


def read_file(path: Path) -> list[Feedback]:
    """Read an exported file. Raises `InvalidRequest` that names the line which is none."""
    found = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            found.append(Feedback.model_validate_json(line))
        except ValidationError as error:
            raise InvalidRequest(
                f"{path}, line {number} is no feedback: {error.errors()[0]['msg']}"
            ) from None
    return found
