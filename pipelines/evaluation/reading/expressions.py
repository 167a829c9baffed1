"""Whether an answer comes to the same number, formula or statement as a reference: for CHAMP.

Mao, Kim and Zhou (2024), "CHAMP: A Competition-level Dataset for Fine-Grained Analyses of LLMs'
Mathematical Reasoning Capabilities", whose answers are numbers, formulas in n, sets of values and short
statements. Formulas are equal where they agree at several values of their variables (Schwartz 1980; Zippel
1979): 2^n/2 is 2^(n-1).
"""

from __future__ import annotations

import math
import re

from pipelines.evaluation.reading.formulas import NotAFormula, compute, find_variables, rewrite_latex
from pipelines.evaluation.reading.numbers import number_matches
from pipelines.evaluation.reading.refusals import abstains
from pipelines.evaluation.reading.text import (
    find_announced_answer,
    find_conclusion,
    normalise,
    strip_reasoning,
)

_OR = re.compile(r",?\s*\bor\s+(?:equivalently|approximately|an\s+equivalent\s+form\s+such\s+as)\s+")
_ASIDE = re.compile(r"\s*\((?:i\.e\.,?\s*)?([^()]*[a-z]{3}[^()]*)\)\s*$")
_ONLY = re.compile(
    r"^(?P<number>-?\d+(?:\.\d+)?)\s+"
    r"(?:is the only possible value|(?:values?|inequalit(?:y|ies)|pairs?|roots?))$"
    r"|^(?:At (?:least|most)|Exactly)\s+(?P<bound>\w+)\s+.*$"
    r"|^The limit exists and is equal to\s+(?P<limit>.+)$"
    r"|^The only possible value for the limit is\s+(?P<value>.+)$",
    re.IGNORECASE,
)
_YES_NO = re.compile(r"\b(yes|no)\b", re.IGNORECASE)
_NOTHING = re.compile(
    r"\bno\s+(?:\w+\s+){0,2}(?:solutions?|values?|pairs?|roots?|zeros?|numbers?|such|integers?)\b"
    r"|\bno\s+(?:finite\s+)?limit\b|\bnot\s+have\s+an?\s+(?:finite\s+)?limit\b|\bnone\b|\bdoes\s+not\s+exist\b|\bnot\s+possible\b|\bimpossible\b",
    re.IGNORECASE,
)
_DENIES = re.compile(r"\b(?:not|never|cannot|can't|impossible|isn't|doesn't|none)\b", re.IGNORECASE)
_AFFIRMS = re.compile(r"\b(?:can|always|exists?|possible|indeed|true|holds?)\b", re.IGNORECASE)
_AMOUNT = re.compile(
    r"(?:=|\b(?:is|are|be|equals?|equal\s+to|have|has|get|gives?|all|value)\b)\s*"
    r"(?:(?:exactly|only|indeed|also|always|equal\s+to|simply|therefore|all|just)\s+)*"
    r"(-?\d[\d,]*(?:\.\d+)?(?:\s*/\s*\d+)?)(?!\s*[\^*/(+\d]|\s*-\s*\w|[A-Za-z]|\s*(?:,|and)\s+-?\d)"
)
_SIDE_CLAUSE = re.compile(
    r"(?<=\w.{20}),?\s+(?:when|where|if|since|because|as|which|and\s+(?:this|it)|achieved|such\s+that|for\s+which)\b"
)
_MATHS = re.compile(r"\$\$?(.+?)\$\$?|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_PROSE = re.compile(r"\b(?!(?:sqrt|floor|ceil|abs|log|ln|sum|pi)\b)[A-Za-z]{2,}\b")
_SYMBOL = re.compile(r"[\^!_]|\\|\b[b-hj-zB-HJ-Z]\b|\d[a-zA-Z]\b|[A-Za-z]\(")
"""What makes a text more than an amount: powers, factorials, LaTeX, variables, functions."""
_STATES = re.compile(r"\b(?:is|are|equals)\b|:")
_LIST = re.compile(r"\d\s*(?:,|and)\s+(?:-?\d|[a-z]\s*=)")
_POINTS = (
    (7, 3, 2, 5),
    (8, 3, 1, 4),
    (9, 4, 2, 6),
    (6, 2, 1, 3),
    (11, 5, 3, 4),
    (10, 6, 5, 2),
    (12, 5, 1, 7),
)
_RELATIVE = 1e-9


def expression_matches(answer: str, reference: str) -> float:
    """Return 1 where the answer comes to the reference, else 0. A form that cannot be read counts as
    different."""
    if abstains(answer):
        return 0.0
    ending = find_conclusion(answer)
    return float(any(_matches(ending, form, answer) for form in split_alternatives(reference)))


def split_alternatives(reference: str) -> list[str]:
    """List the forms that a reference allows: "252" and "C(10, 5)" of "C(10, 5), or equivalently 252"."""
    found: list[str] = []
    for part in _OR.split(reference):
        aside = _ASIDE.search(part)
        if aside is None:
            found.append(part.strip())
        else:
            found.extend((part[: aside.start()].strip(), aside.group(1).strip()))
    return found


def same_formula(one: str, other: str) -> bool:
    """Tell whether two formulas have the same variables and agree at three or more values of them."""
    try:
        names = sorted(find_variables(one))
        if names != sorted(find_variables(other)) or len(names) > 4:
            return False
    except (NotAFormula, ArithmeticError, ValueError):
        return False
    agreed = 0
    for point in _POINTS:
        values = dict(zip(names, map(float, point), strict=False))
        try:
            left, right = compute(one, values), compute(other, values)
        except NotAFormula:
            return False
        except (ArithmeticError, ValueError):
            continue
        if not math.isclose(left, right, rel_tol=_RELATIVE, abs_tol=1e-12):
            return False
        agreed += 1
    return agreed >= 3


def _matches(ending: str, reference: str, answer: str) -> bool:
    if normalise(reference) in {"yes", "no"}:
        return _find_polarity(ending, answer) == normalise(reference)
    only = _ONLY.match(reference)
    if only is not None:
        inner = next(filter(None, only.groupdict().values()))
        return _matches(ending, inner, answer) or (inner == "0" and _NOTHING.search(ending) is not None)
    target = rewrite_latex(reference)
    if _is_formula(target):
        if any(same_formula(candidate, target) for candidate in _list_candidates(ending, answer)):
            return True
        return _SYMBOL.search(reference) is None and _amount_matches(ending, reference)
    if _NOTHING.search(reference):
        return _NOTHING.search(ending) is not None
    return any(form in _squeeze(ending) for form in (_squeeze(reference), _squeeze(_split_chain(reference))))


def _find_polarity(ending: str, answer: str) -> str:
    """Find the yes or no that stands in the conclusion, else "no" of a denial, "yes" of an affirmation; or
    nothing."""
    found = _YES_NO.findall(ending) or _YES_NO.findall(strip_reasoning(answer)[:5])
    if found:
        return str(found[0]).lower()
    if _DENIES.search(ending):
        return "no"
    return "yes" if _AFFIRMS.search(ending) else ""


def _amount_matches(ending: str, reference: str) -> bool:
    """Tell whether the amount that the conclusion states is the reference's; of a list there is no one
    amount."""
    stated = _AMOUNT.findall(_SIDE_CLAUSE.split(_strip_latex_marks(ending))[0])
    if stated:
        return number_matches(stated[-1], reference) == 1.0
    plainly = ending.rsplit("=", 1)[-1]
    listed = _SYMBOL.search(plainly) or _LIST.search(plainly)
    return listed is None and number_matches(plainly, reference) == 1.0


def _strip_latex_marks(ending: str) -> str:
    return re.sub(r"\\[()\[\]]|[$*]", " ", ending)


def _split_chain(reference: str) -> str:
    """Split a chain of equations: "x=y=0" becomes "x=0, y=0"."""
    chain = re.fullmatch(r"((?:[a-z]=)+)(-?\d+)", reference)
    if chain is None:
        return reference
    return ", ".join(f"{name}={chain.group(2)}" for name in chain.group(1).split("=") if name)


def _is_formula(text: str) -> bool:
    try:
        find_variables(text)
    except (NotAFormula, ArithmeticError, ValueError):
        return False
    return True


def _list_candidates(ending: str, answer: str) -> list[str]:
    """List what in the conclusion may be a formula: itself, what follows "=" or "is", its LaTeX."""
    maths = [next(filter(None, match.groups())) for match in _MATHS.finditer(ending)]
    if find_announced_answer(answer) is None:
        whole = strip_reasoning(answer)
        maths += [next(filter(None, match.groups())) for match in _MATHS.finditer(whole)][-1:]
        # a conclusion in words alone leaves the formula at the end of the calculation before it
        if re.search(r"[\d=^]", ending) is None:
            maths += [line for line in whole.splitlines() if "=" in line][-1:]
    texts = [ending, *maths]
    found: list[str] = []
    for text in texts:
        readable = rewrite_latex(text)
        found += (readable, readable.rsplit("=", 1)[-1], _STATES.split(readable)[-1])
        pieces = [piece.strip(" ,;:.") for piece in _PROSE.split(readable)]
        formulas = [piece for piece in pieces if re.search(r"[\d^!/*+]", piece)]
        found += formulas if len(formulas) == 1 else ()
    return [candidate.strip() for candidate in dict.fromkeys(found) if candidate.strip()]


def _squeeze(text: str) -> str:
    """Return a statement without case, articles, blanks, commas and multiplication signs."""
    return re.sub(r"[\s*,]|\b(?:the|an?|and)\b", "", rewrite_latex(text).lower())
