"""What a model entry is worth as a judge, on pairs whose better answer is known.

Of each question of SQuAD 2.0 that its passage answers, one answer is a reference and the other one a reference of
another question, whose words the passage does not hold. A judge that can be used takes the former nearly
always, in both orders. Which of the two is `one` is drawn with the seed. Pairs are kept in
`build/bench/judge-<entry>-<seed>.jsonl` as they are judged, and a run goes on from there.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
from dataclasses import replace
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

from _report import report  # noqa: E402 - a neighbour, not a package

from pipelines.evaluation.datasets import load_dataset  # noqa: E402 - run as a script
from pipelines.evaluation.judge import Pair, judge_quality, label_agreement, open_judge  # noqa: E402
from pipelines.evaluation.statistics.agreement import CountedShare, Winner  # noqa: E402
from services.core.client import HttpClient  # noqa: E402
from services.core.clients.generation import GenerationClient  # noqa: E402
from services.core.wire.sampling import Sampling  # noqa: E402

SAMPLING = Sampling(temperature=0.0, seed=0, max_tokens=32)
"""A verdict is one line; who has not said it in 32 tokens has not followed the instruction."""
DATA = Path(os.environ.get("RAGLINE_EVALUATION_DATA", Path(__file__).parents[3] / "shared" / "data"))


async def judged(url: str, name: str, n: int, seed: int) -> tuple[list[Pair], list[Winner]]:
    items = load_dataset("squad2:answerable", path=DATA, n=n, seed=seed).items
    rng = random.Random(seed)
    kept = Path("build/bench") / f"judge-{name}-{seed}.jsonl"
    kept.parent.mkdir(parents=True, exist_ok=True)
    before = (
        [Pair.model_validate_json(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    )
    pairs: list[Pair] = []
    labels: list[Winner] = []
    async with HttpClient("generation", url) as http:
        judge = replace(await open_judge(GenerationClient(http), name, []), sampling=SAMPLING)
        for number, item in enumerate(items, 1):
            text = " ".join(passage.text for passage in item.passages).lower()
            others = [each.answers[0] for each in items if each.answers[0].lower() not in text]
            right, wrong = ("right", f"{item.answers[0]}."), ("wrong", f"{rng.choice(others)}.")
            label: Winner = rng.choice(["one", "other"])
            one, other = (right, wrong) if label == "one" else (wrong, right)
            labels.append(label)
            if number <= len(before):
                pairs.append(before[number - 1])
                continue
            pairs.append(await judge.judge(item.question, item.passages, one, other))
            with kept.open("a") as file:
                file.write(pairs[-1].model_dump_json() + "\n")
            print(f"\r{number} of {n} pairs", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return pairs, labels


def shown(rate: CountedShare) -> str:
    if rate.interval is None:
        return "-"
    low, high = rate.interval
    return f"{rate.count} of {rate.n} [{low:.0%}, {high:.0%}]"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", default=os.environ.get("GENERATION_URL", "http://127.0.0.1:9000"))
    parser.add_argument("--judge", required=True, help="the model entry")
    parser.add_argument("-n", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    pairs, labels = asyncio.run(judged(given.url, given.judge, given.n, given.seed))
    found = judge_quality(pairs)
    right, kappa = label_agreement(pairs, labels)
    print(f"a reply: {pairs[0].forward!r}", file=sys.stderr)
    report(
        f"judge-{given.judge}",
        "A judge on pairs of a right and a wrong answer",
        [
            {
                "judge": given.judge,
                "pairs": found.pairs,
                "unparsable replies": shown(found.unparsable),
                "flips": shown(found.flips),
                "for the one shown first": shown(found.first_shown),
                "kappa between orders": "-" if found.kappa is None else f"{found.kappa:.2f}",
                "right in both orders": shown(right),
                "kappa with the truth": "-" if kappa is None else f"{kappa:.2f}",
            }
        ],
        n=given.n,
        note="SQuAD 2.0, answerable questions; Wilson's 95 % intervals; a pair that flips counts as a tie.",
    )


if __name__ == "__main__":
    main()
