"""Groundedness: the evidence by hand, conflicts by rule, and what the scorer makes of both."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.evaluation.datasets.items import Source
from pipelines.evaluation.grounding.answers import ground_answer, rescore
from pipelines.evaluation.grounding.calibration import Calibration, compute_probabilities, load_fitted
from pipelines.evaluation.grounding.claims import Claim
from pipelines.evaluation.grounding.clauses import split_clauses
from pipelines.evaluation.grounding.comparison import check_comparisons
from pipelines.evaluation.grounding.conflict import find_conflict
from pipelines.evaluation.grounding.evidence import (
    FEATURES,
    SHORT_FEATURES,
    gather_evidence,
    gather_short_evidence,
    is_quoted,
    share_of_words,
)
from pipelines.evaluation.grounding.language import is_english
from pipelines.evaluation.grounding.scorer import GroundednessScorer, score_claims
from tests.bench._grounding_sets import read_role_pairs

ICE = "Ice has a density of 917 kilograms per cubic metre. It floats on water."
PAGE = [ICE, "Liquid water reaches its highest density near four degrees Celsius."]
DENSER = "Ice has a density of 917 kilograms per cubic metre, which is much higher than the density of water at 4 \u00b0C"
WORDS = "ice water density floats sea salt cold heavy metre river melts winter 917 4 London".split()  # noqa: SIM905
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join)


def test_evidence_by_hand() -> None:
    found = gather_evidence("Berlin Zoo opened in 1844.", ["The zoo opened in 1844.", "Berlin is large."])
    assert found.nearby == 1.0  # zoo, opened, 1844 and Berlin stand within three sentences
    assert found.phrases == pytest.approx(2 / 3)  # "zoo opened in", "opened in 1844"
    assert (found.figures, found.voice) == (1.0, 1.0)


def test_what_the_evidence_lacks_counts() -> None:
    found = gather_evidence("My zoo in Berlin opened in 1844.", ["The zoo opened in 1843."])
    assert found.nearby == pytest.approx(7 / 19)  # letters of zoo and open, of those and of my, Berlin, 1844
    assert (found.figures, found.voice) == (0.0, 0.0)


def test_who_speaks_counts_where_nobody_does_in_the_passages() -> None:
    voice = {text: gather_evidence(text, ["The lamp is reset by its button."]).voice for text in (
        "You reset the lamp by its button.", "Do you know the lamp?", "I like the lamp.", "The lamp is reset.",
    )}  # fmt: skip
    assert list(voice.values()) == [1.0, 0.0, 0.0, 1.0]
    assert gather_evidence("I like the lamp.", ["I like lamps."]).voice == 1.0


@pytest.mark.parametrize(
    "claim",
    [
        "According to passage 1, it floats on water.",
        "Based on the provided context it floats on water [1].",
        "The passages state that it floats on water.",
        "As mentioned in the document, it floats on water.",
    ],
)
def test_that_the_passages_say_it_is_no_part_of_the_claim(claim: str) -> None:
    [found] = score_claims([claim], PAGE)
    assert (found.verdict, found.p_supported) == ("supported", 0.95)


def test_a_number_word_is_its_figure() -> None:
    assert gather_evidence("It has 4 rooms.", ["It has four rooms."]).figures == 1.0
    assert gather_evidence("It has four rooms.", ["It has 5 rooms."]).figures == 0.0
    assert gather_evidence("It is 5 kilometres long.", ["It is 5 km long."]).nearby == 1.0


def test_nothing_is_a_division_by_zero() -> None:
    assert gather_evidence("", []).nearby == 0.0
    assert gather_evidence("of the", ["and"]).nearby == 0.0
    assert gather_short_evidence("", "", []).answer == 0.0
    assert share_of_words("of the", ["and"]).tolist() == [0.0]


def p_of(claim: str, passages: list[str]) -> float:
    [found] = score_claims([claim], passages)
    return found.p_supported


def test_no_fitted_weight_is_negative_so_that_more_evidence_never_lowers_p() -> None:
    fitted = load_fitted()
    assert set(fitted.sentence.weights) == set(FEATURES)
    assert set(fitted.short.weights) == set(SHORT_FEATURES)
    assert min(*fitted.sentence.weights.values(), *fitted.short.weights.values()) >= 0
    assert fitted.slack >= 0


@settings(max_examples=60, deadline=None)
@given(claim=TEXTS, passages=st.lists(TEXTS, min_size=1, max_size=4), more=TEXTS)
def test_another_passage_never_takes_evidence_away(claim: str, passages: list[str], more: str) -> None:
    before, after = gather_evidence(claim, passages), gather_evidence(claim, [*passages, more])
    for name in FEATURES:
        assert getattr(after, name) >= getattr(before, name)
    fitted = load_fitted().sentence
    features = [{name: getattr(found, name) for name in FEATURES} for found in (before, after)]
    assert fitted.score(features[1]) >= fitted.score(features[0])


@settings(max_examples=60, deadline=None)
@given(
    claim=TEXTS,
    passages=st.lists(TEXTS, min_size=1, max_size=4),
    padding=st.lists(
        st.sampled_from(["bananas", "grow", "Ecuador", "quickly", "of", "the", "1999"]), min_size=1
    ),
    apart=st.booleans(),
)
def test_a_sentence_is_never_supported_better_for_words_that_no_passage_has(
    claim: str, passages: list[str], padding: list[str], apart: bool
) -> None:
    longer = f"{claim}{',' if apart else ''} {' '.join(padding)}"
    [shorter] = score_claims([claim], passages)
    # a contradiction takes away what speaks for the claim, and more words may hide it: without it, never more
    supported = 0.0
    if shorter.evidence is not None:
        supported, _ = compute_probabilities(shorter.evidence.model_copy(update={"conflict": 0.0}))
    assert p_of(longer, passages) <= supported


def test_more_words_hide_a_contradiction_and_do_not_support_it() -> None:
    [shorter] = score_claims(["ice 917"], ["ice 4"])
    assert (shorter.verdict, shorter.p_supported) == ("contradicted", 0)
    [longer] = score_claims(["ice 917 bananas"], ["ice 4"])
    assert longer.verdict != "supported"


def test_a_true_clause_does_not_carry_a_false_one() -> None:
    false = "Bananas are grown by farmers in Ecuador"
    assert p_of(f"{false}, and ice has a density of 917 kilograms per cubic metre.", PAGE) < 0.5
    assert p_of(f"{ICE} {false}.", PAGE) < 0.5


@pytest.mark.parametrize(
    ("claim", "clauses"),
    [
        ("Ice floats on cold water.", ["Ice floats on cold water."]),
        (
            "Ice floats on water, which is heavier than the ice of a lake",
            ["Ice floats on water", "which is heavier than the ice of a lake"],
        ),
        ("The zoo, in 1844, opened for visitors", ["The zoo in 1844 opened for visitors"]),
    ],
)
def test_clauses(claim: str, clauses: list[str]) -> None:
    assert split_clauses(claim) == clauses


def test_a_comparison_that_no_passage_makes_is_not_supported() -> None:
    for passages in (
        PAGE,
        ["Ice floats on water: at 4 \u00b0C its density is the higher one. Ice has 917 kilograms."],
    ):
        [found] = score_claims([DENSER], passages)
        assert found.verdict != "supported"
    figures = [*PAGE, "At 4 \u00b0C the density of water is 1,000 kilograms per cubic metre."]
    [found] = score_claims([DENSER], figures)
    assert (found.verdict, found.evidence and found.evidence.rule) == ("contradicted", "comparison")


def test_a_comparison_that_two_figures_bear_out_is_supported_without_its_words() -> None:
    melting = ["Copper melts at 1,085 degrees Celsius; aluminium melts at 660 degrees Celsius."]
    said = [
        "Copper melts at a higher temperature than aluminium.",
        "Aluminium melts at a lower temperature than copper.",
        "Aluminium melts at a higher temperature than copper.",
    ]
    assert [one.verdict for one in score_claims(said, melting)] == ["supported", "supported", "contradicted"]


@pytest.mark.parametrize(
    ("claim", "sentences", "outcome"),
    [
        ("Ice is denser than water.", ["Ice has 917 kg.", "Water has 1,000 kg."], "fails"),
        ("Water is denser than ice.", ["Ice has 917 kg.", "Water has 1,000 kg."], "holds"),
        ("Water is denser than ice.", ["Ice has 917 kg.", "Water has 1,000 litres."], "unknown"),
        ("Water is denser than ice.", ["Ice is less dense than water."], "holds"),
        ("Ice is denser than water.", ["Ice is less dense than water."], "fails"),
        ("The Rhine is longer than the Thames.", ["The Thames is shorter than the Rhine."], "holds"),
        ("The Rhine exceeds the Thames.", ["The Rhine is long."], "unknown"),
        ("Anna is older than Berta.", ["Anna was born in 1950.", "Berta was born in 1960."], "holds"),
        ("Anna is younger than Berta.", ["Anna was born in 1950.", "Berta was born in 1960."], "fails"),
        (
            "The lamp costs more than the chair.",
            ["The lamp costs \u20ac 40, the chair costs \u20ac 55."],
            "fails",
        ),
        ("Copper conducts better than tin.", ["Tin conducts better than copper."], "fails"),
        ("It weighs more than 100 kilograms.", ["It weighs 120 kilograms."], None),
        ("It takes longer than a year.", ["It takes two years."], None),
        ("Ice floats.", ["Ice floats."], None),
    ],
)
def test_comparisons(claim: str, sentences: list[str], outcome: str | None) -> None:
    assert check_comparisons(claim, sentences)[0] == outcome


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
        ("It was one of the longest tours.", "It was not only long, but one of the longest tours.", False),
        ("No, the store opens on Sunday.", "The store opens on Sunday.", False),
        ("The store opens on Sunday.", "No, the store opens on Sunday.", False),
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
    found = find_conflict(claim, ["Something else entirely.", sentence])
    assert (found.strength > 0.5) is contradicted
    assert found.sentence == (1 if contradicted else None)


def test_who_did_what_and_what_is_said_of_which_is_read() -> None:
    pairs = read_role_pairs()
    marked = [find_conflict(claim, [passage]).strength > 0.5 for claim, passage, _ in pairs]
    wrong = [pair for pair, found in zip(pairs, marked, strict=True) if found is not pair[2]]
    assert wrong == []
    assert len(pairs) == 30


def test_what_another_sentence_says_alike_is_no_conflict() -> None:
    bricks = ["The short brick weighs 2.5 kg.", "The long brick weighs 3.5 kg."]
    assert find_conflict("The long brick weighs 3.5 kg.", bricks).sentence is None
    assert find_conflict("The long brick weighs 4.5 kg.", bricks).sentence == 1
    # a figure that another sentence has may be of another thing
    assert find_conflict("The long brick weighs 2.5 kg.", bricks).sentence is None
    # a sentence without the figure does not say the same
    assert (
        find_conflict("A brick weighs 5 kg.", ["A brick weighs a lot.", "A brick weighs 4 kg."]).sentence == 1
    )


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


def test_a_quotation_is_supported_also_where_it_denies() -> None:
    text = "The store does not open on Sunday. The store opens on Monday."
    [found] = score_claims(
        ["The store does not open on Sunday."], [text, "The store opens on Sunday at noon."]
    )
    assert (found.verdict, found.p_supported) == ("supported", 0.95)
    assert not is_quoted("The store opens on Sunday.", ["It is not true that the store opens on Sunday."])


def test_what_no_passage_denies_is_not_supported_as_denied() -> None:
    [found] = score_claims(["Ice does not float on water."], PAGE)
    assert found.verdict != "supported"
    [found] = score_claims(["Tobacco is not allowed there."], ["The order is against tobacco there."])
    assert found.evidence is not None
    assert not found.evidence.unsettled


def test_the_score_is_linear_in_the_features() -> None:
    assert Calibration(0.0, {}).score({}) == 0.0
    assert Calibration(1.0, {"nearby": 2.0}).score({"nearby": 1.0, "figures": 0.0}) == pytest.approx(3.0)


async def test_support_and_its_place() -> None:
    scorer = GroundednessScorer()
    true = await scorer.score("Ice has a density of 917 kilograms per cubic metre.", PAGE)
    false = await scorer.score("Ice has a density of 820 kilograms per cubic metre.", PAGE)
    other = await scorer.score("Bananas are grown in Ecuador and Costa Rica.", PAGE)
    assert true.p_supported > max(false.p_supported, other.p_supported)
    assert false.p_contradicted > 0.5 > max(true.p_contradicted, other.p_contradicted)
    best = true.spans[0]
    assert (best.passage, PAGE[best.passage][best.start : best.end]) == (0, best.text)
    assert best.text.startswith("Ice has")
    assert other.spans == ()
    assert false.against is not None
    assert false.against.text == best.text
    for each in (true, false, other):
        assert each.p_supported + each.p_contradicted <= 1


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        ("How dense is ice?", "917 kilograms", "supported"),
        ("What does ice float on?", "Water.", "supported"),
        ("How dense is ice?", "820 kilograms", "unsupported"),
        ("Where do bananas grow?", "Ecuador", "unsupported"),
        ("Does ice float on water?", "Yes.", "supported"),
        ("Does lead float on mercury?", "Yes.", "unsupported"),
        ("Does ice float on water?", "No.", "unsupported"),  # what a passage denies is not found
    ],
)
def test_a_short_answer_is_read_with_its_question(question: str, answer: str, expected: str) -> None:
    [found] = score_claims([Claim(answer, question)], PAGE)
    assert found.verdict == expected


async def test_the_question_of_a_longer_claim_is_left_alone() -> None:
    scorer = GroundednessScorer()
    alone = await scorer.score("It floats on cold water.", PAGE)
    asked = await scorer.score("It floats on cold water.", PAGE, question="How dense is ice?")
    assert asked == alone


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("Ice floats on water.", True),
        ("917 kg", True),
        ("Angela Merkel", True),
        ("Das Eis schwimmt auf dem Wasser.", False),
        ("La glace flotte sur l'eau.", False),
        ("El hielo flota en el agua.", False),
        ("\u6c37\u306f\u6c34\u306b\u6d6e\u304f\u3002", False),
        (
            "\u041b\u0451\u0434 \u043f\u043b\u0430\u0432\u0430\u0435\u0442 \u043d\u0430 \u0432\u043e\u0434\u0435.",
            False,
        ),
    ],
)
def test_languages(text: str, english: bool) -> None:
    assert is_english(text) is english


async def test_a_language_that_it_is_not_fitted_for_is_not_judged_and_the_record_says_so() -> None:
    passages = [Source(id="d", text="Das Eis schwimmt auf dem Wasser, weil es leichter ist.")]
    answer = "Das Eis ist auf dem Wasser leichter als das Wasser. Das Eis schwimmt auf dem Wasser."
    record = await ground_answer("Schwimmt das Eis?", passages, answer, scorer=GroundednessScorer())
    assert [one.verdict for one in record.answer.sentences] == [
        "not judged",
        "supported",
    ]  # the second is quoted
    assert (record.answer.claims, record.answer.not_judged, record.answer.share_supported) == (1, 1, 1.0)
    assert rescore(record) == record
    english = [Source(id="e", text=ICE)]
    record = await ground_answer("Schwimmt das Eis?", english, answer, scorer=GroundednessScorer())
    assert (record.answer.claims, record.answer.not_judged) == (0, 2)


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
