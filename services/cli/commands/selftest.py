"""Test an installation: does every model answer and cite?

A document with a made-up fact goes in, and every model has to answer from it and cite it. The document is
deleted afterwards. The exit code is 1 where a model failed. This is what 'helm test' runs.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from pipelines.conformance import selftest
from services.cli.console import Output
from services.cli.gateway import local_stack
from services.cli.local.addresses import describe_external
from services.cli.settings import Settings

PANEL = "Look after"


def command(
    *,
    url: Annotated[str, typer.Option(help="The gateway's URL; empty: the one that 'ragline ask' asks.")] = "",
    skip: Annotated[list[str] | None, typer.Option(help="A model entry not to ask; repeatable.")] = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for what is not ready.", min=0)] = 60,
) -> None:
    settings, output = Settings.load(), Output.standard()
    stack = local_stack()
    gateway = url or settings.url or stack.url("gateway")
    named = "" if url or not settings.url else " (RAGLINE_URL)"
    output.line(f"testing {gateway}{named}")
    if not url and not settings.url and stack.external:
        output.line(describe_external(stack.external))
    work = selftest.check(gateway, settings.key, wait=wait, skip=skip or [], say=output.line)
    raise typer.Exit(0 if asyncio.run(work) else 1)
