"""Which weights of fusion and reranking suit all sets: `make sweep-retrieval`.

Everything is scored by the services; only the last sums are made here, by the services' own functions. A
recipe is judged by how many standard errors it is above the better of dense and sparse, on the sets' first
metric, and the one with the greatest mean over the sets is chosen. Each set is also left out once: what the
others chose is measured on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from services.core.wire.passages import Passage, TokenVectors
from services.reranking.scoring import Part, Weighting, best_cosines, blend, token_weights
from services.retrieval.fusion import fuse_ranks, fuse_scores
from tests.bench._report import report
from tests.bench.evaluation_data import evaluation_data
from tests.bench.retrieval_services import DEEP, Services, documents, services
from tests.bench.retrieval_sets import SETS, RetrievalSet

FUSIONS = (0.4, 0.5, 0.6, 0.7, 0.8)
RRF = (10, 60)
POOLS = (20, 50)
WEIGHTINGS: tuple[Weighting, ...] = ("uniform", "idf")
DENSE = (0.5, 1.0, 1.5, 2.0)
SPARSE = (0.0, 0.5, 1.0, 1.5)


@dataclass(frozen=True)
class Recipe:
    """`fusion` is the dense side's weight, or -k for reciprocal rank fusion. `pool` 0: not reranked."""

    fusion: float
    pool: int = 0
    weighting: Weighting = "uniform"
    dense: float = 0.0
    sparse: float = 0.0

    def __str__(self) -> str:
        first = f"weighted {self.fusion:g}" if self.fusion > 0 else f"rrf {-self.fusion:g}"
        late = f", top {self.pool}: {self.weighting} MaxSim + {self.dense:g} dense + {self.sparse:g} sparse"
        return first + (late if self.pool else "")


@dataclass(frozen=True)
class Scored:
    """One query's candidates: each side's, each fusion's, and every query token's best cosine in a passage."""

    dense: Sequence[Passage]
    sparse: Sequence[Passage]
    fused: Mapping[float, Sequence[Passage]]
    best: Mapping[str, NDArray[np.float64]]

    def ranking(self, recipe: Recipe) -> list[str]:
        fused = self.fused[recipe.fusion]
        if not recipe.pool:
            return documents(fused)
        pool = fused[: recipe.pool]
        best = np.stack([self.best[passage.id] for passage in pool])
        late = best @ token_weights(best, recipe.weighting)
        scores = blend(
            late,
            Part([passage.score for passage in pool], recipe.dense),
            Part([passage.sparse_score for passage in pool], recipe.sparse, absent=0),
        )
        return documents([pool[at] for at in np.argsort(-scores, kind="stable")])


def fuse(dense: Sequence[Passage], sparse: Sequence[Passage], fusion: float) -> list[Passage]:
    """Best first, as the retrieval service orders them."""
    merged = {one.id: one for one in dense}
    for one in sparse:
        also = merged.get(one.id, one)
        merged[one.id] = also.model_copy(update={"sparse_score": one.sparse_score})
    if fusion < 0:
        scores = fuse_ranks([[one.id for one in side] for side in (dense, sparse)], k=int(-fusion))
    else:
        scores = fuse_scores(
            {id_: one.score for id_, one in merged.items() if one.score is not None},
            {id_: one.sparse_score for id_, one in merged.items() if one.sparse_score is not None},
            dense_weight=fusion,
        )
    return [merged[id_] for id_ in sorted(scores, key=lambda id_: -scores[id_])]


def recipes() -> list[Recipe]:
    fusions = [*FUSIONS, *(-k for k in RRF)]
    reranked = product(FUSIONS, POOLS, WEIGHTINGS, DENSE, SPARSE)
    return [Recipe(fusion) for fusion in fusions] + [Recipe(*each) for each in reranked]


async def scored(sets: RetrievalSet, running: Services) -> list[Scored]:
    await running.fill(sets.name, sets)
    return [await _scored(sets.name, query, running) for query in sets.queries.values()]


async def _scored(collection: str, query: str, running: Services) -> Scored:
    encoded = await running.embedding.encode([query], token_vectors=True)
    vector, (tokens,) = encoded.embeddings[0], encoded.token_vectors or [None]
    sides = [
        await running.search(collection, query, vector, mode=mode, k=DEEP) for mode in ("dense", "sparse")
    ]
    fused = {fusion: fuse(*sides, fusion) for fusion in (*FUSIONS, *(-k for k in RRF))}
    ids = list(dict.fromkeys(one.id for each in fused.values() for one in each[: max(POOLS)]))
    stored = await running.retrieval.token_vectors(collection, ids)
    best = best_cosines(_array(tokens), [_array(stored[id_]) for id_ in ids])
    return Scored(sides[0], sides[1], fused, dict(zip(ids, best, strict=True)))


def _array(packed: TokenVectors | None) -> NDArray[np.int8]:
    if packed is None:
        raise SystemExit("the embedding service gave no token vectors")
    return np.frombuffer(packed.data, np.int8).reshape(packed.tokens, packed.dim)


def judged(sets: RetrievalSet, found: Sequence[Scored]) -> dict[Recipe, tuple[float, float]]:
    """By recipe, the mean of the set's first metric, and the gain over the single sides in standard errors."""
    metric = next(iter(sets.metrics.values()))
    relevant = [sets.relevant[query] for query in sets.queries]
    single = [
        np.array([metric(documents(side(one)), gold) for one, gold in zip(found, relevant, strict=True)])
        for side in (lambda one: one.dense, lambda one: one.sparse)
    ]
    better = max(single, key=lambda values: float(values.mean()))
    made = {}
    for recipe in recipes():
        values = np.array(
            [metric(one.ranking(recipe), gold) for one, gold in zip(found, relevant, strict=True)]
        )
        gain = values - better
        error = float(gain.std(ddof=1)) / len(gain) ** 0.5
        made[recipe] = (float(values.mean()), float(gain.mean()) / error if error else 0.0)
    return made


def chosen(by_set: Mapping[str, Mapping[Recipe, tuple[float, float]]], names: Sequence[str]) -> Recipe:
    return max(recipes(), key=lambda recipe: sum(by_set[name][recipe][1] for name in names))


def row(
    label: str, recipe: Recipe, by_set: Mapping[str, Mapping[Recipe, tuple[float, float]]]
) -> dict[str, str | float]:
    values = {}
    for name, judgements in by_set.items():
        mean, errors = judgements[recipe]
        values |= {name: mean, f"{name} gain / se": errors}
    return {"": label, "recipe": str(recipe), **values}


async def main() -> None:
    sets = [load(evaluation_data()) for load in SETS.values()]
    async with services() as running:
        found = [await scored(each, running) for each in sets]
    by_set = {each.name: judged(each, one) for each, one in zip(sets, found, strict=True)}
    names = list(by_set)
    best = sorted(recipes(), key=lambda recipe: -sum(by_set[name][recipe][1] for name in names))
    rows = [row("not reranked", recipe, by_set) for recipe in recipes() if not recipe.pool]
    rows += [row("best of all", recipe, by_set) for recipe in best[:12]]
    rows += [
        row(f"without {name}", chosen(by_set, [one for one in names if one != name]), by_set)
        for name in names
    ]
    rows += [
        row("as set", Recipe(0.7, pool, weighting, 1.5, 1.0), by_set)
        for pool in POOLS
        for weighting in WEIGHTINGS
    ]
    n = sum(len(each.queries) for each in sets)
    report("retrieval_sweep", f"{len(recipes())} recipes of fusion and reranking", rows, n=n)


if __name__ == "__main__":
    asyncio.run(main())
