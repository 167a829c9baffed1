"""Says in one sentence what a difference shows, and no more."""

from __future__ import annotations

from pipelines.evaluation.statistics.comparison import LEAST_CLUSTERS, Difference


def describe_difference(difference: Difference, *, baseline: str, candidate: str, unit: str = "") -> str:
    """Say in one sentence what a difference shows of two arms, and no more.

    Scores between 0 and 1 are told in points (hundredths); with a `unit` ("ms", "tokens") in that.
    """
    listed = _list_facts(difference, unit)
    if difference.detectable:
        word = "better" if difference.better else "worse"
        size = f"{_format_amount(abs(difference.difference), unit)} {unit or 'points'}"
        return f"{candidate} is {word} than {baseline} in {difference.metric} by {size} ({listed})."
    smallest = "this sample does not tell what difference it could show"
    if difference.smallest_detectable is not None:
        size = f"{_format_amount(difference.smallest_detectable, unit)} {unit or 'points'}"
        smallest = f"the smallest detectable difference is {size}"
    elif difference.clusters < LEAST_CLUSTERS or difference.low is not None:
        smallest = "this sample is too small to show any"
    arms = f"between {candidate} and {baseline}"
    return f"No detectable difference in {difference.metric} {arms} ({listed}): {smallest}."


def describe_exploratory(difference: Difference, *, baseline: str, candidate: str, unit: str = "") -> str:
    """Say in one sentence what was measured, where there are too many such differences to claim any."""
    size = f"{_format_amount(difference.difference, unit, signed=True)} {unit or 'points'}"
    return (
        f"Exploratory, not corrected over the report: {candidate} is at {size} from {baseline} in "
        f"{difference.metric} ({_list_facts(difference, unit)})."
    )


def _list_facts(difference: Difference, unit: str) -> str:
    facts = [f"n = {_format_sample(difference)}"]
    if difference.low is not None and difference.high is not None:
        low, high = (
            _format_amount(difference.low, unit, signed=True),
            _format_amount(difference.high, unit, signed=True),
        )
        facts.append(f"{1 - difference.alpha:.0%} interval {low} to {high} {unit or 'points'}")
    corrected = " after Holm's correction" if difference.p_adjusted > difference.p else ""
    facts.append(f"p {format_p(difference.p_adjusted)}{corrected}")
    if difference.discordant is not None:
        facts.append(f"{difference.discordant.gained} gained and {difference.discordant.lost} lost")
    return ", ".join(facts)


def format_p(value: float) -> str:
    """Write the text after "p": "= 0.031", "< 0.001", never "= 0.000"."""
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _format_sample(difference: Difference) -> str:
    return (
        f"{difference.n}"
        if difference.clusters == difference.n
        else f"{difference.n} in {difference.clusters} clusters"
    )


def _format_amount(value: float, unit: str, *, signed: bool = False) -> str:
    amount = value if unit else 100 * value
    return f"{amount:+.1f}" if signed else f"{amount:.1f}"
