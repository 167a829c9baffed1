"""`python -m services.cli.selftest`: the test that `helm test` runs, with nothing but the gateway's install.

`ragline selftest` runs the same test.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from pipelines.conformance.selftest import check
from services.cli.settings import Settings
from services.core.errors import RaglineError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the test. Returns the exit code: 0 where everything held, 1 where something did not."""
    settings = Settings.load()
    description = "Does every model answer from a document that goes in, with a citation? It is deleted then."
    parser = argparse.ArgumentParser(prog="python -m services.cli.selftest", description=description)
    parser.add_argument("--url", default=settings.url or "http://127.0.0.1:8888", help="the gateway")
    parser.add_argument("--wait", type=float, default=60, help="seconds to wait for what is not ready")
    parser.add_argument("--skip", action="append", default=[], help="a model entry not to ask; repeatable")
    asked = parser.parse_args(arguments)
    work = check(asked.url, settings.key, wait=asked.wait, skip=asked.skip, say=_print)
    try:
        held = asyncio.run(work)
    except RaglineError as error:
        _print(f"failed  {error.service or 'gateway'}: {error.message}")
        held = False
    _print("passed" if held else "FAILED")
    return 0 if held else 1


def _print(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
