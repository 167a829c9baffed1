"""A comparison in one sentence."""

from __future__ import annotations

from pipelines.evaluation.statistics.comparison import Difference


def verdict(found: Difference, *, baseline: str, candidate: str, unit: str = "") -> str:
    """What `found` shows of two arms, and no more.

    Scores between 0 and 1 are told in points (hundredths); with a `unit` ("ms", "tokens") in that.
    """
    facts = [f"n = {_sample(found)}"]
    if found.low is not None and found.high is not None:
        low, high = _amount(found.low, unit, signed=True), _amount(found.high, unit, signed=True)
        facts.append(f"{1 - found.alpha:.0%} interval {low} to {high} {unit or 'points'}")
    corrected = " after Holm's correction" if found.p_adjusted > found.p else ""
    facts.append(f"p {said_p(found.p_adjusted)}{corrected}")
    if found.discordant is not None:
        facts.append(f"{found.discordant.gained} gained and {found.discordant.lost} lost")
    told = ", ".join(facts)
    if found.detectable:
        word = "better" if found.better else "worse"
        size = f"{_amount(abs(found.difference), unit)} {unit or 'points'}"
        return f"{candidate} is {word} than {baseline} in {found.metric} by {size} ({told})."
    smallest = "this sample does not tell what difference it could show"
    if found.smallest_detectable is not None:
        size = f"{_amount(found.smallest_detectable, unit)} {unit or 'points'}"
        smallest = f"the smallest detectable difference is {size}"
    return (
        f"No detectable difference in {found.metric} between {candidate} and {baseline} ({told}): {smallest}."
    )


def _sample(found: Difference) -> str:
    return f"{found.n}" if found.clusters == found.n else f"{found.n} in {found.clusters} clusters"


def _amount(value: float, unit: str, *, signed: bool = False) -> str:
    amount = value if unit else 100 * value
    return f"{amount:+.1f}" if signed else f"{amount:.1f}"


def said_p(value: float) -> str:
    """What stands after "p": "= 0.031", "< 0.001", never "= 0.000"."""
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"
