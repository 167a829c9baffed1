"""The words of a question as the arms get them: alike for all, and ending in a form that can be read."""

from __future__ import annotations

from collections import Counter

from pipelines.evaluation.bundle.records import Asked, Grounds
from pipelines.evaluation.datasets.items import Dataset, Item, Kind

_LINE = 'End with a last line that begins with "Answer:" and holds'
_FORMS: dict[Kind, str] = {
    "numeric": f"{_LINE} the number alone.",
    "choice": f"{_LINE} the letter of the option alone.",
    "expression": f"{_LINE} the result alone: a number, a formula, or a few words.",
    "exact": f"{_LINE} the answer alone, in as few words as possible.",
}
_DECLINE = 'Where the passages do not say, that line is "Answer: I don\'t know".'
_TYPES = ("type", "family", "category", "task", "role")
"""What the data sets call their kinds of questions, in `meta`."""


def asked(whole: Dataset, item: Item, grounds: Grounds) -> Asked:
    """The question as all arms are asked it.

    A question without an answer is put in the form of its data set's others, so that the form does not give
    it away; where some of them have none and there are passages to look at, all are told how to decline.
    """
    form = _FORMS.get(_form(whole, item), "")
    lines = [item.prompt, form]
    if form and grounds != "none" and not all(each.answerable for each in whole.items):
        lines.append(_DECLINE)
    return Asked(
        id=f"{whole.name}/{item.id}",
        dataset=whole.name,
        type=next((item.meta[name] for name in _TYPES if item.meta.get(name)), item.kind),
        text="\n".join(line for line in lines if line),
        item=item,
    )


def _form(whole: Dataset, item: Item) -> Kind:
    if item.kind != "abstain":
        return item.kind
    kinds = Counter(each.kind for each in whole.items if each.kind != "abstain")
    return kinds.most_common(1)[0][0] if kinds else "exact"
