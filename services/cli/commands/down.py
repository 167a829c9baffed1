"""Stop the services.

Answers on their way may finish. What 'ragline up' did not start is left alone.
"""

from __future__ import annotations

from services.cli.console import Output
from services.cli.gateway import local_stack
from services.cli.local.detached import stop_supervisors

PANEL = "Run"


def command() -> None:
    stack, output = local_stack(), Output.standard()
    names = list(stack.running)
    stop_supervisors(stack.state_file)
    stack.stop_all()
    output.line(f"stopped {', '.join(names)}" if names else "nothing was running")
