"""What is said of a scorer of claims, given its p for labelled ones: by set, by system, by length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from _grounding_sets import FITTED_SETS, Labelled
from numpy.typing import NDArray
from scipy.stats import rankdata

from pipelines.evaluation.grounding.calibration import SUPPORTED
from services.core.wire.grounding import SentenceEvidence

Array = NDArray[np.float64]
RESAMPLES, BINS = 1000, 10
LENGTHS = ((1, 9), (10, 14), (15, 24), (25, 999))
RECALL = 0.85


def auroc(y: NDArray[np.bool_], p: Array) -> float:
    """The probability that a supported claim scores above another one (Mann-Whitney's U over n0 n1)."""
    ranks, over = rankdata(p), int(y.sum())
    return float((ranks[y].sum() - over * (over + 1) / 2) / (over * (len(y) - over)))


def auroc_interval(y: NDArray[np.bool_], p: Array, groups: Sequence[str]) -> str:
    """The AUROC with its 95 % percentile interval; whole articles, questions and snippets are resampled."""
    rng, names = np.random.default_rng(0), np.array(groups)
    members, values = [np.flatnonzero(names == name) for name in np.unique(names)], []
    while len(values) < RESAMPLES:
        chosen = np.concatenate([members[at] for at in rng.integers(len(members), size=len(members))])
        if 0 < y[chosen].sum() < len(chosen):
            values.append(auroc(y[chosen], p[chosen]))
    low, high = np.percentile(values, [2.5, 97.5])
    return f"{auroc(y, p):.3f} [{low:.3f}, {high:.3f}]"


def calibration_error(y: NDArray[np.bool_], p: Array) -> float:
    """The expected calibration error in ten bins, with both labels weighing the same (Naeini et al. 2015)."""
    weight = np.where(y, 0.5 / y.sum(), 0.5 / (~y).sum())
    at = np.minimum((p * BINS).astype(int), BINS - 1)
    return float(sum(abs((weight * (y - p))[at == one].sum()) for one in range(BINS)))


def by_set(
    labelled: Sequence[Labelled],
    evidence: Sequence[SentenceEvidence | None],
    scores: dict[str, Array],
    groups: Sequence[str],
    cut: float = SUPPORTED,
) -> list[dict[str, object]]:
    y, rows = np.array([one.supported for one in labelled]), []
    known = np.array([each is not None for each in evidence])
    words = np.array([0.0 if each is None else each.features["nearby"] for each in evidence])
    for name in groups:
        of = np.array([one.source.startswith(name) for one in labelled])
        if not of.any():
            continue
        for fitted_on, p in scores.items():
            rows.append(
                {
                    "set": name,
                    "fitted": fitted_on,
                    "claims": int(of.sum()),
                    "without a text": int((of & ~known).sum()),
                    "supported": f"{y[of].mean():.0%}",
                    "AUROC": auroc_interval(
                        y[of], p[of], [one.group for one, take in zip(labelled, of, strict=True) if take]
                    ),
                    "words alone": f"{auroc(y[of], words[of]):.3f}",
                    "ECE": f"{calibration_error(y[of], p[of]):.3f}",
                    "balanced accuracy": f"{((p[of & y] > cut).mean() + (p[of & ~y] <= cut).mean()) / 2:.3f}",
                }
            )
    return rows


def by_system(labelled: Sequence[Labelled], p: Array, cut: float = SUPPORTED) -> list[dict[str, object]]:
    y, rows = np.array([one.supported for one in labelled]), []
    for name in ("BEGIN", *FITTED_SETS):
        systems = sorted({one.system for one in labelled if one.source.startswith(name)})
        for system in systems:
            of = np.array([one.source.startswith(name) and one.system == system for one in labelled])
            ours, theirs = float((p[of] > cut).mean()), float(y[of].mean())
            rows.append(
                {"set": name, "system": system or "-", "claims": int(of.sum()), "people": f"{theirs:.1%}",
                 "scorer": f"{ours:.1%}", "difference": f"{100 * (ours - theirs):+.1f} points"}
            )  # fmt: skip
    return rows


def share_errors(labelled: Sequence[Labelled], p: Array, cut: float) -> list[float]:
    """By how many points the share of supported is off people's, for each system with 20 claims or more."""
    systems, y = (
        np.array([one.source + one.system for one in labelled]),
        np.array([one.supported for one in labelled]),
    )
    return [
        100 * abs(float((p[systems == name] > cut).mean() - y[systems == name].mean()))
        for name in np.unique(systems)
        if (systems == name).sum() >= 20
    ]


def by_length(labelled: Sequence[Labelled], p: Array) -> list[dict[str, object]]:
    """Shares at the p over which `RECALL` of BEGIN's supported claims are."""
    rows = []
    for name in ("BEGIN", "WiCE"):
        of = np.array([one.source.startswith(name) for one in labelled])
        if not of.any():
            continue
        y, ours = np.array([one.supported for one in labelled])[of], p[of]
        lengths = np.array([len(one.claim.text.split()) for one in labelled])[of]
        cut = float(np.quantile(ours[y], 1 - RECALL))
        for low, high in ((15, 999), *LENGTHS):
            among = (lengths >= low) & (lengths <= high)
            wrong, right = among & ~y, among & y
            rows.append(
                {"set": name, "words": f"{low} and more" if high == 999 else f"{low} to {high}",
                 "not supported": int(wrong.sum()), "false positives": f"{(ours[wrong] >= cut).mean():.1%}",
                 "supported": int(right.sum()), "recall": f"{(ours[right] >= cut).mean():.1%}"}
            )  # fmt: skip
    return rows
