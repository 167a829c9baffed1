"""Runs the simulations and prints a table: `make bench-statistics`. The exit code is 1 where a row does not hold."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import time
from collections.abc import Callable, Iterable

from tests.bench import simulations
from tests.bench.simulations import Plan, Row


def list_simulations() -> dict[str, Callable[[Plan], Iterable[Row]]]:
    """List the modules of the folder that simulate, by name."""
    modules = (
        module.name
        for module in pkgutil.iter_modules(simulations.__path__)
        if not module.name.startswith("_")
    )
    return {name: importlib.import_module(f"{simulations.__name__}.{name}").simulate for name in modules}


def format_row(row: Row) -> str:
    """Format a row: what was measured with its standard error, and what was promised."""
    value, error, least, most = (
        format(part, row.form) for part in (row.measured, row.error, row.least, row.most)
    )
    mark = "holds" if row.held else "FAILS"
    return f"{row.name:76} {value:>7} ± {error:>5}   {least:>6} to {most:>6}  {row.simulations:6,}  {mark}"


def main() -> None:
    """Run what the options choose."""
    plan, known = Plan(), list_simulations()
    parser = argparse.ArgumentParser(description="Check what the statistics promise, by simulation.")
    parser.add_argument("--sizes", default=",".join(map(str, plan.sizes)), help="numbers of questions")
    parser.add_argument("--simulations", type=int, default=plan.simulations, help="experiments a row")
    parser.add_argument("--only", default=",".join(known), help=f"modules, of {', '.join(known)}")
    chosen = parser.parse_args()
    plan = Plan(tuple(int(size) for size in chosen.sizes.split(",")), chosen.simulations)
    failed = 0
    for name in chosen.only.split(","):
        start = time.process_time()
        print(f"{name}: what is promised, measured ± Monte-Carlo standard error, shall lie in, experiments")
        for row in known[name](plan):
            print(f"  {format_row(row)}", flush=True)
            failed += not row.held
        print(f"  {time.process_time() - start:.0f} s of CPU")
    if failed:
        sys.exit(f"{failed} rows do not hold")


if __name__ == "__main__":
    main()
