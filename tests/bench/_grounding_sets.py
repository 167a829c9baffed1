"""Labelled claims for the groundedness scorer: three sets of people's labels, and two that are made here.

WiCE (dev: claims of Wikipedia against web pages; supported or not), ExpertQA (claims of language models against
the evidence they cite; complete support or not; claims without evidence are left out), BEGIN (three development
sets: replies of four dialogue systems against a snippet of knowledge; fully attributable or not). Their test
sets are read too where the folder has them; nothing is fitted to those.

Short answers: those that SQuAD 2.0 accepts to a question, against answers to other questions. Contradictions:
sentences of passages with one thing changed, against the same sentences with words left out.
"""

from __future__ import annotations

import csv
import json
import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.evaluation.grounding.claims import Claim, read_claim, read_sentences
from pipelines.evaluation.grounding.conflict import Rule

DATA = Path(os.environ.get("RAGLINE_EVALUATION_DATA", Path(__file__).parents[3] / "shared" / "data"))
SENTENCES = 600
"""Of passages, from which contradictions are made."""
FITTED_SETS = ("BEGIN wow", "BEGIN tc", "BEGIN cmu", "WiCE", "ExpertQA")
_SWAPS = {
    "more": "less",
    "first": "last",
    "before": "after",
    "north": "south",
    "east": "west",
    "increased": "decreased",
}
_SWAPS |= {
    "higher": "lower",
    "largest": "smallest",
    "above": "below",
    "most": "least",
    "all": "none",
    "won": "lost",
}
_SWAPS |= {other: one for one, other in _SWAPS.items()}


@dataclass(frozen=True)
class Labelled:
    """A claim with what people say of it; `group` is what claims have in common that are not independent."""

    source: str
    group: str
    system: str
    claim: Claim
    passages: tuple[str, ...]
    supported: bool

    @property
    def texts(self) -> list[str]:
        return [sentence.text for sentence in read_sentences(self.passages)]


def read_labelled(*, test: bool = False) -> list[Labelled]:
    """Read the development sets, or the test sets that are there."""
    files = (
        ("begin_test_{}.tsv", "test.jsonl", "claims_b.jsonl")
        if test
        else ("begin_dev_{}.tsv", "dev.jsonl", "claims_a.jsonl")
    )
    found: list[Labelled] = []
    for name in ("wow", "tc", "cmu"):
        path = DATA / "begin" / files[0].format(name)
        found += _begin(path, name) if path.exists() else []
    for read, path in ((_wice, DATA / "wice" / files[1]), (_expertqa, DATA / "expertqa" / files[2])):
        found += read(path) if path.exists() else []
    return found


def _begin(path: Path, name: str) -> Iterator[Labelled]:
    csv.field_size_limit(10**9)
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            known, claim = row["knowledge"], read_claim(row["response"])
            yield Labelled(
                f"BEGIN {name}",
                known,
                row["model_name"],
                claim,
                (known,),
                row["begin_label"] == "Fully attributable",
            )


def _wice(path: Path) -> Iterator[Labelled]:
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        claim = read_claim(row["claim"])
        supported = row["label"] == "supported"
        yield Labelled("WiCE", row["meta"]["claim_title"], "", claim, tuple(row["evidence"]), supported)


def _expertqa(path: Path) -> Iterator[Labelled]:
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        for system, answer in row["answers"].items():
            for claim in answer["claims"]:
                if claim["evidence"] and claim["support"] != "N/A":
                    text = read_claim(claim["claim_string"])
                    supported = claim["support"] == "Complete"
                    yield Labelled(
                        "ExpertQA", row["question"], system, text, tuple(claim["evidence"]), supported
                    )


def read_short_answers() -> list[Labelled]:
    """Read answers to SQuAD's questions, each with its passage among three others; the wrong ones answer another
    question, of the same passage or of any."""
    folder, rng = DATA / "squad2_500", random.Random(1)
    questions = json.loads((folder / "queries.json").read_text())["queries"]
    truth = json.loads((folder / "ground_truth.json").read_text())
    contexts = list(dict.fromkeys(row["context"] for row in questions))
    found = []
    for row in questions:
        others = [context for context in rng.sample(contexts, 4) if context != row["context"]][:3]
        passages = (row["context"], *others)
        right = [text for text in dict.fromkeys(truth[row["id"]]["answers"]) if text.strip(" .")]
        beside = [other for other in questions if other["context"] == row["context"] and other is not row]
        wrong = [(truth[other["id"]]["answers"], "same passage") for other in beside]
        wrong.append((truth[rng.choice(questions)["id"]]["answers"], "another passage"))
        told = [(text, "right", True) for text in right]
        told += [
            (answers[0], where, False) for answers, where in wrong if answers and answers[0] not in right
        ]
        for text, where, supported in told:
            found.append(
                Labelled("SQuAD", row["context"], where, Claim(text, row["question"]), passages, supported)
            )
    return found


def make_contradictions(labelled: list[Labelled]) -> Iterator[tuple[Labelled, Rule | None]]:
    """Make claims of passages' sentences: with a figure, a negation or an opposite changed (by which rule), and
    without a word or two (None: nothing contradicts them)."""
    rng, seen = random.Random(2), set[str]()
    for one in labelled:
        if not one.source.startswith("BEGIN") or len(seen) >= SENTENCES:
            continue
        for sentence in one.texts:
            words = sentence.split()
            if sentence in seen or not 8 <= len(words) <= 30 or rng.random() > 0.5:
                continue
            seen.add(sentence)
            for text, rule in (
                *_change(sentence, rng),
                (_leave_out(words, rng), None),
                (_leave_out(words, rng), None),
            ):
                yield Labelled(one.source, one.group, "", Claim(text), one.passages, rule is None), rule


def read_role_pairs() -> list[tuple[str, str, bool]]:
    """Read claims with a passage, by hand: who did what to whom, and what is said of which; whether it contradicts."""
    path = Path(__file__).parent / "answers" / "roles.tsv"
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    return [(claim, passage, contradicted == "yes") for claim, passage, contradicted in rows]


def _leave_out(words: list[str], rng: random.Random) -> str:
    """Leave out words that say something more, never one that turns the meaning."""
    kept = {"not", "no", "never", "without", "nor", "neither", "only", "*"}
    left = [
        at
        for at, word in enumerate(words)
        if len(word) > 3 and word.isalpha() and word.islower() and word not in kept
    ]
    gone = set(rng.sample(left, min(2, len(left))))
    return " ".join(word for at, word in enumerate(words) if at not in gone)


def _change(sentence: str, rng: random.Random) -> Iterator[tuple[str, Rule]]:
    short = _leave_out(sentence.split(), rng)
    figures = list(re.finditer(r"\b\d[\d,]*\b", short))
    if figures:
        one = rng.choice(figures)
        other = str(int(one.group().replace(",", "")) + rng.choice([1, 2, 7, 30]))
        yield short[: one.start()] + other + short[one.end() :], "figure"
    verb = re.search(r"\b(?:is|are|was|were|can|will|has been|have been|had been)\b(?! not)", short)
    if verb and not re.search(r"\b(?:not|never|no)\b|n't", short):
        yield f"{short[: verb.end()]} not{short[verb.end() :]}", "negation"
    swapped = [word for word in short.split() if word in _SWAPS]
    if swapped:
        yield re.sub(rf"\b{swapped[0]}\b", _SWAPS[swapped[0]], short, count=1), "opposite"
