"""What each way of ranking finds on public sets, with the difference to the better of dense and sparse.

The services run as processes of their own, with their default settings; a document ranks by its best
passage. Intervals are 95 % paired bootstraps over queries.
"""

from __future__ import annotations

import asyncio
import time

from tests.bench._report import report
from tests.bench.evaluation_data import evaluation_data
from tests.bench.paired_bootstrap import paired_difference
from tests.bench.retrieval_services import Services, services
from tests.bench.retrieval_sets import SETS, RetrievalSet

SINGLE = ("dense", "sparse")
Row = dict[str, str | float]


async def measure(sets: RetrievalSet, running: Services) -> list[Row]:
    passages = await running.fill(sets.name, sets)
    start = time.perf_counter()
    found = [await running.rankings(sets.name, query) for query in sets.queries.values()]
    took = (time.perf_counter() - start) / len(found) * 1e3
    print(
        f"{sets.name}: {len(sets.documents)} documents, {passages} passages, {len(found)} queries, {took:.0f} ms each"
    )
    return [row for metric in sets.metrics for row in rows(sets, metric, found)]


def rows(sets: RetrievalSet, metric: str, found: list[dict[str, list[str]]]) -> list[Row]:
    """One per way of ranking; the difference is to the better of the single ones."""
    measured = sets.metrics[metric]
    values = {
        name: [
            measured(one[name], sets.relevant[query]) for query, one in zip(sets.queries, found, strict=True)
        ]
        for name in found[0]
    }
    better = max(SINGLE, key=lambda name: sum(values[name]))
    made: list[Row] = []
    for name, each in values.items():
        row: Row = {"set": sets.name, "metric": metric, "ranking": name, "mean": sum(each) / len(each)}
        if name not in SINGLE:
            difference = paired_difference(each, values[better])
            row |= {"against": better, "difference": difference.mean}
            row |= {"95 % from": difference.low, "to": difference.high}
        made.append(row)
    return made


async def main() -> None:
    data = evaluation_data()
    sets = [load(data) for load in SETS.values()]
    async with services() as running:
        made = [row for each in sets for row in await measure(each, running)]
    queries = ", ".join(f"{len(each.queries)} {each.name}" for each in sets)
    note = f"top_k = {running.pool} passages are reranked; queries: {queries}"
    report("retrieval", "Ranking by public sets", made, n=sum(len(each.queries) for each in sets), note=note)


if __name__ == "__main__":
    asyncio.run(main())
