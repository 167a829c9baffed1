"""What an answer costs in money and in energy, and what an answer costs that is right besides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from pipelines.evaluation.analysis.scores import AnswerScores, cluster_name
from pipelines.evaluation.bundle.prices import Price
from pipelines.evaluation.bundle.records import Manifest
from pipelines.evaluation.cost_results import CostResult
from pipelines.evaluation.metric import primary_metric
from pipelines.evaluation.statistics import Score, mean_interval, pair
from pipelines.evaluation.statistics.ratio import ratio_interval

ENERGY = "J"


def estimate_costs(
    manifest: Manifest, by_arm: Mapping[str, Sequence[AnswerScores]], baseline: str, seed: int
) -> tuple[CostResult, ...]:
    """Estimate every arm's cost in each unit that is known of it; none without prices and a power meter."""
    results = []
    for unit in (*dict.fromkeys(price.currency for price in manifest.prices.values()), ENERGY):
        costs = {
            arm: _price_answers(scored, unit, manifest.prices.get(arm)) for arm, scored in by_arm.items()
        }
        for arm in (arm for arm in by_arm if costs[arm]):
            result = _average_cost(arm, unit, costs[arm], seed)
            if arm != baseline and costs[baseline]:
                more = _cost_of_more(costs[baseline], costs[arm], by_arm[baseline], by_arm[arm])
                result = result.model_copy(update=more)
            results.append(result)
    return tuple(results)


def _price_answers(scored: Sequence[AnswerScores], unit: str, price: Price | None) -> list[Score]:
    """Each answer's cost; an answer whose tokens or energy are not known has none."""
    costs = []
    for answer in scored:
        value: float | None = None
        usage = answer.reply.usage
        if unit == ENERGY:
            value = answer.answer.energy
        elif price is not None and price.currency == unit and usage is not None:
            value = (price.prompt * usage.prompt_tokens + price.completion * usage.completion_tokens) / 1e6
        if value is not None:
            costs.append(Score(answer.question.id, value, cluster_name(answer.question)))
    return costs


def _average_cost(arm: str, unit: str, costs: Sequence[Score], seed: int) -> CostResult:
    """Average an arm's costs over questions, repeats averaged first."""
    values: dict[str, list[float]] = {}
    clusters: dict[str, str] = {}
    for cost in costs:
        values.setdefault(cost.question, []).append(cost.value)
        clusters[cost.question] = cost.cluster
    means = [fmean(repeats) for repeats in values.values()]
    mean = mean_interval(means, [clusters[question] for question in values], seed=seed)
    return CostResult(arm=arm, unit=unit, n=mean.n, value=mean.value, low=mean.low, high=mean.high)


def _cost_of_more(
    base_costs: Sequence[Score],
    costs: Sequence[Score],
    base: Sequence[AnswerScores],
    scored: Sequence[AnswerScores],
) -> dict[str, object]:
    """What one more right answer costs, over the questions of which cost and correctness of both arms are
    known."""
    quality = primary_metric("quality").name

    def right(answers: Sequence[AnswerScores]) -> list[Score]:
        return [
            Score(answer.question.id, answer.scores[quality], cluster_name(answer.question))
            for answer in answers
            if quality in answer.scores
        ]

    shared = set.intersection(
        *({score.question for score in scores} for scores in (base_costs, costs, right(base), right(scored)))
    )
    if not shared:
        return {}

    def kept(scores: Sequence[Score]) -> list[Score]:
        return sorted(
            (score for score in scores if score.question in shared), key=lambda score: score.question
        )

    paid, gained = pair(kept(base_costs), kept(costs)), pair(kept(right(base)), kept(right(scored)))
    extra, more = float(paid.differences.mean()), float(gained.differences.mean())
    if more <= 0:
        return {"extra": extra, "sentence": "no extra correct answer"}
    bounds = ratio_interval(paid.differences, gained.differences, paid.cluster, paid.clusters)
    if bounds is None:
        said = "an extra correct answer is not beyond chance: what one costs has no upper end"
        return {"extra": extra, "per_extra": extra / more, "sentence": said}
    return {
        "extra": extra,
        "per_extra": extra / more,
        "per_extra_low": bounds[0],
        "per_extra_high": bounds[1],
    }
