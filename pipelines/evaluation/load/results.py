"""Samples of a load run, reduced: quantiles, goodput, and how many users that makes. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from pipelines.evaluation.load.records import FIGURES, LoadCell, LoadVerdict, Quantile, Sample, Slo
from pipelines.evaluation.statistics.intervals import percentile, proportion_interval
from services.core.errors import InvalidRequest

LEVELS = (0.5, 0.9, 0.95, 0.99)
LEAST = 6
"""Requests below which nothing is sure, as for a median: Wilson's interval of one failure is too short."""
_OBJECTIVE = re.compile(r"(?P<figure>[a-z0-9]+)=(?P<seconds>\d+(?:\.\d+)?)")


def parse_slo(text: str) -> Slo:
    """`ttfo=5,e2el=20`, in seconds. InvalidRequest says what is wrong with it."""
    bounds: dict[str, float] = {}
    for part in text.split(","):
        found = _OBJECTIVE.fullmatch(part.strip())
        if found is None or found["figure"] not in FIGURES or not float(found["seconds"]):
            raise InvalidRequest(
                f"objective {part.strip()!r}: write FIGURE=SECONDS, such as ttfo=5,e2el=20; "
                f"the figures are {', '.join(FIGURES)}"
            )
        if found["figure"] in bounds:
            raise InvalidRequest(f"objective {found['figure']!r} comes twice")
        bounds[found["figure"]] = float(found["seconds"]) * 1e3
    return Slo(**bounds)


def meets(sample: Sample, slo: Slo) -> bool:
    """Answered, and every figure with a bound within it. A figure that does not apply (TPOT of one token)
    meets its bound; a TTFT, TTFO or E2EL that is missing does not."""
    if sample.error or sample.truncated:
        return False
    for figure in FIGURES:
        most: float | None = getattr(slo, figure)
        took: float | None = getattr(sample, figure)
        if most is not None and ((took is None and figure != "tpot") or (took or 0.0) > most):
            return False
    return True


def cell(
    arm: str, concurrency: int, samples: Sequence[Sample], slo: Slo, duration_seconds: float
) -> LoadCell:
    """The samples of one arm and concurrency, all of which ended in these seconds."""
    answered = [sample for sample in samples if not sample.error]
    good = sum(meets(sample, slo) for sample in samples)
    bounds = proportion_interval(good, len(samples))
    return LoadCell(
        arm=arm,
        concurrency=concurrency,
        requests=len(samples),
        errors=dict(sorted(Counter(sample.error for sample in samples if sample.error).items())),
        abstained=sum(sample.abstained for sample in answered),
        truncated=sum(sample.truncated for sample in answered),
        duration_seconds=round(duration_seconds, 3),
        throughput=_rate(len(answered), duration_seconds),
        goodput=_rate(good, duration_seconds),
        tokens_per_second=_rate(sum(sample.tokens for sample in answered), duration_seconds),
        share_within_slo=good / len(samples) if samples else None,
        share_low=bounds[0] if bounds else None,
        share_high=bounds[1] if bounds else None,
        **{figure: _quantiles(answered, figure) for figure in FIGURES},
    )


def verdicts(cells: Sequence[LoadCell], slo: Slo, target_share: float) -> tuple[LoadVerdict, ...]:
    """One for each arm, in the order in which they come."""
    arms = dict.fromkeys(each.arm for each in cells)
    found = []
    for arm in arms:
        own = sorted((each for each in cells if each.arm == arm), key=lambda each: each.concurrency)
        found.append(_verdict(arm, own, slo, target_share))
    return tuple(found)


def _verdict(arm: str, cells: Sequence[LoadCell], slo: Slo, target: float) -> LoadVerdict:
    """The greatest concurrency up to which every one that was tried holds."""
    held: LoadCell | None = None
    failed: LoadCell | None = None
    for each in cells:
        if each.share_within_slo is None or each.share_within_slo < target:
            failed = each
            break
        held = each
    if held is not None:
        certain = held.share_low is not None and held.share_low >= target
        tried = (
            "more were not tried" if failed is None else f"with {failed.concurrency} it is {_share(failed)}"
        )
        said = f"serves {_users(held.concurrency)}", f"{_share(held)}; {tried}"
    else:
        failed = cells[0]
        certain = failed.requests >= LEAST and failed.share_high is not None and failed.share_high < target
        said = f"does not serve {_users(failed.concurrency)}", _share(failed)
    doubt = "" if certain else " The sample is too small to be sure."
    return LoadVerdict(
        arm=arm,
        users=held.concurrency if held else None,
        open_end=failed is None,
        certain=certain,
        sentence=f"{arm} {said[0]} on this machine within {slo} in {target:.0%} of requests: "
        f"{said[1]}.{doubt}",
    )


def _share(of: LoadCell) -> str:
    if of.share_within_slo is None or of.share_low is None or of.share_high is None:
        return "no request ended in time"
    return f"{of.share_within_slo:.0%} [{of.share_low:.0%}, {of.share_high:.0%}], n = {of.requests}"


def _users(number: int) -> str:
    return f"{number} user{'s' if number > 1 else ''} at once"


def _quantiles(answered: Sequence[Sample], figure: str) -> tuple[Quantile, ...]:
    values = [value for sample in answered if (value := getattr(sample, figure)) is not None]
    found = [percentile(values, level) for level in LEVELS]
    return tuple(
        Quantile(
            level=each.level, n=each.n, needed=each.needed, value=each.value, low=each.low, high=each.high
        )
        for each in found
    )


def _rate(count: int, seconds: float) -> float:
    return count / seconds if seconds > 0 else 0.0
