"""Restart one service.

It gets the present environment and keeps its port, so that this swaps the model:

    LLM_BACKEND=large ragline restart generation
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from services.cli.commands.up import NAME_WIDTH, wait_for_services
from services.cli.console import Output
from services.cli.errors import ServiceDied, UsageError
from services.cli.gateway import local_stack
from services.cli.local.addresses import check_names
from services.cli.local.models import fetch_needed
from services.cli.local.stack import Stack
from services.core.settings import copy_environment

PANEL = "Run"


def command(
    service: Annotated[str, typer.Argument(help="embedding, retrieval, reranking, generation, ...")],
    timeout: Annotated[float, typer.Option(help="Seconds to wait until everything is ready.", min=1)] = 600,
) -> None:
    restart(local_stack(), service, copy_environment(), Output.standard(), timeout)


def restart(stack: Stack, name: str, env: Mapping[str, str], output: Output, timeout: float) -> None:
    """Fetch what the service needs now, restart it with the present environment, wait until it is ready."""
    check_names([name])
    if name not in stack.recorded:
        raise UsageError(f"{name} was not started here: 'ragline up' starts everything, or --only {name}")
    fetch_needed([name], env, stack.home, output)
    pid = stack.restart(name)
    output.line(f"{name:<{NAME_WIDTH}} restarting at {stack.url(name)} (pid {pid})")
    try:
        wait_for_services(stack, [name], output, timeout)
    except ServiceDied as error:
        output.problem("\n".join(error.log_tail))
        raise
