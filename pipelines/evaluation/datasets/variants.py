"""A set with passages, made harder: noise beside the right passage, noise alone, or a false statement.

After RGB (Chen et al. 2024, arXiv:2309.01431: noise robustness, negative rejection, counterfactual
robustness) and NoMIRACL (Thakur et al. 2024, arXiv:2312.11361: relevant and non-relevant subsets). The
noise is other questions' passages, none of which holds an accepted answer; everything is drawn per question
from the seed.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from pipelines.evaluation.datasets.items import Dataset, Item, Source
from pipelines.evaluation.reading.text import contains_reference
from services.core.errors import InvalidRequest


def add_noise(dataset: Dataset, k: int, seed: int) -> Dataset:
    """Put `k` passages of other questions among each question's own, in random order: RGB's noise
    robustness."""
    pool = _pool(dataset)
    items = []
    for item in _having_passages(dataset):
        generator = random.Random(f"{seed}:{item.id}")
        mixed = [*item.passages, *_noise(item, pool, k, generator)]
        generator.shuffle(mixed)
        items.append(item.model_copy(update={"passages": tuple(mixed)}))
    return dataset.model_copy(update={"name": f"{dataset.name}+noise{k}", "items": tuple(items)})


def replace_passages(dataset: Dataset, k: int, seed: int) -> Dataset:
    """Give each question `k` passages of others and none of its own, so that the right answer is none.

    RGB's negative rejection, and NoMIRACL's non-relevant subset.
    """
    pool = _pool(dataset)
    items = [
        item.model_copy(
            update={
                "kind": "abstain",
                "answers": (),
                "options": (),
                "relevant": (),
                "answerable": False,
                "passages": tuple(_noise(item, pool, k, random.Random(f"{seed}:{item.id}"))),
            }
        )
        for item in _having_passages(dataset)
    ]
    return dataset.model_copy(update={"name": f"{dataset.name}+absent{k}", "items": tuple(items)})


def falsify_passages(dataset: Dataset, seed: int) -> Dataset:
    """Replace each answer in its passages by one of another question, which `meta["counterfactual"]` keeps.

    RGB's counterfactual robustness. `answers` stay the true ones: an arm that scores well knows better than
    the passage, and one that follows the passage gives the false answer. Questions whose answer stands in no
    passage are left out. There is no corpus: it would still hold the true statements.
    """
    known = sorted({answer for item in dataset.items for answer in item.answers})
    items = []
    for item in dataset.items:
        generator = random.Random(f"{seed}:{item.id}")
        stated = [
            answer
            for answer in item.answers
            if any(_as_whole_words(answer).search(passage.text) for passage in item.passages)
        ]
        if not stated:
            continue
        longest = max(stated, key=len)
        others = [
            other
            for other in known
            if _is_alike(other, longest) and not contains_reference(other, item.answers)
        ]
        others = [
            other
            for other in others
            if not any(contains_reference(answer, [other]) for answer in item.answers)
        ]
        if not others:
            continue
        false = generator.choice(others)
        replaced = tuple(_replace(passage, stated, false) for passage in item.passages)
        items.append(
            item.model_copy(update={"passages": replaced, "meta": {**item.meta, "counterfactual": false}})
        )
    if not items:
        raise InvalidRequest(f"no question of {dataset.name!r} has its answer word for word in a passage")
    return dataset.model_copy(
        update={"name": f"{dataset.name}+counterfactual", "items": tuple(items), "corpus": ()}
    )


def _pool(dataset: Dataset) -> list[Source]:
    found = {passage.text: passage for item in dataset.items for passage in item.passages}
    return list(found.values())


def _having_passages(dataset: Dataset) -> list[Item]:
    items = [item for item in dataset.items if item.passages]
    if not items:
        raise InvalidRequest(
            f"the questions of {dataset.name!r} have no passages that noise could be put among"
        )
    return items


def _noise(item: Item, pool: Sequence[Source], k: int, generator: random.Random) -> list[Source]:
    own = {passage.text for passage in item.passages}
    found: list[Source] = []
    for passage in generator.sample(pool, len(pool)):
        if len(found) == k:
            break
        if passage.text not in own and not (item.answers and contains_reference(passage.text, item.answers)):
            found.append(passage)
    if len(found) < k:
        raise InvalidRequest(
            f"{k} noise passages asked for, question {item.id!r} leaves {len(found)}: ask for fewer"
        )
    return found


def _as_whole_words(answer: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(answer)}(?!\w)", re.IGNORECASE)


def _is_alike(one: str, other: str) -> bool:
    """Numbers for numbers, words for about as many words."""
    digits = any(map(str.isdigit, one)) == any(map(str.isdigit, other))
    return digits and abs(len(one.split()) - len(other.split())) <= 1


def _replace(passage: Source, answers: Sequence[str], false: str) -> Source:
    text = passage.text
    for answer in sorted(answers, key=len, reverse=True):
        text = _as_whole_words(answer).sub(lambda _: false, text)
    return passage.model_copy(update={"text": text})
