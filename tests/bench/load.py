"""How many users each arm serves here: `ragline load` against a stack of its own, about SQuAD 2.0's passages.

The passages of answerable questions are ingested; the users ask those questions. Models, engines and limits
are those of the environment. The report is `build/bench/load.json`, as `ragline load` writes it; copied into
a bundle's folder, it is the goodput figure of `ragline report`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pipelines.evaluation import datasets
from services.cli.local.probe import free_ports
from services.cli.local.stack import Stack
from services.core.settings import HomeSettings, copy_environment
from tests.bench.evaluation_data import evaluation_data

SERVICES = ("embedding", "retrieval", "reranking", "generation", "dataprep", "gateway")
QUESTIONS = 100
START_SECONDS = 900
"""The models may have to be fetched and converted first."""
REPORT = Path("build/bench/load.json")


@contextmanager
def running(folder: Path) -> Iterator[Mapping[str, str]]:
    """Six services with an empty store; what the command line needs in its environment to find them."""
    given = copy_environment()
    environment = {name: value for name, value in given.items() if not name.endswith(("_URL", "_PORT"))}
    environment |= {"VECTOR_URL": f"edge://{folder}/vectors", "JOBS_URL": f"sqlite:{folder}/jobs"}
    with Stack(HomeSettings().root, environment, free_ports(SERVICES), run=folder / "run") as stack:
        for name in SERVICES:
            stack.start(name)
        stack.wait_ready(START_SECONDS)
        yield {**os.environ, "RAGLINE_URL": stack.url("gateway")}


def write(folder: Path, seed: int) -> tuple[Path, Path]:
    """A folder with the passages, a file each, and the questions as a data set."""
    items = datasets.load_dataset("squad2:answerable", evaluation_data(), n=QUESTIONS, seed=seed).items
    documents, questions = folder / "documents", folder / "questions.jsonl"
    documents.mkdir()
    for number, text in enumerate(dict.fromkeys(one.text for item in items for one in item.passages)):
        (documents / f"passage-{number:03d}.txt").write_text(text, "utf-8")
    lines = [json.dumps({"id": item.id, "question": item.question}) for item in items]
    questions.write_text("\n".join(lines) + "\n", "utf-8")
    return documents, questions


def ragline(environment: Mapping[str, str], *arguments: str) -> None:
    command = [str(Path(sys.executable).with_name("ragline")), *arguments]
    subprocess.run(command, env=environment, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arms", default="small,large")
    parser.add_argument("--concurrency", default="1,2,4")
    parser.add_argument("--duration", default="60")
    parser.add_argument("--max-tokens", default="32")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the services must not outlive this
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, running(Path(name)) as environment:
        documents, questions = write(Path(name), arguments.seed)
        ragline(environment, "ingest", str(documents))
        options = ["--arms", arguments.arms, "--concurrency", arguments.concurrency]
        options += ["--duration", arguments.duration, "--max-tokens", arguments.max_tokens]
        options += ["--dataset", str(questions), "--seed", str(arguments.seed), "--out", str(REPORT)]
        ragline(environment, "load", *options, "--force")


if __name__ == "__main__":
    main()
