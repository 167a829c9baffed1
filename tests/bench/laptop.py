"""A short answer on this machine: Ragline with and without selection, and plain chains of two frameworks.

All arms answer SQuAD 2.0's answerable questions with the same engine, model, store and best four passages, in
turn for each question, and the order of the arms moves on by one with each question. The plain chains search
by `/v1/search`, put the passages and the question in one prompt of their own and stream; they run in the
clients' environment (`make test-clients` makes it), and are left out, in words, where there is none.
`E2EL` and `TTFT` are the client's, in ms; CPU is that of all processes of the stack. Ratios are to the
arm without selection, of means over questions, with Fieller's 95 % interval, questions about one passage
being a cluster.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx
import numpy as np
import psutil

from pipelines.context import freeze
from pipelines.evaluation import datasets
from pipelines.evaluation.bundle.records import Context
from pipelines.evaluation.datasets.items import Item
from pipelines.evaluation.metric import AnswerInContext
from pipelines.evaluation.metrics.correct import correct
from pipelines.evaluation.statistics.comparison import compare
from pipelines.evaluation.statistics.paired import Score, pair
from pipelines.evaluation.statistics.ratio import ratio_interval
from services.core.wire.compare import ArmReply
from tests.bench._report import report
from tests.bench.evaluation_data import evaluation_data
from tests.bench.load import ragline, running

PEERS = Path("build/clients-venv/bin/python")
BASELINE = "ragline, SELECT=off"
MAX_TOKENS = 48
WARM = 3
"""Questions before those that count."""


@dataclass(frozen=True)
class Reply:
    text: str
    ttft: float
    e2el: float
    cpu: float
    prompt_tokens: int


class Ragline:
    """The gateway, asked with `rag.select`."""

    def __init__(self, url: str, model: str, select: str) -> None:
        self._url, self._model, self._select = url, model, select
        self._client = httpx.Client(timeout=300)

    def ask(self, question: str) -> Mapping[str, Any]:
        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": question}],
            "rag": {"select": self._select, "floor": 0},
            "temperature": 0,
            "max_tokens": MAX_TOKENS,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        text, first, tokens = "", 0.0, 0
        start = time.perf_counter()
        with self._client.stream("POST", f"{self._url}/v1/chat/completions", json=body) as reply:
            reply.raise_for_status()
            for line in reply.iter_lines():
                if not line.startswith("data: {"):
                    continue
                chunk = json.loads(line.removeprefix("data: "))
                for choice in chunk["choices"]:
                    if piece := choice["delta"].get("content"):
                        first = first or time.perf_counter()
                        text += piece
                if usage := chunk.get("usage"):
                    tokens = usage["prompt_tokens"]
        end = time.perf_counter()
        return {
            "text": text, "ttft": (first or end) - start, "e2el": end - start, "prompt_tokens": tokens,
        }  # fmt: skip


class Peer:
    """A plain chain in a process of its own, which answers a line with a line."""

    def __init__(self, kind: str, environment: Mapping[str, str], model: str) -> None:
        command = [str(PEERS), "-W", "ignore", str(Path(__file__).with_name("peers.py")), kind, model]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, question: str) -> Mapping[str, Any]:
        _pipe(self._process.stdin).write(json.dumps({"question": question, "max_tokens": MAX_TOKENS}) + "\n")
        _pipe(self._process.stdin).flush()
        reply: Mapping[str, Any] = json.loads(_pipe(self._process.stdout).readline())
        return reply

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        _pipe(self._process.stdin).close()
        self._process.wait(30)


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise RuntimeError("the peer was started without pipes")
    return pipe


def cpu_seconds() -> float:
    """Seconds of this process's children, which are the services and the peers."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            total += sum(process.cpu_times()[:2])
        except psutil.NoSuchProcess:
            continue
    return total


def ask(arm: Ragline | Peer, question: str) -> Reply:
    before = cpu_seconds()
    reply = arm.ask(question)
    return Reply(
        reply["text"],
        reply["ttft"] * 1e3,
        reply["e2el"] * 1e3,
        cpu_seconds() - before,
        reply["prompt_tokens"],
    )


def is_right(item: Item, text: str) -> float:
    frozen = freeze([])
    context = Context(question=item.id, grounds="none", context=frozen)
    reply = ArmReply(
        arm="", model="", prompt="plain", status="answered", context_id=frozen.context_id, content=text
    )
    return correct(AnswerInContext(item=item, context=context, reply=reply))


def collect(arms: Mapping[str, Ragline | Peer], items: Sequence[Item]) -> dict[str, list[Reply]]:
    names = list(arms)
    replies: dict[str, list[Reply]] = {name: [] for name in names}
    for number, item in enumerate(items):
        for place in range(len(names)):
            name = names[(number + place) % len(names)]
            replies[name].append(ask(arms[name], item.question))
        print(f"\r{number + 1} of {len(items)} questions", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return replies


def make_rows(items: Sequence[Item], replies: Mapping[str, Sequence[Reply]]) -> list[dict[str, str | float]]:
    baseline = replies[BASELINE]
    marks = {
        name: [
            Score(item.id, is_right(item, reply.text), item.group)
            for item, reply in zip(items, one, strict=True)
        ]
        for name, one in replies.items()
    }
    rows: list[dict[str, str | float]] = []
    for name, one in replies.items():
        row: dict[str, str | float] = {"arm": name}
        for field in ("ttft", "e2el", "cpu", "prompt_tokens"):
            own = np.array([getattr(reply, field) for reply in one], float)
            row[field] = float(np.median(own))
            if name != BASELINE:
                row[f"{field} ratio"] = _show_ratio(
                    own, np.array([getattr(reply, field) for reply in baseline], float), marks[name]
                )
        row["right"] = sum(score.value for score in marks[name]) / len(items)
        if name != BASELINE:
            found = compare("correct", pair(marks[BASELINE], marks[name]))
            row["difference"] = f"{found.difference:+.3f}" + (
                "" if found.low is None else f" [{found.low:+.3f}, {found.high:+.3f}]"
            )
        rows.append(row)
    return rows


def _show_ratio(own: np.ndarray, base: np.ndarray, scores: Sequence[Score]) -> str:
    numbers = {cluster: number for number, cluster in enumerate(dict.fromkeys(one.cluster for one in scores))}
    cluster = np.array([numbers[one.cluster] for one in scores], np.intp)
    interval = ratio_interval(own, base, cluster, len(numbers))
    value = f"{own.mean() / base.mean():.3f}"
    return value if interval is None else f"{value} [{interval[0]:.3f}, {interval[1]:.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="small")
    parser.add_argument("-n", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ours", action="store_true", help="without the peers")
    given = parser.parse_args()
    loaded = datasets.load_dataset("squad2:answerable", evaluation_data(), n=given.n + WARM, seed=given.seed)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        environment = {**stack.enter_context(running(folder)), "PYTHONPATH": str(Path.cwd())}
        documents = folder / "documents"
        documents.mkdir()
        everything = datasets.load_dataset("squad2:answerable", evaluation_data()).items
        for number, text in enumerate(
            dict.fromkeys(one.text for item in everything for one in item.passages)
        ):
            (documents / f"passage-{number:03d}.txt").write_text(text, "utf-8")
        ragline(environment, "ingest", str(documents))
        url = environment["RAGLINE_URL"]
        arms: dict[str, Ragline | Peer] = {
            BASELINE: Ragline(url, given.model, "off"),
            "ragline, SELECT=sentences": Ragline(url, given.model, "sentences"),
        }
        if PEERS.exists() and not given.ours:
            arms |= {
                f"plain {kind}": stack.enter_context(Peer(kind, environment, given.model))
                for kind in ("langchain", "haystack")
            }
        else:
            print(
                "without LangChain and Haystack: make test-clients makes their environment", file=sys.stderr
            )
        collect(arms, loaded.items[:WARM])
        items = loaded.items[WARM:]
        replies = collect(arms, items)
    kept = Path("build/bench/laptop-replies.json")
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(
        json.dumps(
            {
                name: [
                    {
                        "id": item.id,
                        "answers": item.answers,
                        "text": reply.text,
                        "tokens": reply.prompt_tokens,
                    }
                    for item, reply in zip(items, one, strict=True)
                ]
                for name, one in replies.items()
            }
        )
    )
    report(
        f"laptop-{given.model}",
        f"A short answer by `{given.model}`",
        make_rows(items, replies),
        n=len(items),
        note="medians; ratios of means to the first arm; right: difference with its 95 % interval",
    )


if __name__ == "__main__":
    main()
