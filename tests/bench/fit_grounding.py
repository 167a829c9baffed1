"""Fits the groundedness scorer to people's labels, and says how good it is by cross-validation.

WiCE (dev, claims of Wikipedia against web pages; supported or not) and ExpertQA (claims of language models
against the evidence they cite; complete support or not; claims without evidence are left out). Folds are
by article and by question, so that no claim is judged by numbers that saw its evidence. Both sets, and in
each of them both labels, weigh the same: the probability is one for a prior of a half.

What is judged is the score that is shipped: its rules (quotations, conflicts, addresses) are applied to each
held-out claim, by the shipped code, after weights that were fitted without it. Claims whose evidence is an
address alone are not fitted to: people looked at the page, which is not in the data.

Writes `pipelines/evaluation/grounding/fitted.json`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

from _report import report  # noqa: E402 - a neighbour, not a package

from pipelines.evaluation.grounding.calibration import UNKNOWN, Calibration, apply_rules  # noqa: E402 - a script
from pipelines.evaluation.grounding.claims import read_sentences, strip_marks  # noqa: E402
from pipelines.evaluation.grounding.evidence import FEATURES, LEXICAL  # noqa: E402
from pipelines.evaluation.grounding.scorer import GroundednessScorer, Similarity, weigh_evidence  # noqa: E402
from services.cli.commands.ground import local_encoder  # noqa: E402
from services.core.wire.grounding import SentenceEvidence  # noqa: E402

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
        title, supported = row["meta"]["claim_title"], row["label"] == "supported"
        claims.append(Claim("WiCE", title, row["claim"], row["evidence"], supported))
    return claims


def expertqa() -> list[Claim]:
    claims = []
    for line in (DATA / "expertqa" / "claims_a.jsonl").read_text().splitlines():
        row = json.loads(line)
        for answer in row["answers"].values():
            for claim in answer["claims"]:
                if not claim["evidence"] or claim["support"] == "N/A":
                    continue
                supported = claim["support"] == "Complete"
                claims.append(
                    Claim("ExpertQA", row["question"], claim["claim_string"], claim["evidence"], supported)
                )
    return claims


async def weighed(claims: Sequence[Claim]) -> dict[str, list[SentenceEvidence | None]]:
    """By kind of scorer each claim's evidence, as the scorer has it; None where there is nothing to read."""
    found: dict[str, list[SentenceEvidence | None]] = {"full": [], "lexical": []}
    async with local_encoder() as encoder:
        scorer = GroundednessScorer(encoder)
        for number, claim in enumerate(claims, 1):
            text = strip_marks(claim.text)
            texts = [sentence.text for sentence in read_sentences(claim.passages)]
            similarity = (await scorer.compare([text], texts))[0] if texts else Similarity()
            for kind, vectors in (("full", similarity), ("lexical", Similarity())):
                found[kind].append(weigh_evidence(text, texts, vectors) if texts else None)
            print(f"\r{number} of {len(claims)} claims", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


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


def fitted(names: Sequence[str], x: Array, y: Array, source: NDArray[np.str_]) -> Calibration:
    """As it is shipped: to four places."""
    intercept, weights = fit(x, y, balanced(source, y))
    rounded = {name: round(float(w), 4) for name, w in zip(names, weights, strict=True)}
    return Calibration(round(intercept, 4), rounded)


def out_of_fold(
    found: Sequence[SentenceEvidence | None], names: Sequence[str], data: Sequence[Claim], seed: int
) -> Array:
    """What the scorer would say of each claim, had it been fitted without that claim's article or question."""
    y, source, group = columns(data)
    x = np.array([[0.0 if each is None else each.features[name] for name in names] for each in found])
    known = np.array([each is not None for each in found])
    shuffled = np.random.default_rng(seed).permutation(np.unique(group))
    fold_of = {name: number % FOLDS for number, name in enumerate(shuffled)}
    fold = np.array([fold_of[name] for name in group])
    p = np.full(len(y), UNKNOWN)
    for held in range(FOLDS):
        train = (fold != held) & known
        weights = fitted(names, x[train], y[train], source[train])
        for at in np.flatnonzero((fold == held) & known):
            evidence = found[at]
            p[at] = UNKNOWN if evidence is None else apply_rules(evidence, weights)[0]
    return p


def columns(data: Sequence[Claim]) -> tuple[Array, NDArray[np.str_], NDArray[np.str_]]:
    """Labels, sets, and groups that are not independent."""
    return (
        np.array([float(claim.supported) for claim in data]),
        np.array([claim.source for claim in data]),
        np.array([claim.group for claim in data]),
    )


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
    evidence = asyncio.run(weighed(claims))
    y, source, group = columns(claims)
    known = np.array([each is not None for each in evidence["lexical"]])
    sets = {
        "WiCE": source == "WiCE",
        "ExpertQA": source == "ExpertQA",
        "ExpertQA, with a text": (source == "ExpertQA") & known,
    }
    shipped, rows = {}, []

    def row(scorer: str, name: str, p: Array, *, decides: bool) -> dict[str, object]:
        of = sets[name]
        return {
            "scorer": scorer,
            "set": name,
            "claims": int(of.sum()),
            "supported": f"{y[of].mean():.0%}",
            "AUROC": interval(y[of], p[of], group[of], auroc),
            "balanced accuracy": interval(y[of], p[of], group[of], balanced_accuracy) if decides else "",
        }

    for kind, names in (("full", FEATURES), ("lexical", LEXICAL)):
        found = evidence[kind]
        p = np.mean([out_of_fold(found, names, claims, seed) for seed in range(REPEATS)], axis=0)
        rows += [row(kind, name, p, decides=True) for name in sets]
        x = np.array([[each.features[name] for name in names] for each in found if each is not None])
        calibration = fitted(names, x, y[known], source[known])
        shipped[kind] = {"intercept": calibration.intercept, "weights": dict(calibration.weights)}
    for name, feature in (("unigram overlap", "window"), ("figures and names", "figures_and_names")):
        p = np.array([0.0 if each is None else each.features[feature] for each in evidence["lexical"]])
        rows += [row(f"{name} alone", s, p, decides=False) for s in sets]
    FITTED.write_text(json.dumps(shipped, indent=2) + "\n")
    report(
        "grounding",
        "Groundedness against people's labels",
        rows,
        n=len(claims),
        note=f"Out of fold, the mean of {REPEATS} repeats of {FOLDS} folds; 95 % intervals by {RESAMPLES} resamples.",
    )


if __name__ == "__main__":
    main()
