"""The metrics mark answers as people do: the named ways to get it wrong, and the whole of the marked sets."""

from __future__ import annotations

import orjson
import pytest

from pipelines.evaluation.datasets.items import Item
from pipelines.evaluation.metrics.overlap import match_exactly
from pipelines.evaluation.reading.number_words import write_digits
from pipelines.evaluation.reading.numerals import unify_numerals
from pipelines.evaluation.reading.refusals import abstains
from pipelines.evaluation.reading.wording import DECLINING, FORMS, HOW_TO_DECLINE
from pipelines.evaluation.report.errors import find_measured_error
from tests.bench._answers import MarkedAnswer
from tests.bench.metrics import WRITTEN, measure_errors


def test_the_errors_that_the_report_shows_are_those_of_the_marked_answers_and_few() -> None:
    measured = measure_errors()
    assert measured == orjson.loads(WRITTEN.read_bytes()), "make bench-metrics WRITE=1 writes it anew"
    for metric in ("correct", "abstained"):
        error = find_measured_error(metric)
        assert error is not None
        assert error.recorded.wrong <= 0.02 * error.recorded.n
        assert error.hard.wrong <= 0.08 * error.hard.n
        assert error.recorded.n > 100
        assert error.hard.n > 2100
        assert error.first_look.n > 1200


def test_an_error_rate_is_said_by_arm_and_with_its_interval() -> None:
    said = str(find_measured_error("hallucination rate"))
    assert said.startswith("marked wrongly: 0 % [0.0, ")
    assert said.endswith("when first seen")
    assert "small+cite 0 %" in said
    assert find_measured_error("token F1") is None


def is_right(
    answer: str, *references: str, kind: str = "exact", question: str = "?", options: tuple[str, ...] = ()
) -> bool:
    item = Item(id="x", question=question, kind=kind, answers=references, options=options)  # type: ignore[arg-type]
    return not MarkedAnswer(item, answer, "+").errors["correct"]


@pytest.mark.parametrize(
    ("answer", "reference", "right"),
    [
        ("not 42 but 43", "43", True),
        ("not 42 but 43", "42", False),
        ("3 or 4", "4", False),
        ("at least 4", "4", False),
        ("minus 5", "-5", True),
        ("two hundred and one", "201", True),
        ("1 million", "1000000", True),
        ("½", "0.5", True),
        ("10²", "100", True),
        ("1.000,5", "1000.5", True),
        ("1,000.5", "1000.5", True),
        ("٤٢", "42", True),
        ("It is 7 [3].", "7", True),
        ("It is 7 [3].", "3", False),
    ],
)
def test_numbers(answer: str, reference: str, right: bool) -> None:
    assert is_right(answer, reference, kind="numeric") is right


def test_a_number_comes_in_the_unit_that_is_asked_for() -> None:
    question = "How many minutes does it take?"
    assert is_right("An hour and a half.", "90", kind="numeric", question=question)
    assert is_right("1 hour and 30 minutes", "90", kind="numeric", question=question)
    assert not is_right("90 seconds", "90", kind="numeric", question=question)
    assert is_right("90 seconds", "90", kind="numeric", question="How long is it?")


@pytest.mark.parametrize(
    ("answer", "reference", "right"),
    [
        ("Not Paris.", "Paris", False),
        ("Paris or Lyon", "Paris", False),
        ("It is blue, not red", "blue", True),
        ("It is blue, not red", "red", False),
        ("1.5", "15", False),
        ("15", "1.5", False),
        ("C++", "C", False),
        ("C", "C++", False),
        ("July 14th, 1931", "14 July 1931", True),
        ("9:15 pm", "21:15", True),
        ("No, it may not.", "no", True),
        ("Sea ice does not contain salt.", "salt", True),
    ],
)
def test_words(answer: str, reference: str, right: bool) -> None:
    assert is_right(answer, reference) is right


@pytest.mark.parametrize(
    ("question", "answer", "reference", "right"),
    [
        ("Who built it?", "Emilie Brandt, not Josef Lindqvist", "Lindqvist", False),
        ("Who built it?", "Lindqvist's brother", "Lindqvist", False),
        ("Who built it?", "Lindqvist never built it.", "Lindqvist", False),
        ("Who built it?", "Lindqvist, whose birthplace is not mentioned.", "Lindqvist", True),
        ("Who built it?", "Clara Voss paid for it; Ida Lund built it.", "Clara Voss", False),
        ("Is smoking allowed?", "It is forbidden.", "yes", False),
        ("Is smoking forbidden?", "It is forbidden.", "yes", True),
        ("When was it opened?", "It closed on 4 July 1903.", "4 July 1903", False),
        ("When does it start?", "half past nine", "9:30", True),
        ("What does it need?", "It doesn't freeze.", "it does not freeze", True),
    ],
)
def test_words_are_read_in_view_of_the_question(
    question: str, answer: str, reference: str, right: bool
) -> None:
    assert is_right(answer, reference, question=question) is right


@pytest.mark.parametrize(
    ("question", "answer", "reference", "right"),
    [
        ("How wide is it, in metres?", "6.4 feet", "6.4", False),
        ("How warm is it, in degrees Celsius?", "97.88 °F", "36.6", True),
        ("How many seats does it have?", "84 %", "84", False),
        ("How many seats does it have?", "84 hectares", "84", False),
        ("How many towers stand?", "Half of them, two.", "2", True),
        ("How many towers stand?", "No towers stand.", "0", True),
        ("How many people work there?", "It grew from 6 to 14 people.", "14", True),
        ("What percentage said yes?", "three quarters", "75", True),
        ("In what year was it built?", "seventeen eighty-three", "1783", True),
        ("In what year did it break?", "It was built in 1967.", "1967", False),
        ("In what year did it break?", "Built in 1955, it broke in 1967.", "1967", True),
    ],
)
def test_numbers_are_read_in_view_of_the_question(
    question: str, answer: str, reference: str, right: bool
) -> None:
    assert is_right(answer, reference, kind="numeric", question=question) is right


def test_exact_match_minds_the_marks_that_make_another_word() -> None:
    assert (
        match_exactly("C++", ["C"]) == match_exactly("1.5", ["15"]) == match_exactly("21:15", ["2115"]) == 0.0
    )
    assert match_exactly("The C++!", ["C++"]) == match_exactly("1,500", ["1500"]) == 1.0


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("B, because A is lighter", True),
        ("Not A but B.", True),
        ("A, because B is lighter", False),
        ("It is not B.", False),
        ("The water is not the heaviest; the bricks are.", False),
        ("A or B", False),
    ],
)
def test_choices(answer: str, right: bool) -> None:
    options = ("the air", "the water", "the bricks")
    assert is_right(answer, "the water", kind="choice", options=options) is right


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("The statement is wrong.", True),
        ("No, it doesn't.", True),
        ("This is not false.", False),
        ("B", True),
    ],
)
def test_true_or_false_is_read_from_the_sentence(answer: str, right: bool) -> None:
    assert is_right(answer, "false", kind="choice", options=("true", "false")) is right


@pytest.mark.parametrize(
    "echo",
    [
        HOW_TO_DECLINE,
        HOW_TO_DECLINE.replace("Where", "If"),
        f'that line is "Answer: {DECLINING}".',
        f"{FORMS['exact']} {HOW_TO_DECLINE}",
    ],
)
@pytest.mark.parametrize("answer", ["Josef Lindqvist", "Answer: Josef Lindqvist."])
def test_the_run_s_own_wording_is_not_read_as_declining(answer: str, echo: str) -> None:
    for text in (f"{answer}\n{echo}", f"{echo}\n{answer}", f"{answer} {echo}"):
        assert not abstains(text), text
    assert abstains(f"{echo}\nAnswer: {DECLINING}")


def test_an_echo_does_not_make_an_invented_answer_a_right_abstention() -> None:
    item = Item(id="x", question="Who?", kind="abstain", answerable=False)
    assert not any(MarkedAnswer(item, f"Ada Lovelace.\n{HOW_TO_DECLINE}", "-").errors.values())


@pytest.mark.parametrize(
    "fact",
    [
        "Milk does not contain gluten.",
        "The harbour could not be found in the fog.",
        "Sugar is not given to horses.",
        "The kettle is not known for its speed.",
        "He never said a word.",
    ],
)
def test_a_fact_with_a_negation_declines_nothing(fact: str) -> None:
    assert not abstains(fact)


@pytest.mark.parametrize(
    ("answer", "declines"),
    [
        ("I'd need more information to answer this.", True),
        ("Weet ik niet.", True),
        ("O preço não é informado.", True),
        ("Probably 3,000 crowns; I can't say for sure.", False),
        ('If the answer is not in the passages, say "I don\'t know". It cost 3,000 crowns.', False),
    ],
)
def test_ways_to_decline(answer: str, declines: bool) -> None:
    assert abstains(answer) is declines


def test_who_declines_what_was_not_asked_has_answered() -> None:
    item = Item(id="x", question="What is the dog called?", kind="abstain", answerable=False)
    assert not any(MarkedAnswer(item, "The dog is called Rex; its age is not stated.", "-").errors.values())
    assert not any(
        MarkedAnswer(item, "The dog has a collar; what it is called is not stated.", "~").errors.values()
    )


def test_none_declines_where_a_name_is_asked_for_and_not_where_it_is_the_answer() -> None:
    assert abstains("None.", nothing_declines=True)
    assert not abstains("None.")
    assert is_right("None.", "none")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("1.234.567", "1234567"), ("12,34,567", "1234567"), ("1 234 567", "1234567"), ("1 000,5", "1000.5"),
        ("0,5", "0.5"), ("1,000", "1000"), ("1.5", "1.5"), ("v1.2.3", "v1.2.3"), ("15,-", "15"), ("7½", "7 1/2"),
        ("10²", "10^2"), ("\uff14\uff12", "42"), ("f(1,2)", "f(1,2)"),
    ],
)  # fmt: skip
def test_numerals_of_all_countries(text: str, written: str) -> None:
    assert unify_numerals(text) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("twenty-one", "21"), ("half a dozen", "6"), ("seven and a half", "7.5"), ("three point seven million", "3700000"),
        ("minus five", "-5"), ("Each one came.", "Each one came."), ("one of them", "1 of them"), ("zweiundvierzig", "42"),
        ("vingt et un", "21"), ("十二", "12"), ("two three", "two three"),
    ],
)  # fmt: skip
def test_number_words(text: str, written: str) -> None:
    assert write_digits(text) == written
