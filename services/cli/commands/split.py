"""Show or set what share of questions goes to another entry.

`ragline split large=10` sends a tenth of the conversations to large, at once and without a restart.
"""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import TypeAdapter

from services.cli.console import Output
from services.cli.errors import UsageError
from services.cli.gateway import call_gateway
from services.core.client import HttpClient
from services.core.wire.encoding import decode
from services.core.wire.split import SplitReply, SplitRequest, read_shares

PANEL = "Look after"
PATH = "/v1/split"

_REPLY = TypeAdapter(SplitReply)


def command(
    shares: Annotated[
        list[str] | None, typer.Argument(metavar="NAME=PERCENT", help="The shares; left out: show them.")
    ] = None,
    *,
    why: Annotated[str, typer.Option(help="What others are shown as the reason.")] = "",
    end: Annotated[bool, typer.Option("--end", help="End the live split: LLM_SPLIT counts again.")] = False,
) -> None:
    if shares and end:
        raise UsageError("give shares or --end, not both")
    output = Output.standard()
    if shares:
        try:
            wanted = SplitRequest(shares=read_shares(",".join(shares)), why=why)
        except ValueError as error:
            raise UsageError(str(error)) from None
        body = wanted.model_dump(exclude_none=True)
        split = _REPLY.validate_json(call_gateway(lambda client: client.put(PATH, body)))
    elif end:
        split = _REPLY.validate_json(call_gateway(lambda client: client.delete(PATH)))
    else:
        split = call_gateway(read_split)
    for line in describe_split(split):
        output.line(line)


async def read_split(client: HttpClient) -> SplitReply:
    """Ask the gateway for the split in force."""
    return decode(_REPLY, await client.get(PATH), client.service)


def describe_split(split: SplitReply) -> list[str]:
    """Write the split in force as lines for people."""
    if not split.shares:
        lines = ["split: none, the default entry answers every question that names no model"]
    else:
        shares = ", ".join(f"{name} {share:g} %" for name, share in split.shares.items())
        lines = [f"split: {shares} of the conversations that name no model, the rest to the default entry"]
    live = split.live
    if live is not None:
        why = f": {live.why}" if live.why else ""
        lines.append(f"  set live by {live.by or 'anyone'} at {live.at:%Y-%m-%d %H:%M} UTC{why}")
    if split.overrides:
        shares = ",".join(f"{name}={share:g}" for name, share in split.configured.items()) or "nothing"
        lines.append(f"  in place of LLM_SPLIT, which says {shares}; 'ragline split --end' returns to it")
    if split.unknown:
        lines.append(f"  no such entry: {', '.join(split.unknown)}; its share stays with the default entry")
    if split.detail:
        lines.append(f"  {split.detail}")
    return lines
