r"""A small language of formulas, computed at given values of its variables: what CHAMP's answers need.

Numbers, one-letter variables, + - * / ^, implicit products, factorials, C(n, k), sqrt, floor, ceil, abs,
log, ln, pi, and sum_(k=1)^n; LaTeX's \frac, \sqrt, \binom, \cdot, \lfloor, \sum are rewritten into these.
Every step is bounded, so that nothing that a model writes can hold the scorer up.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

Values = Mapping[str, float]

MAX_CHARACTERS = 400
MAX_STEPS = 20_000
_LATEX = (
    (re.compile(r"\\(?:left|right|displaystyle|quad|,|;|!|:)"), " "),
    (re.compile(r"\\(?:text|mathrm|operatorname)\s*\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\\[dt]?frac\s*(\d)\s*(\d)"), r"((\1)/(\2))"),
    (re.compile(r"\\[dt]?binom\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r"C(\1,\2)"),
    (re.compile(r"\\lfloor(.*?)\\rfloor"), r"floor(\1)"),
    (re.compile(r"\\lceil(.*?)\\rceil"), r"ceil(\1)"),
    (re.compile(r"\\(?:cdot|times|ast)|[\u00b7\u00d7\u2217]"), "*"),
    (re.compile(r"\\div|\u00f7"), "/"),
    (re.compile(r"\\(sum|pi|ln|log)"), r" \1"),
    (re.compile(r"[\u2212\u2013]"), "-"),
    (re.compile(r"\u03c0"), "pi"),
    (re.compile(r"\u221a"), "sqrt"),
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"[$]"), ""),
)
_SUPERSCRIPT = re.compile("(?<=[\\w)])[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_ROOT = re.compile(r"\\sqrt\s*\{([^{}]*)\}")
_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?|\.\d+)|([A-Za-z]+)|(.))", re.DOTALL)
_NAMES = frozenset({"sqrt", "floor", "ceil", "abs", "log", "ln", "pi", "sum", "c", "factorial"})
_WORDS = frozenset(
    "an as at be by do he if in is it me my no of on or so to up us we".split()  # noqa: SIM905 - a list of lines
)


class NotAFormula(ValueError):
    """Raised for a text that is prose, or that uses what the language lacks."""


def rewrite_latex(text: str) -> str:
    """Rewrite LaTeX into the language, innermost fractions first."""
    text = _SUPERSCRIPT.sub(
        lambda match: "^" + match.group().translate(_SUPERSCRIPTS), text[: 4 * MAX_CHARACTERS]
    )
    for pattern, replacement in _LATEX:
        text = pattern.sub(replacement, text)
    for _ in range(8):
        rewritten = _ROOT.sub(r"sqrt(\1)", _FRACTION.sub(r"((\1)/(\2))", text))
        if rewritten == text:
            break
        text = rewritten
    return text.replace("{", "(").replace("}", ")").replace("[", "(").replace("]", ")").strip().rstrip(".")


def find_variables(formula: str) -> frozenset[str]:
    """Find the variables of a formula. Raises NotAFormula where the text is none."""
    reader = _Reader(formula, None)
    reader.read_all()
    return frozenset(reader.seen)


def compute(formula: str, values: Values) -> float:
    """Compute a formula at these values.

    Raises:
        NotAFormula: The text is no formula.
        ArithmeticError, ValueError: The formula has no value there.
    """
    value = _Reader(formula, values).read_all()
    if not math.isfinite(value):
        raise OverflowError(formula)
    return value


class _Reader:
    """Reads a formula by recursive descent and computes it on the way; without values every variable is 2."""

    def __init__(self, formula: str, values: Values | None) -> None:
        if len(formula) > MAX_CHARACTERS:
            raise NotAFormula("too long")
        self._tokens = [match.group().strip() for match in _TOKEN.finditer(formula) if match.group().strip()]
        self._at = 0
        self._values = values
        self._bound: dict[str, float] = {}
        self._steps = 0
        self._depth = 0
        self.seen: set[str] = set()

    def read_all(self) -> float:
        try:
            value = self._read_sum()
        except (ArithmeticError, ValueError) as error:
            if self._values is None and not isinstance(error, NotAFormula):
                return self._collect_names()
            raise
        if self._at != len(self._tokens):
            raise NotAFormula(self._tokens[self._at])
        return value

    def _collect_names(self) -> float:
        """Collect the names of a formula that has no value where all variables are 2."""
        self.seen |= {name for name in self._tokens if name.isalpha() and len(name) == 1 and name != "C"}
        return math.nan

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self, expected: str = "") -> str:
        found = self._peek()
        if not found or (expected and found != expected):
            raise NotAFormula(f"{found!r} where {expected or 'more'!r} was expected")
        self._at += 1
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise NotAFormula("too many steps")
        return found

    def _read_sum(self) -> float:
        self._depth += 1
        if self._depth > 40:
            raise NotAFormula("nested too deeply")
        value = self._read_product()
        while self._peek() in {"+", "-"}:
            value = value + self._read_product() if self._take() == "+" else value - self._read_product()
        self._depth -= 1
        return value

    def _read_product(self) -> float:
        value = self._read_signed()
        while True:
            ahead = self._peek()
            if ahead == "*":
                self._take()
                value *= self._read_signed()
            elif ahead == "/":
                self._take()
                value /= self._read_signed()
            elif ahead[:1].isalnum() or ahead == "(":
                value *= self._read_power()
            else:
                return value

    def _read_signed(self) -> float:
        sign = 1.0
        while self._peek() in {"+", "-"}:
            sign = -sign if self._take() == "-" else sign
        return sign * self._read_power()

    def _read_power(self) -> float:
        base = self._read_factorial()
        if self._peek() != "^":
            return base
        self._take()
        return math.pow(base, self._read_signed())

    def _read_factorial(self) -> float:
        value = self._read_atom()
        while self._peek() == "!":
            self._take()
            value = _factorial(value)
        return value

    def _read_atom(self) -> float:
        found = self._take()
        if found == "(":
            value = self._read_sum()
            self._take(")")
            return value
        if found[0].isdigit() or found[0] == ".":
            return float(found)
        if not found.isalpha():
            raise NotAFormula(found)
        if found.lower() in _NAMES and not (found == "c" or (found == "C" and self._peek() != "(")):
            return self._read_named(found.lower())
        return self._multiply_variables(found)

    def _multiply_variables(self, names: str) -> float:
        if len(names) > 2 or names.lower() in _WORDS:
            raise NotAFormula(names)
        value = 1.0
        for name in names:
            if name in self._bound:
                value *= self._bound[name]
                continue
            self.seen.add(name)
            if self._values is None:
                value *= 2.0
            elif name in self._values:
                value *= self._values[name]
            else:
                raise NotAFormula(f"no value for {name}")
        return value

    def _read_named(self, name: str) -> float:
        if name == "pi":
            return math.pi
        if name == "sum":
            return self._read_summation()
        if self._peek() != "(":
            return _call(name, self._read_factorial())
        self._take("(")
        first = self._read_sum()
        if name == "c":
            self._take(",")
            second = self._read_sum()
            self._take(")")
            return _choose(first, second)
        self._take(")")
        return _call(name, first)

    def _read_summation(self) -> float:
        self._take("_")
        self._take("(")
        index = self._take()
        self._take("=")
        start = _to_whole_number(self._read_sum())
        self._take(")")
        self._take("^")
        stop = _to_whole_number(self._read_atom())
        body, total = self._at, 0.0
        if stop - start > 60 or not index.isalpha():
            raise NotAFormula("sum")
        shadowed = dict(self._bound)
        for value in range(start, stop + 1):
            self._at = body
            self._bound[index] = float(value)
            total += self._read_product()
        self._bound = shadowed
        if self._at == body:
            raise ValueError("an empty sum")
        return total


def _call(name: str, value: float) -> float:
    match name:
        case "sqrt":
            return math.sqrt(value)
        case "floor":
            return float(math.floor(value + 1e-12))
        case "ceil":
            return float(math.ceil(value - 1e-12))
        case "abs":
            return abs(value)
        case "factorial":
            return _factorial(value)
        case _:
            return math.log(value)


def _to_whole_number(value: float) -> int:
    nearest = round(value)
    if abs(value - nearest) > 1e-9 or abs(nearest) > 10_000:
        raise ValueError(f"{value} is no whole number")
    return nearest


def _factorial(value: float) -> float:
    number = _to_whole_number(value)
    if number > 150:
        raise OverflowError("factorial")
    return float(math.factorial(number))


def _choose(top: float, bottom: float) -> float:
    return float(math.comb(_to_whole_number(top), _to_whole_number(bottom)))
