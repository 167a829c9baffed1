"""`ragline gate`: may a candidate take the baseline's place? For a person, and for CI by its exit code."""

from __future__ import annotations

from pathlib import Path

from pipelines.evaluation.analysis import compute_results
from pipelines.evaluation.bundle.store import read_bundle
from pipelines.evaluation.gate import Check, Decision, gate, read_policy
from services.cli.console import Output


def decide(folder: Path, policy_path: Path, output: Output) -> Decision:
    """Read the policy, then the bundle, score it anew, hold one against the other. Raises what these
    raise."""
    policy = read_policy(policy_path)
    bundle = read_bundle(folder)
    with output.spinner(f"scoring {len(bundle.answers)} answers"):
        found = compute_results(bundle, policy.baseline)
    return gate(found, policy)


def show(decision: Decision, output: Output, *, as_json: bool = False) -> None:
    if as_json:
        output.line(decision.model_dump_json(indent=2))
        return
    output.table(
        [["", "scope", "metric", "asked", "measured", "95 % interval", "n"]]
        + [_row(each) for each in decision.checks]
    )
    told = "passes" if decision.passed else "does not pass"
    lost = sum(not each.held for each in decision.checks)
    why = "" if decision.passed else f": {lost} of {len(decision.checks)} do not hold"
    output.line(
        f"{decision.candidate} {told} against {decision.baseline}{why}",
        style="bold green" if decision.passed else "bold red",
    )


def _row(check: Check) -> list[str]:
    interval = "" if check.low is None or check.high is None else f"{check.low:.4g} to {check.high:.4g}"
    outcome: str = check.outcome
    if check.outcome == "undecided":
        outcome = f"undecided: {'passes' if check.held else 'fails'}"
    measured = "insufficient" if check.value is None else f"{check.value:.4g}"
    asked = check.asked if check.asked == "must_not_be_worse" else f"{check.asked} {check.limit:g}"
    return [outcome, check.scope, check.metric, asked, measured, interval, str(check.n)]
