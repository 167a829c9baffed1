"""Runs of an evaluation, each in a process that a test may kill; forked, because starting one takes seconds.

    python -m tests.integration.killable_runs URL DATASET ARMS FOLDER [GENERATION JUDGE]

For every line on standard input a run begins in FOLDER, or goes on: its pid is printed, and how it ended.
"""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from pathlib import Path

from pipelines.evaluation.runner import SilentWatcher, plan
from pipelines.evaluation.runner.gateway import Gateway
from pipelines.evaluation.runner.judging import JudgeRequest
from pipelines.evaluation.runner.run import Evaluation, run
from services.core.client import HttpClient
from services.core.clients.generation import GenerationClient


async def once(url: str, evaluation: Evaluation, generation: str = "", judge: str = "") -> None:
    async with HttpClient("gateway", url) as client, HttpClient("generation", generation or url) as engines:
        wanted = JudgeRequest(judge, GenerationClient(engines)) if judge else None
        await run(evaluation, Gateway(client), SilentWatcher(), wanted)


def main() -> None:
    url, dataset, arms, folder, *judging = sys.argv[1:]
    options = plan.Options(seed=5, repeats=2)
    sets = plan.choose_datasets([dataset], "", None, options.seed)
    evaluation = Evaluation(sets, plan.parse_arms(arms), options, Path(folder))
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                asyncio.run(once(url, evaluation, *judging))
                status = 0
            except BaseException:  # noqa: BLE001 - a fork must not go on as its parent
                traceback.print_exc()
            os._exit(status)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
