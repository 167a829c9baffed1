"""Where an answer's text says its answer, without the thinking that led there; and words compared.

Words are normalised as in SQuAD's evaluation script: Rajpurkar et al. (2016).
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

from pipelines.evaluation.reading.wording import strip_echo
from pipelines.sentences import sentences

_CLOSED = re.compile(r".*</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_OPEN = re.compile(r"<think(?:ing)?>.*", re.DOTALL | re.IGNORECASE)
_IS = r"(?:\s+(?:is|are|would\s+be|must\s+be|to\s+(?:the|this)\s+\w+\s+is)\b\s*:?|\s*[:=])"
_FOREIGN = (
    r"\b(?:antwort|antwoord|r\u00e9ponse|respuesta|risposta|resposta|svaret?)\s+(?:ist|est|es|\u00e8|\u00e9|is|\u00e4r|er)\b\s*:?"
    r"|(?:\u7b54\u6848|\u7b54\u3048|\u6b63\u89e3)\s*[\u662f\u4e3a\u306f:\uff1a]\s*[:\uff1a]?"
)
_ANSWER = re.compile(
    rf"####|{_FOREIGN}|\b(?:final|correct|right|best)\s+(?:option|choice|result|solution)\b{_IS}|\banswer\b{_IS}",
    re.IGNORECASE,
)
_LINE = re.compile(
    r"(?:^[ \t>#]*(?:\[\d+\][ \t]*)*(?:final[ \t]+)?(?i:answer)|(?<=[.!?)\]][ \t])Answer)[ \t]*:[ \t]*(?=\S)",
    re.MULTILINE,
)
_EXPLANATION = re.compile(
    r"\n\s*(?:explanation|note|reason|reasoning|because|this\s+is|the\s+passages?)\b", re.IGNORECASE
)
_RESULT = re.compile(rf"\b(?:result|solution|option|choice)\b{_IS}", re.IGNORECASE)
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")

_POINTS_BACK = re.compile(r"(?:note\b|(?:this|that|which)\s+is\s+(?:the|our|an?)\b)", re.IGNORECASE)
_MARKDOWN = re.compile(r"\*\*|__|`")
_ARTICLES = re.compile(r"\b(a|an|the)\b", re.UNICODE)
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def strip_reasoning(text: str) -> str:
    """Return what follows the thinking; nothing where thinking was opened and never closed.

    The gateway's answers carry none; replies of other systems, and raw traces, may.
    """
    return _OPEN.sub("", _CLOSED.sub("", text)).strip()


def read_without_thinking(text: str) -> str:
    """Return an answer without its thinking and without the run's own wording that it echoes."""
    return strip_echo(strip_reasoning(text)).strip()


def read_final_text(text: str) -> str:
    """Do the same as `read_without_thinking`, and take the marks of emphasis out."""
    return _MARKDOWN.sub("", read_without_thinking(text)).strip()


def find_boxed_answer(text: str) -> str | None:
    r"""Return what stands in the last \boxed{...}, as the MATH data set asks for (Hendrycks et al. 2021)."""
    matches = list(_BOXED.finditer(text))
    if not matches:
        return None
    depth, start = 1, matches[-1].end()
    for index in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return text[start:index].strip()
    return text[start:].strip()


def find_announced_answer(text: str) -> str | None:
    """Find what the answer announces as its answer: boxed, or after "####", "the answer is", "Answer:"."""
    inside = find_boxed_answer(strip_reasoning(text))
    if inside is not None:
        return inside
    plain = read_final_text(text)
    matches = [match for match in _ANSWER.finditer(plain) if plain[match.end() :].strip()]
    if not matches and (last := sentences(plain)[-1:]):
        # results come along the way as well: in the last sentence alone they are the answer
        matches = [match for match in _RESULT.finditer(plain, last[0].start) if plain[match.end() :].strip()]
    if not matches:
        return None
    rest = plain[matches[-1].end() :].strip().splitlines()[0]
    parts = sentences(rest)
    return parts[0].text if parts else rest


def find_stated_answer(text: str) -> str:
    """Return what stands behind the last "Answer:", as a run's wording asks for; else the whole text."""
    line = find_last_line(text)
    return read_final_text(text) if line is None else line


def find_last_line(text: str) -> str | None:
    """Return what stands behind the last "Answer:" that begins a line or a sentence, without an explanation
    in the lines after it; None where there is none."""
    plain = read_final_text(text)
    matches = list(_LINE.finditer(plain))
    if not matches:
        return None
    return _EXPLANATION.split(plain[matches[-1].end() :], maxsplit=1)[0].strip()


def find_conclusion(text: str) -> str:
    """Return what is announced, else the last sentence, but for a note or a "This is the answer" after it."""
    announced = find_announced_answer(text)
    if announced is not None:
        return announced
    texts = [sentence.text for sentence in sentences(read_final_text(text))]
    while len(texts) > 1 and _POINTS_BACK.match(texts[-1]):
        texts.pop()
    return texts[-1] if texts else ""


def normalise(text: str) -> str:
    """Return a text in lower case without punctuation, articles and surplus white space, in SQuAD's order."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def contains_reference(answer: str, references: Sequence[str]) -> float:
    """Return 1 where a reference's tokens stand in the answer in a row, else 0: the accuracy of RGB.

    Chen et al. (2024), "Benchmarking Large Language Models in Retrieval-Augmented Generation", AAAI. It
    forgives a whole sentence around the answer, and also an answer that names every possibility: read it
    with the length.
    """
    words = f" {normalise(answer)} "
    known = [normalise(reference) for reference in references]
    if not any(known):
        return float(not words.strip())
    return float(any(f" {reference} " in words for reference in known if reference))
