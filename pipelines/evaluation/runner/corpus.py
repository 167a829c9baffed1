"""A data set's corpus in a collection of its own: brought in once, found again by the hash in its name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from pipelines.evaluation.datasets.items import Dataset, Source
from pipelines.evaluation.runner.gateway import Gateway
from pipelines.evaluation.runner.progress import Count, Watcher

BATCH = 50
_NAME_LENGTH = 40


def collection_of(dataset: Dataset) -> str:
    """The same corpus, the same name; another corpus, another one."""
    digest = hashlib.sha256()
    for name, source in zip(file_names(dataset.corpus), dataset.corpus, strict=True):
        for part in (source.id, name, source.text):
            digest.update(len(part.encode()).to_bytes(8, "big") + part.encode())
    readable = re.sub(r"[^A-Za-z0-9_.-]+", "-", dataset.name)[:_NAME_LENGTH]
    return f"eval-{readable}-{digest.hexdigest()[:12]}"


def file_names(corpus: Sequence[Source]) -> list[str]:
    """A document's name for each: its title and its place. Models and the search see it as the heading, so
    it must not be the id, which may say what the passage is good for."""
    return [
        f"{_clean(source.title) or 'passage'} {place}.txt" for place, source in enumerate(corpus, start=1)
    ]


async def ingest(gateway: Gateway, dataset: Dataset, watcher: Watcher) -> dict[str, str]:
    """Bring in what of the corpus is not there; the ids of its sources by those of their documents."""
    collection, names = collection_of(dataset), file_names(dataset.corpus)
    there = await gateway.documents(collection)
    sources = dict(zip(names, dataset.corpus, strict=True))
    missing = [name for name in names if name not in there]
    if missing:
        watcher.begin(f"corpus of {dataset.name}", {collection: Count(len(there), len(names))})
    for start in range(0, len(missing), BATCH):
        batch = missing[start : start + BATCH]
        there |= await gateway.upload(collection, [(name, sources[name].text) for name in batch])
        for _ in batch:
            watcher.advance(collection)
    return {there[name]: source.id for name, source in sources.items()}


def _clean(title: str) -> str:
    """As a part of a file name: letters, digits and a few signs."""
    return " ".join(re.sub(r"[^\w ,()+-]+", " ", title).split())[:_NAME_LENGTH]
