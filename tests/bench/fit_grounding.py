"""Fits the groundedness scorer to people's labels. `make bench-groundedness` says how good it is.

Every set, and in each of them both labels, weigh the same: the probability is one for a prior of a half. No
weight may be negative, so that more evidence never lowers it. Claims whose evidence is an address alone are
not fitted to: people looked at the page, which is not in the data.

Writes `pipelines/evaluation/grounding/fitted.json`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

from _grounding_sets import Labelled, read_labelled, read_short_answers  # noqa: E402 - a neighbour, not a package

from pipelines.evaluation.grounding.calibration import Calibration, FittedNumbers  # noqa: E402 - a script
from pipelines.evaluation.grounding.evidence import FEATURES, SHORT_FEATURES  # noqa: E402
from pipelines.evaluation.grounding.scorer import weigh_evidence  # noqa: E402
from services.core.wire.grounding import SentenceEvidence  # noqa: E402

FITTED = Path(__file__).parents[2] / "pipelines" / "evaluation" / "grounding" / "fitted.json"
PENALTY = 5.0
"""Of the squared weights of standardised features, against a log loss that is summed over n claims."""
SLACK = 1.5
"""Log odds by which a sentence may be above its weakest clause: without any, ExpertQA's AUROC falls by 0.04."""

Array = NDArray[np.float64]


def weigh(labelled: Sequence[Labelled]) -> list[SentenceEvidence | None]:
    """Each claim's evidence, as the scorer has it; None where there is nothing to read."""
    return [weigh_evidence(one.claim, texts) if (texts := one.texts) else None for one in labelled]


def fit(
    names: Sequence[str], evidence: Sequence[SentenceEvidence], y: Array, source: NDArray[np.str_]
) -> Calibration:
    """Penalised maximum likelihood on standardised features, no weight below 0; to four places, as shipped."""
    x = np.array([[each.features[name] for name in names] for each in evidence])
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-9
    z = np.column_stack([np.ones(len(x)), (x - mean) / spread])
    sign, weight = 2 * y - 1, balance(source, y)

    def loss(w: Array) -> tuple[float, Array]:
        margin = sign * (z @ w)
        slope = -(z.T @ (weight * sign / (1 + np.exp(margin))))
        slope[1:] += PENALTY * w[1:]
        return float(weight @ np.logaddexp(0, -margin) + PENALTY / 2 * w[1:] @ w[1:]), slope

    bounds = [(None, None), *[(0.0, None)] * len(names)]
    w = minimize(loss, np.zeros(z.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds).x
    raw = w[1:] / spread
    return Calibration(
        round(float(w[0] - raw @ mean), 4),
        {name: round(float(each), 4) for name, each in zip(names, raw, strict=True)},
    )


def balance(source: NDArray[np.str_], y: Array) -> Array:
    """Weights that sum to n and give every set, and every label of a set, the same share."""
    weight = np.zeros(len(y))
    cells = [(source == s) & (y == label) for s in np.unique(source) for label in (0, 1)]
    for cell in cells:
        weight[cell] = len(y) / len(cells) / max(1, cell.sum())
    return weight


def fit_all(
    labelled: Sequence[Labelled],
    evidence: Sequence[SentenceEvidence | None],
    short: Sequence[Labelled],
    short_evidence: Sequence[SentenceEvidence | None],
) -> FittedNumbers:
    """Fit both regressions, to what has a text."""
    fitted = []
    for names, claims, found in (
        (FEATURES, labelled, evidence), (SHORT_FEATURES, short, short_evidence),
    ):  # fmt: skip
        known = [(one, each) for one, each in zip(claims, found, strict=True) if each is not None]
        y = np.array([float(one.supported) for one, _ in known])
        fitted.append(fit(names, [each for _, each in known], y, np.array([one.source for one, _ in known])))
    return FittedNumbers(fitted[0], SLACK, fitted[1])


def main() -> None:
    labelled, short = read_labelled(), read_short_answers()
    fitted = fit_all(labelled, weigh(labelled), short, weigh(short))
    shipped = {
        "sentence": {"intercept": fitted.sentence.intercept, "weights": dict(fitted.sentence.weights)},
        "slack": fitted.slack,
        "short": {"intercept": fitted.short.intercept, "weights": dict(fitted.short.weights)},
    }
    FITTED.write_text(json.dumps(shipped, indent=2) + "\n")
    print(
        f"{FITTED.name}: {len(labelled)} claims and {len(short)} short answers\n{json.dumps(shipped, indent=2)}"
    )


if __name__ == "__main__":
    main()
