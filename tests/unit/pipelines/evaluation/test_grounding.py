"""Groundedness: the evidence by hand, conflicts by rule, and what the scorer makes of both."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from pipelines.evaluation.datasets.items import Source
from pipelines.evaluation.grounding.answers import ground_answer, rescore
from pipelines.evaluation.grounding.calibration import Calibration, load_calibration
from pipelines.evaluation.grounding.conflict import find_conflict
from pipelines.evaluation.grounding.evidence import (
    FEATURES,
    LEXICAL,
    gather_evidence,
    is_quoted,
    share_of_words,
)
from pipelines.evaluation.grounding.scorer import Encoded, GroundednessScorer

ICE = "Ice has a density of 917 kilograms per cubic metre. It floats on water."
PAGE = [ICE, "Liquid water reaches its highest density near four degrees Celsius."]


def test_lexical_evidence_by_hand() -> None:
    found = gather_evidence("Berlin Zoo opened in 1844.", ["The zoo opened in 1844.", "Berlin is large."])
    assert found.window == 1.0  # zoo, opened, 1844 and Berlin stand within three sentences
    assert found.cover == 1.0
    assert found.figures_and_names == 1.0
    assert (found.figures_missing, found.names_missing, found.rarity_missing) == (0, 0, 0)
    assert found.trigrams == pytest.approx(2 / 3)  # "zoo opened in", "opened in 1844"
    assert found.words == pytest.approx(math.log(6))
    assert found.sentences == pytest.approx(math.log(2))


def test_what_the_evidence_lacks_is_counted() -> None:
    found = gather_evidence("The zoo in Berlin opened in 1844.", ["The zoo opened in 1843."])
    assert (found.figures_missing, found.names_missing) == (1, 1)
    assert found.figures_and_names == 0.0
    assert found.window == 0.5  # zoo, open of zoo, Berlin, open, 1844
    assert found.rarity_missing == pytest.approx(2 * math.log(2 / 0.5))


def test_vectors_are_summed_up() -> None:
    cosines = np.array([0.1, 0.9, 0.5, 0.7], np.float32)
    found = gather_evidence(
        "a claim", ["one", "two", "three", "four"], cosines, np.array([0.9, 0.5], np.float32)
    )
    assert found.cosine == pytest.approx(0.7)
    assert found.aligned == pytest.approx(0.7)
    assert found.close == 0.5


def test_nothing_is_a_division_by_zero() -> None:
    assert gather_evidence("", []).window == 0.0
    assert gather_evidence("of the", ["and"]).cover == 0.0
    assert share_of_words("of the", ["and"]).tolist() == [0.0]


@pytest.mark.parametrize(
    ("claim", "sentence", "contradicted"),
    [
        ("Ice has a density of 917 kilograms.", "Ice has a density of 917 kilograms.", False),
        ("Ice has a density of 820 kilograms.", "Ice has a density of 917 kilograms.", True),
        ("The store does not open on Sunday.", "The store opens on Sunday.", True),
        ("Gold is heavier than feathers.", "Gold is lighter than feathers.", True),
        ("Gold is not heavier than feathers.", "Gold is lighter than feathers.", False),
        ("The pound of gold weighs 373 grams.", "Feathers are light and come from 12 birds.", False),
        ("Prices rose.", "Prices rose and fell.", False),
        ("The zoo in Berlin opened in 1844.", "The zoo in Berlin opened in 1843.", True),
        (
            "The Michelle Show began in 2018.",
            "The Michelle Show airs from 8 am to 10 am daily on radio now.",
            False,
        ),
        (
            "The collection was the largest in his time.",
            "He amassed the largest collection of his time in Britain, and it never would have grown without trade.",
            False,
        ),
    ],
)
def test_conflicts(claim: str, sentence: str, contradicted: bool) -> None:
    strength, which = find_conflict(claim, ["Something else entirely.", sentence])
    assert (strength > 0.5) is contradicted
    assert which == (1 if contradicted else None)


def test_what_another_sentence_says_alike_is_no_conflict() -> None:
    bricks = ["The short brick weighs 2.5 kg.", "The long brick weighs 3.5 kg."]
    assert find_conflict("The long brick weighs 3.5 kg.", bricks) == (0.0, None)
    assert find_conflict("The long brick weighs 2.5 kg.", bricks)[1] == 1
    # a sentence without the figure does not say the same
    assert find_conflict("A brick weighs 5 kg.", ["A brick weighs a lot.", "A brick weighs 4 kg."])[1] == 1


@pytest.mark.parametrize(
    ("claim", "quoted"),
    [
        ("Berlin Zoo opened in 1844.", True),
        ("the BERLIN zoo", True),
        ("1844", False),  # one word stands anywhere
        ("Berlin opened in 1844", False),
        ("Berlin Zoo opened in 184", False),
    ],
)
def test_quotations(claim: str, quoted: bool) -> None:
    assert is_quoted(claim, ["Nothing.", "The Berlin Zoo opened in 1844, before others."]) is quoted


def test_the_fitted_numbers_fit_the_features() -> None:
    assert set(load_calibration("full").weights) == set(FEATURES)
    assert set(load_calibration("lexical").weights) == set(LEXICAL)


def test_probability_is_the_logistic_function() -> None:
    assert Calibration(0.0, {}).probability({}) == 0.5
    one = {"window": 1.0, "cover": 0.0}
    assert Calibration(1.0, {"window": 2.0}).probability(one) == pytest.approx(1 / (1 + math.exp(-3)))
    assert 0 < Calibration(-1e9, {}).probability({}) < 1e-9


class Letters:
    """Vectors of letter counts: enough for near and far. `asked` counts the texts."""

    def __init__(self, *, tokens: bool = True) -> None:
        self.gives, self.asked = tokens, 0

    async def encode(self, texts: Sequence[str], *, tokens: bool) -> Encoded:
        self.asked += len(texts)
        vectors = np.array([_letters(text) for text in texts])
        words = [np.array([_letters(word) for word in text.split()]) for text in texts]
        return Encoded(vectors, words if tokens and self.gives else None)


def _letters(text: str) -> np.ndarray:
    counts = np.array([text.lower().count(chr(97 + n)) for n in range(26)], np.float32) + 1e-3
    unit: np.ndarray = counts / np.linalg.norm(counts)
    return unit


@pytest.mark.parametrize(
    "encoder", [None, Letters(), Letters(tokens=False)], ids=["words", "all", "no tokens"]
)
async def test_support_and_its_place(encoder: Letters | None) -> None:
    scorer = GroundednessScorer(encoder)
    true = await scorer.score("Ice has a density of 917 kilograms per cubic metre.", PAGE)
    false = await scorer.score("Ice has a density of 820 kilograms per cubic metre.", PAGE)
    other = await scorer.score("Bananas are grown in Ecuador and Costa Rica.", PAGE)
    assert true.p_supported > max(false.p_supported, other.p_supported)
    assert false.p_contradicted > 0.5 > max(true.p_contradicted, other.p_contradicted)
    best = true.spans[0]
    assert (best.passage, PAGE[best.passage][best.start : best.end]) == (0, best.text)
    assert best.text.startswith("Ice has")
    assert encoder is not None or other.spans == ()
    assert false.against is not None
    assert false.against.text == best.text
    for each in (true, false, other):
        assert each.p_supported + each.p_contradicted <= 1


@pytest.mark.parametrize(("claim", "passages"), [("x", []), ("x", ["", "  "]), ("  ", ["text"])])
async def test_without_evidence_there_is_no_support(claim: str, passages: list[str]) -> None:
    grounding = await GroundednessScorer().score(claim, passages)
    assert (grounding.p_supported, grounding.p_contradicted, grounding.spans) == (0.0, 0.0, ())


async def test_marks_and_addresses_are_no_part_of_what_is_said() -> None:
    """A claim with its citations, and a passage that opens with its address, as answers and data sets have
    them; spans are of the passage as it is."""
    scorer = GroundednessScorer()
    addressed = f"[3] https://example.org/ice/2024\n\n{ICE}"
    marked = await scorer.score("Ice has a density of 917 kilograms per cubic metre [3].", [addressed])
    bare = await scorer.score("Ice has a density of 917 kilograms per cubic metre.", [ICE])
    assert marked.p_supported == bare.p_supported
    assert marked.evidence == bare.evidence
    [span, *_] = marked.spans
    assert (
        addressed[span.start : span.end] == span.text == "Ice has a density of 917 kilograms per cubic metre."
    )


async def test_of_an_address_alone_nothing_is_known() -> None:
    """Not supported, and not known to be unsupported: the prior."""
    scorer = GroundednessScorer()
    for passages in (["[1] https://example.org/ice-floats"], ["www.example.org", "(http://example.org/x)"]):
        found = await scorer.score("Ice floats on water.", passages)
        assert (found.p_supported, found.p_contradicted, found.spans) == (0.5, 0.0, ())
        answer = [Source(id=str(at), text=text) for at, text in enumerate(passages)]
        record = await ground_answer("Does it float?", answer, "Ice floats on water.", scorer=scorer)
        assert record.answer.sentences[0].verdict == "unsupported"
        assert rescore(record) == record
    with_text = await scorer.score("Ice floats on water.", ["https://example.org", ICE])
    assert with_text.evidence is not None
