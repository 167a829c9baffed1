"""Fits the groundedness scorer to people's labels, and says how good it is by cross-validation.

WiCE (dev, claims of Wikipedia against web pages; supported or not) and ExpertQA (claims of language models
against the evidence they cite; complete support or not; claims without evidence are left out). Folds are
by article and by question, so that no claim is judged by numbers that saw its evidence. Both sets, and in
each of them both labels, weigh the same: the probability is one for a prior of a half.

Writes `pipelines/evaluation/grounding/fitted.json`.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

from _report import report  # noqa: E402 - a neighbour, not a package

from pipelines.evaluation.grounding import scorer as scoring  # noqa: E402 - run as a script
from pipelines.evaluation.grounding.evidence import FEATURES, LEXICAL, evidence  # noqa: E402
from pipelines.sentences import sentences  # noqa: E402
from services.cli.ground import local_encoder  # noqa: E402

DATA = Path(os.environ.get("RAGLINE_EVALUATION_DATA", Path(__file__).parents[3] / "shared" / "data"))
FITTED = Path(__file__).parents[2] / "pipelines" / "evaluation" / "grounding" / "fitted.json"
FOLDS, REPEATS, RESAMPLES = 5, 10, 2000
PENALTY = 5.0
"""Of the squared weights of standardised features, against a log loss that is summed over n claims."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Claim:
    source: str
    group: str
    text: str
    passages: list[str]
    supported: bool


def wice() -> list[Claim]:
    claims = []
    for line in (DATA / "wice" / "dev.jsonl").read_text().splitlines():
        row = json.loads(line)
        page = ["\n\n".join(row["evidence"])]
        claims.append(
            Claim("WiCE", row["meta"]["claim_title"], row["claim"], page, row["label"] == "supported")
        )
    return claims


def expertqa() -> list[Claim]:
    claims = []
    for line in (DATA / "expertqa" / "claims_a.jsonl").read_text().splitlines():
        row = json.loads(line)
        for answer in row["answers"].values():
            for claim in answer["claims"]:
                if not claim["evidence"] or claim["support"] == "N/A":
                    continue
                text = re.sub(r"\s*\[\d+\]", "", claim["claim_string"])
                passages = [re.sub(r"^\[\d+\]\s*\S+\s*\n", "", each) for each in claim["evidence"]]
                claims.append(
                    Claim("ExpertQA", row["question"], text, passages, claim["support"] == "Complete")
                )
    return claims


async def features(claims: Sequence[Claim]) -> Array:
    """Shape (claims, features); what the scorer itself computes."""
    rows = []
    async with local_encoder() as encoder:
        scorer = scoring.GroundednessScorer(encoder)
        for number, claim in enumerate(claims, 1):
            texts = [span.text for passage in claim.passages for span in sentences(passage)]
            [near] = await scorer.compared([claim.text], texts)
            found = scoring.features(evidence(claim.text, texts, near.cosines, near.best))
            rows.append([found[name] for name in FEATURES])
            print(f"\r{number} of {len(claims)} claims", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return np.array(rows)


def fit(x: Array, y: Array, weight: Array) -> tuple[float, Array]:
    """Intercept and weights for raw features: penalised maximum likelihood on standardised ones."""
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-9
    z = np.column_stack([np.ones(len(x)), (x - mean) / spread])
    sign = 2 * y - 1

    def loss(w: Array) -> tuple[float, Array]:
        margin = sign * (z @ w)
        value = weight @ np.logaddexp(0, -margin) + PENALTY / 2 * w[1:] @ w[1:]
        slope = -(z.T @ (weight * sign / (1 + np.exp(margin))))
        slope[1:] += PENALTY * w[1:]
        return float(value), slope

    w = minimize(loss, np.zeros(z.shape[1]), jac=True, method="L-BFGS-B").x
    return float(w[0] - (w[1:] * mean / spread).sum()), w[1:] / spread


def balanced(source: NDArray[np.str_], y: Array) -> Array:
    """Weights that sum to n and give every set, and every label of a set, the same share."""
    weight = np.zeros(len(y))
    cells = [(source == s) & (y == label) for s in np.unique(source) for label in (0, 1)]
    for cell in cells:
        weight[cell] = len(y) / len(cells) / max(1, cell.sum())
    return weight


def out_of_fold(x: Array, y: Array, source: NDArray[np.str_], group: NDArray[np.str_], seed: int) -> Array:
    names = np.random.default_rng(seed).permutation(np.unique(group))
    fold_of = {name: number % FOLDS for number, name in enumerate(names)}
    fold = np.array([fold_of[name] for name in group])
    p = np.zeros(len(y))
    for held in range(FOLDS):
        train = fold != held
        intercept, w = fit(x[train], y[train], balanced(source[train], y[train]))
        p[~train] = 1 / (1 + np.exp(-(intercept + x[~train] @ w)))
    return p


def auroc(y: Array, p: Array) -> float:
    """The probability that a supported claim scores above another one (Mann-Whitney's U over n0 n1)."""
    above = p[y == 1][:, None] - p[y == 0][None, :]
    return float((above > 0).mean() + (above == 0).mean() / 2)


def balanced_accuracy(y: Array, p: Array) -> float:
    return float(((p[y == 1] > 0.5).mean() + (p[y == 0] <= 0.5).mean()) / 2)


def interval(y: Array, p: Array, group: NDArray[np.str_], of: object) -> str:
    """The figure and its 95 % percentile interval; whole articles and questions are resampled."""
    rng, members = np.random.default_rng(0), [np.flatnonzero(group == name) for name in np.unique(group)]
    values = []
    while len(values) < RESAMPLES:
        chosen = np.concatenate([members[at] for at in rng.integers(len(members), size=len(members))])
        if 0 < y[chosen].sum() < len(chosen):
            values.append(of(y[chosen], p[chosen]))  # type: ignore[operator]
    low, high = np.percentile(values, [2.5, 97.5])
    return f"{of(y, p):.3f} [{low:.3f}, {high:.3f}]"  # type: ignore[operator]


def main() -> None:
    claims = wice() + expertqa()
    x = asyncio.run(features(claims))
    y = np.array([float(claim.supported) for claim in claims])
    source = np.array([claim.source for claim in claims])
    group = np.array([claim.group for claim in claims])
    fitted, rows = {}, []
    for kind, names in (("full", FEATURES), ("lexical", LEXICAL)):
        used = x[:, [FEATURES.index(name) for name in names]]
        repeats = [out_of_fold(used, y, source, group, seed) for seed in range(REPEATS)]
        p = np.mean(repeats, axis=0)
        for name in ("WiCE", "ExpertQA"):
            of = source == name
            rows.append(
                {
                    "scorer": kind,
                    "set": name,
                    "claims": int(of.sum()),
                    "supported": f"{y[of].mean():.0%}",
                    "AUROC": interval(y[of], p[of], group[of], auroc),
                    "balanced accuracy": interval(y[of], p[of], group[of], balanced_accuracy),
                }
            )
        intercept, weights = fit(used, y, balanced(source, y))
        fitted[kind] = {
            "intercept": round(intercept, 4),
            "weights": {n: round(float(w), 4) for n, w in zip(names, weights, strict=True)},
        }
    for name, column in (("unigram overlap", "window"), ("figures and names", "figures_and_names")):
        for s in ("WiCE", "ExpertQA"):
            of = source == s
            p = x[of, FEATURES.index(column)]
            rows.append(
                {
                    "scorer": f"{name} alone",
                    "set": s,
                    "claims": int(of.sum()),
                    "supported": f"{y[of].mean():.0%}",
                    "AUROC": interval(y[of], p, group[of], auroc),
                    "balanced accuracy": "",
                }
            )
    FITTED.write_text(json.dumps(fitted, indent=2) + "\n")
    report(
        "grounding",
        "Groundedness against people's labels",
        rows,
        n=len(claims),
        note=f"Out of fold, the mean of {REPEATS} repeats of {FOLDS} folds; 95 % intervals by {RESAMPLES} resamples.",
    )


if __name__ == "__main__":
    main()
