"""How good the groundedness scorer is, out of fold, against people's labels.

What is judged is the score that is shipped: the claims of each fold (by article, question or snippet) are scored
by the shipped code with its rules, from numbers that were fitted without them. Test sets, where the folder
has them, are scored with the shipped numbers.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

from _grounding_figures import RECALL, RESAMPLES, by_length, by_set, by_system, share_errors  # noqa: E402 - neighbours, not a package
from _grounding_sets import (  # noqa: E402 - neighbours, not a package
    FITTED_SETS,
    Labelled,
    make_contradictions,
    read_labelled,
    read_role_pairs,
    read_short_answers,
)
from _report import report  # noqa: E402
from fit_grounding import Array, fit_all, weigh  # noqa: E402

from pipelines.evaluation.grounding.calibration import (  # noqa: E402 - a script
    SUPPORTED,
    THRESHOLD,
    UNKNOWN,
    FittedNumbers,
    apply_rules,
    load_fitted,
    verdict,
)
from pipelines.evaluation.grounding.claims import FRAGMENT, Claim  # noqa: E402
from pipelines.evaluation.grounding.conflict import find_conflict  # noqa: E402
from pipelines.evaluation.grounding.detector import DetectorScorer, parse_labels  # noqa: E402
from pipelines.evaluation.grounding.scorer import score_claims, weigh_evidence  # noqa: E402
from services.core.client import HttpClient  # noqa: E402
from services.core.clients.reranking import DetectionClient  # noqa: E402
from services.core.wire.grounding import SentenceEvidence  # noqa: E402

FOLDS, REPEATS = 5, 5
FAMILIES = ("BEGIN", "WiCE", "ExpertQA")
RULES = ("figure", "negation", "opposite", "comparison", "order")


def score(evidence: SentenceEvidence | None, fitted: FittedNumbers) -> float:
    return UNKNOWN if evidence is None else apply_rules(evidence, fitted)[0]


def out_of_fold(labelled: Sequence[Labelled], evidence: Sequence[SentenceEvidence | None]) -> Array:
    """What the scorer says of each claim, fitted without that claim's group: the mean of all repeats."""
    groups, p = sorted({one.group for one in labelled}), np.zeros(len(labelled))
    for repeat in range(REPEATS):
        order = np.random.default_rng(repeat).permutation(len(groups))
        fold = {groups[at]: place % FOLDS for place, at in enumerate(order)}
        for held in range(FOLDS):
            train = [at for at, one in enumerate(labelled) if fold[one.group] != held]
            fitted = fit_sentences([labelled[at] for at in train], [evidence[at] for at in train])
            for at, one in enumerate(labelled):
                if fold[one.group] == held:
                    p[at] += score(evidence[at], fitted) / REPEATS
    return p


def leave_one_out(labelled: Sequence[Labelled], evidence: Sequence[SentenceEvidence | None]) -> Array:
    """What the scorer says of each claim, fitted without the family of its set."""
    p = np.zeros(len(labelled))
    for family in FAMILIES:
        train = [at for at, one in enumerate(labelled) if not one.source.startswith(family)]
        fitted = fit_sentences([labelled[at] for at in train], [evidence[at] for at in train])
        for at, one in enumerate(labelled):
            if one.source.startswith(family):
                p[at] = score(evidence[at], fitted)
    return p


def by_nested_cut(
    labelled: Sequence[Labelled], evidence: Sequence[SentenceEvidence | None]
) -> list[dict[str, object]]:
    """For each family of sets the cut that the other families would choose, each fitted without itself, and how
    far the share of supported per system is then from people's; the cut that is shipped beside it."""
    known = [(one, each) for one, each in zip(labelled, evidence, strict=True) if each is not None]
    family = [one.source.split()[0] for one, _ in known]

    def score_apart(scored: str, without: set[str]) -> tuple[list[Labelled], Array]:
        train = [pair for pair, name in zip(known, family, strict=True) if name not in without]
        fitted = fit_sentences([one for one, _ in train], [each for _, each in train])
        held = [pair for pair, name in zip(known, family, strict=True) if name == scored]
        return [one for one, _ in held], np.array([score(each, fitted) for _, each in held])

    rows: list[dict[str, object]] = []
    for name in FAMILIES:
        others = [score_apart(other, {name, other}) for other in FAMILIES if other != name]
        cuts = np.arange(0.2, 0.8, 0.02)
        chosen = min(cuts, key=lambda cut: sum(float(np.mean(share_errors(*one, cut))) for one in others))
        here = score_apart(name, {name})
        rows.append(
            {"set": name, "claims": len(here[0]), "cut of the others": f"{chosen:.2f}",
             "most off": f"{max(share_errors(*here, chosen)):.1f} points",
             f"at {SUPPORTED}": f"{max(share_errors(*here, SUPPORTED)):.1f} points",
             "at its own best cut": f"{min(max(share_errors(*here, cut)) for cut in cuts):.1f} points"}
        )  # fmt: skip
    return rows


def fit_sentences(labelled: Sequence[Labelled], evidence: Sequence[SentenceEvidence | None]) -> FittedNumbers:
    return fit_all(labelled, evidence, SHORT, SHORT_EVIDENCE)


def by_rule(
    labelled: Sequence[Labelled], evidence: Sequence[SentenceEvidence | None]
) -> list[dict[str, object]]:
    """How often what a rule marks is not supported by people's labels, and is contradicted as it was made."""
    numbers, people, made = load_fitted(), [], []
    for one, each in zip(labelled, evidence, strict=True):
        if each is not None:
            people.append((rule_of(each, numbers), each.unsettled, one.supported))
    for one, wanted in make_contradictions(list(labelled)):
        each = weigh_evidence(one.claim, one.texts)
        made.append((rule_of(each, numbers), wanted))
    rows = []
    for rule in RULES:
        marked = [supported for found, _, supported in people if found == rule]
        right = [wanted == rule or wanted is not None for found, wanted in made if found == rule]
        there = [found == rule for found, wanted in made if wanted == rule]
        rows.append(
            {"rule": rule, "labelled claims": len(marked), "not supported": sum(not one for one in marked),
             "made claims": len(right), "contradicted": f"{np.mean(right):.1%}" if right else "-",
             "found of those made": f"{np.mean(there):.1%} of {len(there)}" if there else "-"}
        )  # fmt: skip
    unsettled = [supported for _, open_, supported in people if open_]
    true = [found for found, wanted in made if wanted is None]
    rows.append(
        {"rule": "comparison not settled (not contradicted)", "labelled claims": len(unsettled),
         "not supported": sum(not one for one in unsettled), "made claims": "", "contradicted": "",
         "found of those made": ""}
    )  # fmt: skip
    supported = [found for found, _, one in people if one]
    rows.append(
        {"rule": "any, of what people call supported", "labelled claims": len(supported),
         "not supported": sum(found is not None for found in supported), "made claims": len(true),
         "contradicted": f"{np.mean([found is not None for found in true]):.1%}", "found of those made": ""}
    )  # fmt: skip
    return rows


def rule_of(evidence: SentenceEvidence, numbers: FittedNumbers) -> str | None:
    """The rule by which the verdict is `contradicted`; None where it is another one."""
    return evidence.rule if verdict(*apply_rules(evidence, numbers)) == "contradicted" else None


def by_short_answer(
    labelled: Sequence[Labelled], known: Sequence[SentenceEvidence | None]
) -> list[dict[str, object]]:
    """Short answers as an answer's reader has them: fragments with their question, longer ones alone."""
    rows = []
    groups = sorted({one.group for one in SHORT})
    fold = {
        groups[at]: place % FOLDS
        for place, at in enumerate(np.random.default_rng(0).permutation(len(groups)))
    }
    supported: dict[tuple[str, str], list[bool]] = {}
    for held in range(FOLDS):
        train = [at for at, one in enumerate(SHORT) if fold[one.group] != held]
        fitted = fit_all(labelled, known, [SHORT[at] for at in train], [SHORT_EVIDENCE[at] for at in train])
        for one in SHORT:
            if fold[one.group] != held:
                continue
            fragment = len(one.claim.text.split()) < FRAGMENT
            evidence = weigh_evidence(one.claim if fragment else Claim(one.claim.text), one.texts)
            key = (one.system, f"up to {FRAGMENT - 1} words" if fragment else "longer")
            supported.setdefault(key, []).append(verdict(*apply_rules(evidence, fitted)) == "supported")
    for (kind, length), found in sorted(supported.items()):
        rows.append(
            {"answer": kind, "length": length, "answers": len(found), "supported": f"{np.mean(found):.1%}"}
        )
    right = [one for (kind, _), found in supported.items() if kind == "right" for one in found]
    rows.append(
        {"answer": "right", "length": "all", "answers": len(right), "supported": f"{np.mean(right):.1%}"}
    )
    return rows


def speed(labelled: Sequence[Labelled]) -> list[dict[str, object]]:
    rows = []
    for name in ("BEGIN", "WiCE", "ExpertQA"):
        some = [one for one in labelled if one.source.startswith(name)][:300]
        began = time.process_time()
        for one in some:
            score_claims([one.claim], one.passages)
        spent = time.process_time() - began
        rows.append(
            {"set": name, "claims": len(some), "claims per CPU second": f"{len(some) / max(spent, 1e-9):.0f}"}
        )
    return rows


async def ask_detector(labelled: Sequence[Labelled], url: str, labels: str) -> Array:
    """The detector's p for each claim, by the adapter that comparisons use."""
    async with HttpClient("detector", url) as http:
        scorer = DetectorScorer(DetectionClient(http), parse_labels(labels))
        return np.array(
            [(await scorer.score_all([one.claim], one.passages))[0].p_supported for one in labelled]
        )


def measure_detector(labelled: Sequence[Labelled], url: str, labels: str) -> None:
    """Print of a detector what is printed of the scorer; nothing of it is fitted here."""
    p = asyncio.run(ask_detector(labelled, url, labels))
    texts: list[SentenceEvidence | None] = weigh(labelled)
    for name, rows in (
        ("sets", by_set(labelled, texts, {"detector": p}, ("BEGIN", *FITTED_SETS, ""), THRESHOLD)),
        ("systems", by_system(labelled, p, THRESHOLD)),
        ("lengths", by_length(labelled, p)),
    ):
        report(f"detector-{name}", f"The detector at {url}: {name}", rows, n=len(labelled))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--detector", default="", help="the URL of a detector, which is measured instead")
    parser.add_argument(
        "--labels", default="", help="what its labels mean, as GROUNDING_DETECTOR_LABELS has it"
    )
    asked = parser.parse_args()
    labelled = read_labelled() + read_labelled(test=True) if asked.detector else read_labelled()
    if asked.detector:
        measure_detector(labelled, asked.detector, asked.labels)
        return
    evidence = weigh(labelled)
    folds, apart = out_of_fold(labelled, evidence), leave_one_out(labelled, evidence)
    sets = ("BEGIN", *FITTED_SETS, "")
    note = f"Out of fold: mean of {REPEATS} repeats of {FOLDS} folds. Apart: fitted without any set of that name. {RESAMPLES} resamples."

    def show(name: str, title: str, rows: list[dict[str, object]], said: str = "") -> None:
        report(f"groundedness-{name}", title, rows, n=len(labelled), note=said)

    show(
        "sets",
        "Against people's labels",
        by_set(labelled, evidence, {"out of fold": folds, "apart": apart}, sets),
        note,
    )
    show(
        "systems",
        f"Share of supported per system, p over {SUPPORTED}, out of fold",
        by_system(labelled, folds),
    )
    show(
        "cuts",
        "The p over which a claim is supported, chosen on the other sets: shares per system, fitted apart",
        by_nested_cut(labelled, evidence),
    )
    show(
        "lengths",
        f"False positives by length, at recall {RECALL} of the set, out of fold",
        by_length(labelled, folds),
    )
    show(
        "rules",
        "Contradictions by rule",
        by_rule(labelled, evidence),
        "Made claims: sentences of passages, changed by rule or shortened.",
    )
    pairs = [
        (find_conflict(claim, [passage]).strength > 0.5, wrong) for claim, passage, wrong in read_role_pairs()
    ]
    show(
        "roles",
        "Who did what, and what is said of which, by hand",
        [
            {"pairs": len(pairs), "marked": sum(found for found, _ in pairs),
             "of these contradicted": sum(found and wrong for found, wrong in pairs),
             "contradicted": sum(wrong for _, wrong in pairs)}
        ],
        "Looked at while the rule was written.",
    )  # fmt: skip
    show("short", "Short answers of SQuAD 2.0, out of fold by passage", by_short_answer(labelled, evidence))
    show("speed", "Speed, one claim at a time with its passages", speed(labelled))
    test = read_labelled(test=True)
    if test:
        found = weigh(test)
        shipped = np.array([score(each, load_fitted()) for each in found])
        show(
            "test-sets",
            "Test sets, with the shipped numbers",
            by_set(test, found, {"shipped": shipped}, ("BEGIN", "WiCE", "ExpertQA")),
        )
        show("test-systems", "Test sets: share of supported per system", by_system(test, shipped))
        show("test-lengths", "Test sets: false positives by length", by_length(test, shipped))


SHORT = read_short_answers()
SHORT_EVIDENCE = weigh(SHORT)

if __name__ == "__main__":
    main()
