"""Metrics of one answer's content, each against cases worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.evaluation.metrics.overlap import match_exactly, token_f1
from pipelines.evaluation.reading.expressions import expression_matches, same_formula, split_alternatives
from pipelines.evaluation.reading.formulas import NotAFormula, compute
from pipelines.evaluation.reading.numbers import find_final_number, find_numbers, number_matches
from pipelines.evaluation.reading.options import choice_matches, find_choice
from pipelines.evaluation.reading.text import (
    contains_reference,
    find_announced_answer,
    find_boxed_answer,
    find_conclusion,
    normalise,
    strip_reasoning,
)
from pipelines.evaluation.reading.text import find_stated_answer as given_answer


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>It is 5.</think>It is 6.", "It is 6."),
        ("It is 5.</think>\n\nIt is 6.", "It is 6."),
        ("<think>a</think> b <think>c</think> d", "d"),
        ("<think>never closed", ""),
        ("no thinking", "no thinking"),
    ],
)
def test_reasoning_is_no_part_of_the_answer(text: str, expected: str) -> None:
    assert strip_reasoning(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"So \boxed{1} or rather \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        (r"\boxed{unclosed", "unclosed"),
        ("nothing", None),
    ],
)
def test_boxed(text: str, expected: str | None) -> None:
    assert find_boxed_answer(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("We add.\n#### 18", "18"),
        ("Therefore, the final answer is: **42**. It was easy.", "42."),
        ("Answer: Paris\nBecause it is.", "Paris"),
        ("The correct option is (B) because of gravity.", "(B) because of gravity."),
        ("I add 3 and 4.", None),
    ],
)
def test_announced(text: str, expected: str | None) -> None:
    assert find_announced_answer(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Answer: the heart", "the heart"),
        ("It says so.\n**Answer:** St. Louis, 1904", "St. Louis, 1904"),
        ("Answer: 4\nNo, wait.\nanswer : 5", "5"),
        ("The answer: none begins a line with it", "The answer: none begins a line with it"),
        ("Ada\nAnswer:", "Ada\nAnswer:"),
        ("<think>Answer: 4</think>Five", "Five"),
    ],
)
def test_the_answer_that_is_given(text: str, expected: str) -> None:
    assert given_answer(text) == expected


def test_the_conclusion_is_the_last_sentence_where_nothing_is_announced() -> None:
    assert find_conclusion("First this. Then that.") == "Then that."
    assert find_conclusion("") == ""


def test_squad_normalisation() -> None:
    assert normalise("The  Quick-Brown, an Apple's  a!") == "quickbrown apples"


@pytest.mark.parametrize(
    ("answer", "references", "em", "f1"),
    [
        ("The Denver Broncos!", ["Denver Broncos"], 1.0, 1.0),
        # 2 of 3 tokens said, 2 of 2 wanted: 2 * (2/3 * 1) / (2/3 + 1) = 0.8
        ("the old Denver Broncos", ["Denver Broncos"], 0.0, 0.8),
        ("Denver", ["Carolina Panthers", "Denver Broncos"], 0.0, 2 / 3),
        # multiplicity: "b b" shares one b with "a b": 2 * 1 / 4
        ("b b", ["x b"], 0.0, 0.5),
        ("", [], 1.0, 1.0),
        ("something", [], 0.0, 0.0),
        ("", ["something"], 0.0, 0.0),
    ],
)
def test_exact_match_and_token_f1(answer: str, references: list[str], em: float, f1: float) -> None:
    assert match_exactly(answer, references) == em
    assert token_f1(answer, references) == pytest.approx(f1)


@pytest.mark.parametrize(
    ("answer", "references", "expected"),
    [
        ("It was the Denver Broncos who won.", ["Denver Broncos"], 1.0),
        ("It was Denver, not the Broncos.", ["Denver Broncos"], 0.0),
        ("In 1999.", ["99", "in 1999"], 1.0),
        ("In 1999.", ["99"], 0.0),
        ("", [], 1.0),
        ("words", [], 0.0),
    ],
)
def test_inclusion(answer: str, references: list[str], expected: float) -> None:
    assert contains_reference(answer, references) == expected


@given(st.text(), st.lists(st.text(), max_size=3))
def test_f1_and_exact_match_stay_in_their_bounds(answer: str, references: list[str]) -> None:
    assert match_exactly(answer, references) <= token_f1(answer, references) <= 1.0
    assert token_f1(answer, [answer]) == 1.0


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,234,567.5 and 12", [1234567.5, 12.0]),
        ("-3, \u22124 and 10-12", [-3.0, -4.0, 10.0, 12.0]),
        ("$18 or -$5 or €1,000", [18.0, -5.0, 1000.0]),
        ("3/4, 1 1/2, 2.5e3, 6 \u00d7 10^2", [0.75, 1.5, 2500.0, 600.0]),
        (r"\frac{3}{4}, \frac59, 1{,}000, 12\,345, 50\%", [0.75, 5 / 9, 1000.0, 12345.0, 50.0]),
        ("H2O, x1, 5kg, 3rd, v1.2.3", [5.0, 3.0]),
        ("1/0 is nothing, .5 is half", [0.5]),
        ("1 000 stays apart, 1\u202f000 does not", [1.0, 0.0, 1000.0]),
        ("It is 7.", [7.0]),
    ],
)
def test_numbers_in(text: str, values: list[float]) -> None:
    assert [number.value for number in find_numbers(text)] == pytest.approx(values)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("16 - 3 - 4 = 9 eggs, 9 * 2 = 18 dollars.\n#### 18", 18.0),
        ("The answer is 18 dollars for 5 days of work.", 18.0),
        ("The answer is 3 + 4 = 7 apples.", 7.0),
        (r"Hence $x = 12$, and \boxed{x = 13}.", 13.0),
        ("He has 5 left, then 3 more, so 8 in all.", 8.0),
        ("<think>5? No, 6.</think>It is 7.", 7.0),
        ("<think>It is 7", None),
        ("Three pounds of air.", 3.0),
        ("Nothing to say.", None),
        ("**Answer:** 1,234", 1234.0),
        ("It takes 14 seconds (7 gaps of 2 seconds).", 14.0),
        ("So he has **8 apples** left of 11.", 8.0),
    ],
)
def test_final_number(answer: str, expected: float | None) -> None:
    found = find_final_number(answer)
    assert (None if found is None else found.value) == expected


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("It is 1,000.", "1000", 1.0),
        ("It is 50%.", "0.5", 1.0),
        ("It is 50%.", "50", 1.0),
        ("It is 0.5.", "50%", 1.0),
        ("It is 5%.", "50", 0.0),
        ("It is 0.333.", "1/3", 0.0),
        ("It is 1/3.", "0.33333333", 1.0),
        ("I don't know.", "5", 0.0),
        ("It is -5.", "5", 0.0),
    ],
)
def test_numeric_match(answer: str, reference: str, expected: float) -> None:
    assert number_matches(answer, reference) == expected


def test_numeric_match_takes_tolerances() -> None:
    assert number_matches("0.333", "1/3", relative=0.01) == 1.0
    assert number_matches("99.5", "100", absolute=0.4) == 0.0
    assert number_matches("99.5", "100", absolute=0.6) == 1.0


HEAVY = ("a pound of water", "two pounds of bricks", "a pound of feathers", "three pounds of air")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("(B)", 1),
        ("B", 1),
        ("b.", 1),
        ("B) two pounds of bricks", 1),
        ("The answer is (D).", 3),
        ("The answer is D, as three is more than two.", 3),
        ("Let us see. (A) is light, (C) too. So it is (D).", 3),
        (r"\boxed{D}", 3),
        (r"\boxed{\text{D}}", 3),
        ("**Answer: C**", 2),
        ("Three pounds of air.", 3),
        ("Three pounds of air is heavier than two pounds of bricks.", 3),
        ("Two pounds of bricks is less than what we seek. The heaviest is three pounds of air.", 3),
        ("The answer is a pound of water.", 0),
        ("<think>(A)?</think>(D)", 3),
        ("<think>The answer is (A)", None),
        ("The answer is (A) or (B).", None),
        ("They weigh the same.", None),
        ("I think it's B", 1),
        ("Three is more than two, so I choose option D.", 3),
        ("(Z)", None),
        ("A pound of anything is a pound.", None),
        ("", None),
    ],
)
def test_chosen(answer: str, expected: int | None) -> None:
    assert find_choice(answer, HEAVY) == expected


@pytest.mark.parametrize(
    ("answer", "options", "expected"),
    [
        ("The argument is invalid.", ("valid", "invalid"), 1),
        ("Valid. The premises entail it.", ("valid", "invalid"), 0),
        ("No, Elanor does not tell the truth.", ("Yes", "No"), 1),
        ("She lies, so he lies. Yes.", ("Yes", "No"), 0),
        ("not True is False, so the answer is False", ("True", "False"), 1),
        ("Either yes or no", ("Yes", "No"), None),
        ("It doesn't follow that Rex barks.", ("it follows", "it does not follow"), 1),
        ("No, others bark too.", ("it follows", "it does not follow"), 1),
        ("Yes.", ("it does not follow", "it follows"), 1),
    ],
)
def test_options_without_letters(answer: str, options: tuple[str, ...], expected: int | None) -> None:
    assert find_choice(answer, options) == expected
    assert choice_matches(answer, options, 0) == float(expected == 0)


@pytest.mark.parametrize(
    ("formula", "values", "expected"),
    [
        ("2^(n-1)", {"n": 5}, 16),
        ("n(n-3)/2", {"n": 6}, 9),
        ("C(n+1, 2m+1)", {"n": 5, "m": 1}, 20),
        ("(2n)!/(2^n*n!)", {"n": 3}, 15),
        ("2^floor(n/2)*floor(n/2)!", {"n": 5}, 8),
        ("sum_(i=1)^n i^3", {"n": 3}, 36),
        ("-2^2", {}, -4),
        ("2^3^2", {}, 512),
        ("sqrt(3)/3", {}, 3**0.5 / 3),
        ("1-1/2^(1/n)", {"n": 2}, 1 - 2**-0.5),
    ],
)
def test_formulas_compute(formula: str, values: dict[str, float], expected: float) -> None:
    assert compute(formula, values) == pytest.approx(expected)


@pytest.mark.parametrize(
    "formula",
    [
        "",
        "the answer",
        "2 +",
        "x y z w(",
        "n",
        "9" * 500,
        "(" * 60 + "1" + ")" * 60,
        "__import__('os')",
        "sum_(i=1)^(10^9) i",
    ],
)
def test_what_is_no_formula_or_would_not_end_is_refused(formula: str) -> None:
    with pytest.raises((NotAFormula, ArithmeticError, ValueError)):
        compute(formula, {})


@pytest.mark.parametrize(
    "formula", ["9^9^9^9", "(10^300)^300", "170!", "1/0", "sqrt(-1)", "(-1)^(1/2)", "C(-1, 2)"]
)
def test_what_has_no_value_raises(formula: str) -> None:
    with pytest.raises((ArithmeticError, ValueError)):
        compute(formula, {})


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2^n/2", "2^(n-1)", True),
        ("n(n-1)/2", "C(n,2)", True),
        ("n^2", "n(n+1)", False),
        ("2^n", "2^m", False),
        ("(x^2+x+1)(x^2-x+1)", "x^4+x^2+1", True),
        ("a word", "n", False),
    ],
)
def test_same_formula(one: str, other: str, same: bool) -> None:
    assert same_formula(one, other) is same


def test_alternatives_of_a_reference() -> None:
    assert split_alternatives("C(10, 5), or equivalently 252") == ["C(10, 5)", "252"]
    assert split_alternatives("100 (i.e., all values)") == ["100", "all values"]
    assert split_alternatives("5/14, or approximately 35.7%") == ["5/14", "35.7%"]
    assert split_alternatives("n(n-3)/2") == ["n(n-3)/2"]


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("The number is $2^{n-1}$.", "2^(n-1)", 1.0),
        (r"\boxed{\frac{2^n}{2}}", "2^(n-1)", 1.0),
        ("Thus the answer is 2^n.", "2^(n-1)", 0.0),
        ("There are C(10,5) = 252 ways.", "C(10, 5), or equivalently 252", 1.0),
        (r"We get $\binom{n+1}{2m+1}$.", "C(n+1, 2m+1)", 1.0),
        ("The final answer is 239.", "239", 1.0),
        ("The final answer is 240.", "239", 0.0),
        ("No, it is impossible.", "No", 1.0),
        ("Yes, there is.", "No", 0.0),
        ("The only possible value is 0.", "0 is the only possible value", 1.0),
        ("The answer is 3.", "0 is the only possible value", 0.0),
        ("The limit is 2/3.", "The limit exists and is equal to 2/3", 1.0),
        ("There are no integer solutions.", "No integer solutions", 1.0),
        ("There are infinitely many solutions.", "No integer solutions", 0.0),
        ("So x = 6 and y = 5: x=6, y=5.", "x=6, y=5", 1.0),
        ("x=5, y=6", "x=6, y=5", 0.0),
        ("All values of k work, that is 100.", "100 (i.e., all values)", 1.0),
        (r"The answer is $\frac{1}{\sqrt{3}}$.", "sqrt(3)/3, or equivalently 1/sqrt(3)", 1.0),
        ("I could not say.", "2^(n-1)", 0.0),
        ("I cannot determine whether there are any.", "No", 0.0),
        ("Therefore, there are 504 strings of length 5 using the digits {0, ..., 9}.", "504", 1.0),
        ("So the smallest value of f(x) is f(0) = 2, when x = 0.", "2", 1.0),
        ("Hence the expansion of (x+y+z)^1999 has 2,001,000 terms.", "2001000", 1.0),
        ("Hence the expansion of (x+y+z)^1999 has 2,001,000 terms.", "1999", 0.0),
        ("It is impossible to label the edges so.", "No", 1.0),
        ("Such numbers always exist.", "Yes", 1.0),
        ("The values are a = 3 and b = -4.", "a=3, b=-4", 1.0),
        ("So x = 0 and y = 0.", "x=y=0", 1.0),
        ("n(n-1)/2 - n = n^2/2 - 3n/2\n\nThis is the number of diagonals.", "n(n-3)/2", 1.0),
        ("The sequence has no finite limit.", "The limit does not exist", 1.0),
        ("", "2^(n-1)", 0.0),
    ],
)
def test_expression_match(answer: str, reference: str, expected: float) -> None:
    assert expression_matches(answer, reference) == expected


@given(st.text(max_size=300))
def test_no_answer_breaks_the_scorers(answer: str) -> None:
    for reference in ("2^(n-1)", "No", "0 is the only possible value", "x=6, y=5"):
        assert expression_matches(answer, reference) in {0.0, 1.0}
    assert number_matches(answer, "5") in {0.0, 1.0}
    assert find_choice(answer, HEAVY) in {None, 0, 1, 2, 3}


@given(st.text(alphabet="0123456789()+-*/^!nC, sumqrt_=.", max_size=120))
def test_no_formula_breaks_or_holds_up_the_reader(formula: str) -> None:
    assert same_formula(formula, "2^n") in {True, False}
