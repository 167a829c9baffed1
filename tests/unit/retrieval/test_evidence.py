"""What is evidence: a cosine, an identifier, words; and what only looks like it."""

from __future__ import annotations

import pytest

from services.core.wire.passages import Passage
from services.core.wire.retrieval import RetrievalRequest
from services.retrieval.backend import Candidates
from services.retrieval.evidence import QuestionTraits, select_evidence
from services.retrieval.ranking import plan_search, rank
from services.retrieval.settings import Settings


def row(part: str, score: float, text: str = "torque 35 Nm, weight 2 kg") -> Passage:
    return Passage(id=part, document_id="parts", text=f"{part}: {text}", score=score)


def judge(question: str, *passages: Passage, threshold: float | None = 0.35, languages=("en",)):
    found = {passage.id: passage for passage in passages}
    return select_evidence(found, QuestionTraits.read(question, languages), threshold)


TORQUE = "What is the torque of PPR-9087?"


def test_a_passage_with_the_identifier_is_evidence_whatever_its_cosine():
    kept, relevance = judge(TORQUE, row("PPR-9088", 0.5), row("PPR9087", 0.1), row("PPR-9089", 0.2))
    assert list(kept) == ["PPR-9088", "PPR9087"]
    assert kept["PPR9087"].matched == ["PPR-9087"]
    assert (relevance.rule, relevance.identifiers, relevance.missing) == ("floor", ["PPR-9087"], [])


def test_another_ones_passage_does_not_answer_where_none_has_the_identifier():
    general = Passage(id="general", document_id="d", text="How torque is measured.", score=0.6)
    kept, relevance = judge(TORQUE, row("PPR-9088", 0.9), general, row("PPR-9078", 0.7))
    assert list(kept) == ["general"]
    assert relevance.missing == ["PPR-9087"]


def test_of_two_identifiers_the_one_that_is_there_is_kept_and_the_other_said_to_be_missing():
    kept, relevance = judge(
        "Compare PPR-9087 and KX-77.", row("PPR-9087", 0.1), row("KX-78", 0.8), row("PPR-9088", 0.5)
    )
    assert list(kept) == ["PPR-9087", "PPR-9088"]
    assert relevance.missing == ["KX-77"]


def test_an_acronym_is_evidence_where_it_is_rare_and_never_missing():
    def say(number: int) -> Passage:
        return Passage(id=str(number), document_id="d", text=f"FADEC does {number}.", score=0.1)

    kept, _ = judge("What does FADEC do?", *map(say, range(5)))
    assert len(kept) == 5
    kept, relevance = judge("What does FADEC do?", *map(say, range(6)))
    assert (kept, relevance.missing) == ({}, [])
    assert judge("What does FADEC do?", row("PPR-9088", 0.1))[1].missing == []


def test_an_acronym_beside_other_words_says_too_little():
    passage = Passage(id="1", document_id="d", text="NSF is a network.", score=0.3)
    assert not judge("Who engineered and operated NSF?", passage)[0]
    assert judge("What does NSF stand for?", passage)[0]


def test_without_a_threshold_everything_passes():
    kept, relevance = judge(TORQUE, row("PPR-9088", 0.01), threshold=None)
    assert (list(kept), relevance.rule, relevance.missing) == (["PPR-9088"], "off", ["PPR-9087"])


GERMAN = [
    Passage(
        id="fee", document_id="d", text="Die Geb\u00fchr f\u00fcr den Wasseranschluss ist 45 Euro.", score=0.3
    ),
    Passage(id="dog", document_id="d", text="Hunde sind an der Leine zu f\u00fchren.", score=0.8),
]


def test_in_another_language_the_words_decide_and_not_the_cosine():
    kept, relevance = judge("Wie hoch ist die Geb\u00fchr f\u00fcr den Wasseranschluss?", *GERMAN)
    assert (list(kept), relevance.rule, relevance.language) == (["fee"], "words", "de")
    assert kept["fee"].word_share is not None
    for question in ("Wann wurde das Museum in Paris gebaut?", "Wer malte die Mona Lisa?"):
        kept, relevance = judge(question, *GERMAN)
        assert (kept, relevance.rule, relevance.language) == ({}, "words", "de")


def test_where_question_and_passages_are_of_two_languages_the_model_decides():
    english = Passage(
        id="e", document_id="d", text="The fee for the water connection is 45 euros.", score=0.1
    )
    kept, relevance = judge("Wie hoch ist die Geb\u00fchr f\u00fcr den Wasseranschluss?", english)
    assert (list(kept), relevance.rule) == (["e"], "model")


def test_the_floor_means_nothing_for_passages_of_another_language():
    kept, relevance = judge("How high is the fee for the water connection?", GERMAN[0])
    assert (list(kept), relevance.rule, relevance.language) == (["fee"], "model", "en")
    english = Passage(id="e", document_id="d", text="Dogs must be kept on a lead in the park.", score=0.1)
    assert judge("How high is the fee for the water connection?", english)[0] == {}
    figures = Passage(id="f", document_id="d", text="12 | 35 | 8.4 | M6", score=0.1)
    assert judge("How high is the fee for the water connection?", figures)[0] == {}


@pytest.mark.parametrize("languages", [(), ("en", "de")])
def test_the_floor_holds_for_the_languages_that_it_is_said_to(languages):
    kept, relevance = judge("Wie hoch ist die Geb\u00fchr f\u00fcr das Wasser?", *GERMAN, languages=languages)
    assert (list(kept), relevance.rule) == (["dog"], "floor")


SETTINGS = Settings(mode="hybrid", pool=50)


def plan(**fields: object):
    return plan_search(
        RetrievalRequest.model_validate({"text": TORQUE, "embedding": [1.0], **fields}), SETTINGS
    )


@pytest.mark.parametrize("extra", [{}, {"mmr_lambda": 0.5}, {"fusion": "rrf"}, {"mode": "dense"}])
def test_the_passage_with_the_identifier_comes_first_and_is_not_cut(extra):
    dense = [row(f"PPR-{number}", 0.9) for number in range(9100, 9120)]
    sparse = [row("PPR-9087", 0.1).model_copy(update={"sparse_score": 0.1})]
    todo = plan(k=3, score_threshold=0.35, threshold_languages=["en"], **extra)
    ranked, relevance = rank(Candidates(dense, sparse), todo)
    assert ranked[0].id == "PPR-9087"
    assert len(ranked) == 3
    assert relevance is not None


def test_a_dense_search_looks_for_the_identifiers_alone():
    assert plan(mode="dense", threshold_languages=[]).query.text == "PPR-9087"
    assert plan(mode="dense").query.text == ""


def test_without_languages_the_cosine_alone_decides():
    ranked, relevance = rank(
        Candidates([row("PPR-9088", 0.9), row("PPR-9087", 0.1)]), plan(score_threshold=0.35)
    )
    assert ([passage.id for passage in ranked], relevance) == (["PPR-9088"], None)
