"""Say whether a candidate may take the baseline's place.

A policy of your own decides. The exit code is 0 where the candidate passes, 1 where it does not, 2 where the
policy or the bundle cannot be used, and 3 where the sample is too small to decide.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.evaluation.analysis import compute_results
from pipelines.evaluation.bundle.store import read_bundle
from pipelines.evaluation.gate import Check, Decision, gate, read_policy
from services.cli.console import Output
from services.core.errors import RaglineError

UNDECIDED = 3
"""The exit code of a sample that is too small: 2 is taken by what cannot be used."""

PANEL = "Measure"


def command(
    bundle: Annotated[Path, typer.Argument(help="The folder of a run.")],
    *,
    policy: Annotated[Path, typer.Option(help="A TOML file that says what the candidate must hold.")],
    json: Annotated[bool, typer.Option("--json", help="Print the decision as JSON.")] = False,
) -> None:
    output = Output.standard()
    try:
        decision = decide(bundle, policy, output)
    except RaglineError as error:
        output.error(error)
        raise typer.Exit(2) from None
    show_decision(decision, output, as_json=json)
    raise typer.Exit({"pass": 0, "fail": 1, "undecided": UNDECIDED}[decision.outcome])


def decide(folder: Path, policy_path: Path, output: Output) -> Decision:
    """Read the policy, then the bundle, score the bundle anew, and hold it against the policy."""
    policy = read_policy(policy_path)
    bundle = read_bundle(folder)
    with output.spinner(f"scoring {len(bundle.answers)} answers"):
        measured = compute_results(bundle, policy.baseline, policy)
    return gate(measured, policy)


def show_decision(decision: Decision, output: Output, *, as_json: bool = False) -> None:
    if as_json:
        output.line(decision.model_dump_json(indent=2))
        return
    if decision.swap is not None:
        output.line(decision.swap.sentence, style="bold")
        output.line(decision.swap.trade)
    output.table(
        [["", "scope", "metric", "asked", "measured", "95 % interval", "n"]]
        + [_check_row(check) for check in decision.checks]
    )
    verdict = {"pass": "passes", "fail": "does not pass", "undecided": "is not decided"}[decision.outcome]
    lost = sum(not check.held for check in decision.checks)
    why = "" if decision.passed else f": {lost} of {len(decision.checks)} do not hold"
    output.line(
        f"{decision.candidate} {verdict} against {decision.baseline}{why}",
        style="bold green" if decision.passed else "bold red",
    )


def _check_row(check: Check) -> list[str]:
    interval = "" if check.low is None or check.high is None else f"{check.low:.4g} to {check.high:.4g}"
    outcome: str = check.outcome
    if check.outcome == "undecided":
        outcome = f"undecided: {'passes' if check.held else 'fails'}"
    measured = "insufficient" if check.value is None else f"{check.value:.4g}"
    asked = check.asked if check.asked == "must_not_be_worse" else f"{check.asked} {check.limit:g}"
    return [outcome, check.scope, check.metric, asked, measured, interval, str(check.n)]
