"""`ragline eval` against real services with the `fake` engine: killed, refused, wrongly called."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from aiohttp import ClientSession, web
from rich.console import Console

from pipelines.evaluation.analysis import compute_results
from pipelines.evaluation.bundle.files import ANSWERS, CONTEXTS, VERDICTS
from pipelines.evaluation.bundle.records import Bundle
from pipelines.evaluation.bundle.store import read_bundle
from pipelines.evaluation.runner import SilentWatcher, judging
from pipelines.evaluation.runner.deciding import Budget
from pipelines.evaluation.runner.gateway import Gateway
from pipelines.evaluation.runner.plan import Options
from pipelines.evaluation.runner.run import Evaluation, run
from services.cli.commands import eval as evaluate
from services.cli.console import Output
from services.cli.local.stack import Stack
from services.core.client import HttpClient
from services.core.clients.generation import GenerationClient
from services.core.errors import InvalidRequest, RaglineError
from tests.command_line import Done, call_ragline
from tests.integration.conftest import READY_SECONDS, SERVICES
from tests.ports import free_ports
from tests.soak import SOAK, rounds

ARMS = "small,large,large+cite@16"
ENTRIES = [
    {"name": "small", "engine": "fake", "model_id": "fake"},
    {"name": "large", "engine": "fake", "model_id": "fake"},
    {"name": "judge", "engine": "fake", "model_id": "other"},
    {"name": "gone", "engine": "vllm", "endpoint": "http://127.0.0.1:9", "model_id": "fake"},
]
KILLS = rounds(2, 5)
QUESTIONS = rounds(8, 12)


@dataclass(frozen=True)
class Fake:
    """A gateway and a generation service whose models are `fake`, and own questions to ask."""

    url: str
    generation: str
    questions: Path

    def requests(self) -> int:
        """How many comparisons the gateway has finished."""
        lines = httpx.get(f"{self.url}/metrics").text.splitlines()
        counts = [line for line in lines if line.startswith("ragline_request_duration_seconds_count{")]
        return sum(round(float(line.rsplit(" ", 1)[1])) for line in counts if '"/v1/compare"' in line)

    def command(self, out: Path) -> Done:
        """`ragline eval` to its end."""
        asked = ["--dataset", str(self.questions), "--arms", ARMS, "--repeats", "2", "--seed", "5"]
        return call_ragline("eval", *asked, "--out", str(out), env={**os.environ, "RAGLINE_URL": self.url})

    @contextmanager
    def killable(self, out: Path, arms: str = ARMS, *judge: str) -> Iterator[subprocess.Popen[str]]:
        """The same runs, by `killable_runs`."""
        command = [sys.executable, "-m", "tests.integration.killable_runs"]
        asked = [self.url, str(self.questions), arms, str(out), *judge]
        root = Path(__file__).parents[2]
        pipe = subprocess.PIPE
        with subprocess.Popen([*command, *asked], cwd=root, stdin=pipe, stdout=pipe, text=True) as parent:
            yield parent
            parent.stdin.close()


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fake]:
    folder = tmp_path_factory.mktemp("evaluation")
    questions = folder / "mine.jsonl"
    lines = [
        {
            "question": f"What is number {number}?",
            "answer": f"word {number}",
            "passages": [f"Number {number} is word {number}.", "Nothing more is known."],
        }
        for number in range(QUESTIONS)
    ]
    questions.write_text("".join(json.dumps(line) + "\n" for line in lines))
    inherited = {name: value for name, value in os.environ.items() if not name.endswith(("_URL", "_PORT"))}
    environment = {**inherited, "LLM_BACKENDS": json.dumps(ENTRIES), "FAKE_TTFT_SECONDS": "0.03"}
    with Stack(folder, environment, free_ports(SERVICES), run=folder / "run") as stack:
        for name in ("generation", "gateway"):
            stack.start(name)
        stack.wait_ready(READY_SECONDS, ["generation"])
        url = stack.url("gateway")
        until(lambda: reached(url))
        yield Fake(url, stack.url("generation"), questions)


def reached(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False


def until(holds, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def timeless(bundle: Bundle) -> Bundle:
    """The same without what a clock said."""
    answers = []
    for answer in bundle.answers:
        reply = answer.reply.model_copy(update={"timings": None})
        answers.append(answer.model_copy(update={"at": 0.0, "reply": reply}))
    manifest = bundle.manifest.model_copy(update={"started": ""})
    return bundle.model_copy(update={"manifest": manifest, "answers": tuple(answers)})


@pytest.mark.soak
async def test_killed_again_and_again_it_ends_as_if_it_had_not_been(fake: Fake, tmp_path: Path) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    asked: dict[str, object] = {"dataset": str(fake.questions), "arms": ARMS, "repeats": 2, "seed": 5}
    await started(fake, undisturbed, asked)
    whole = read_bundle(undisturbed)
    assert len(whole.answers) == QUESTIONS * 3 * 2

    before = fake.requests()
    generator = random.Random(11)
    with fake.killable(killed) as runs:
        for kill in range(KILLS):
            # the first one comes while the contexts are made or soon after; the others at any of the answers
            file = killed / (CONTEXTS if kill == 0 else ANSWERS)
            there = lines(killed / ANSWERS)
            more = generator.randint(1, 5)
            runs.stdin.write("go on\n")
            runs.stdin.flush()
            pid = int(runs.stdout.readline())
            until(lambda file=file, there=there, more=more: lines(file) >= there + more)
            await asyncio.sleep(generator.uniform(0, 0.05))
            os.kill(pid, signal.SIGKILL)
            assert int(runs.stdout.readline()) == -signal.SIGKILL
            assert lines(killed / ANSWERS) < len(whole.answers)
    kept = lines(killed / ANSWERS)
    last = await asyncio.to_thread(fake.command, killed)
    assert last.returncode == 0, last.stderr
    assert f"{kept} answers are in {killed} already" in last.stdout

    resumed = read_bundle(killed)
    assert timeless(resumed) == timeless(whole)
    made = {path.name for path in killed.iterdir()} - {path.name for path in undisturbed.iterdir()}
    assert {"results.json", "report.html"} <= made  # by the command, when all was answered
    assert not any(name.startswith(".") for name in made)
    warm_ups = 3 * (KILLS + 1)
    assert fake.requests() - before <= len(whole.answers) + warm_ups + KILLS  # one in flight at each kill

    finished = fake.requests()
    await started(fake, killed, asked)
    assert fake.requests() == finished
    assert read_bundle(killed) == resumed


@pytest.mark.soak
@pytest.mark.skipif(not SOAK, reason="a run that is killed is in make test: make test-soak")
async def test_a_judge_that_is_killed_goes_on_where_it_was(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The arms differ in their longest answer, or the fake ones would be alike. What the judge says holds no
    verdict: that is counted."""
    monkeypatch.setenv("GENERATION_URL", fake.generation)
    arms = tmp_path / "arms.json"
    arms.write_text(
        '[{"name": "short", "model": "small", "max_tokens": 3}, {"name": "long", "model": "large"}]'
    )
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"

    def planned(out: Path) -> Evaluation:
        wanted = evaluate.Wanted(dataset=str(fake.questions), arms=str(arms), n="", data=None, folder=out)
        return evaluate.plan_evaluation(wanted, Options(seed=5, repeats=2))

    async with (
        HttpClient("gateway", fake.url) as client,
        HttpClient("generation", fake.generation) as engines,
    ):
        judge = judging.JudgeRequest("judge", GenerationClient(engines))
        with pytest.raises(RaglineError, match="the judge 'small' is the model of the arm 'small'"):
            await evaluate.evaluate(planned(undisturbed), client, output(), evaluate.Judging("small"))
        assert list(undisturbed.iterdir()) == []
        whole = await run(planned(undisturbed), Gateway(client), SilentWatcher(), judge)
    assert lines(undisturbed / VERDICTS) == 2 * QUESTIONS * 2

    with fake.killable(killed, str(arms), fake.generation, "judge") as runs:
        for kill in range(2):
            runs.stdin.write("go on\n")
            runs.stdin.flush()
            pid = int(runs.stdout.readline())
            until(lambda kill=kill: lines(killed / VERDICTS) >= 5 + 9 * kill)
            os.kill(pid, signal.SIGKILL)
            assert int(runs.stdout.readline()) == -signal.SIGKILL
    assert lines(killed / VERDICTS) < 2 * QUESTIONS * 2
    async with (
        HttpClient("gateway", fake.url) as client,
        HttpClient("generation", fake.generation) as engines,
    ):
        judge = judging.JudgeRequest("judge", GenerationClient(engines))
        resumed = await run(planned(killed), Gateway(client), SilentWatcher(), judge)
    assert (killed / VERDICTS).read_bytes() == (undisturbed / VERDICTS).read_bytes()
    found = compute_results(resumed).judge
    assert found == compute_results(whole).judge
    assert (found.judge, found.pairs, found.unread.count) == ("judge", QUESTIONS * 2, QUESTIONS * 4)


def test_a_run_that_stops_by_itself_ends_with_its_answer_as_the_exit_code(fake: Fake, tmp_path: Path) -> None:
    """Two arms that answer alike: within nine tenths that is settled after a few questions, within a hundredth
    not."""
    policy = tmp_path / "policy.toml"
    for margin, code, begins in (
        (0.9, 0, "equivalent: large to small"),
        (0.01, 3, "undecided: large against"),
    ):
        policy.write_text(f"[quality]\nmargin = {margin}\n")
        asked = ["--dataset", str(fake.questions), "--arms", "small,large", "--questions", "6"]
        out = ("--out", str(tmp_path / f"run-{margin}"))
        environment = {**os.environ, "RAGLINE_URL": fake.url}
        done = call_ragline("decide", "--policy", str(policy), *asked, *out, env=environment)
        assert done.returncode == code, done.stderr
        assert begins in done.stdout
    assert read_bundle(tmp_path / "run-0.9").manifest.sequential.ended == "settled"
    policy.write_text('[quality]\nmargin = 0.1\nmetric = "e2el"\n')
    wanted = evaluate.Wanted(str(fake.questions), "small,large", "", None, tmp_path / "none", policy)
    with pytest.raises(InvalidRequest, match="give max_ratio"):
        evaluate.plan_evaluation(wanted, Options(), Budget())


def output() -> Output:
    return Output(Console(quiet=True), Console(quiet=True))


async def test_an_arm_that_answers_from_other_passages_is_refused(fake: Fake, tmp_path: Path) -> None:
    """A proxy takes a passage from one arm's requests, as a retrieval of its own would."""

    async def passed_on(request: web.Request) -> web.Response:
        body = await request.read()
        if request.path == "/v1/compare" and b'"model":"large"' in body:
            asked = json.loads(body)
            asked["rag"]["context"] = asked["rag"]["context"][:1]
            body = json.dumps(asked).encode()
        headers = {"content-type": "application/json"}
        async with ClientSession() as session:
            url = fake.url + request.path
            async with session.request(request.method, url, data=body, headers=headers) as reply:
                content = await reply.read()
                return web.Response(body=content, status=reply.status, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", passed_on)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        wanted = evaluate.Wanted(
            dataset=str(fake.questions), arms="small,large", n="3", data=None, folder=tmp_path
        )
        async with HttpClient("gateway", f"http://127.0.0.1:{port}") as client:
            asked = evaluate.plan_evaluation(wanted, Options())
            failed = evaluate.print_summary(
                await run(asked, Gateway(client), SilentWatcher()), asked, output()
            )
    finally:
        await runner.cleanup()
    assert failed == 3
    for answer in read_bundle(tmp_path).answers:
        reply = answer.reply
        if answer.arm == "small":
            assert (reply.status, reply.error) == ("answered", None)
        else:
            assert reply.status == "failed"
            assert reply.error.code == "context_mismatch"
            assert "answered from another context" in reply.error.message
            assert (reply.content, reply.timings) == ("", None)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"arms": "small,huge"},
            "arm huge: no model entry 'huge': the gateway has small, large, judge, gone",
        ),
        ({"arms": "small,gone"}, "arm gone: its entry gone cannot answer: "),
        ({"arms": "small,small"}, "small comes twice"),
        ({"arms": "small@much"}, "thinking budget in tokens"),
        ({"arms": "small+shout"}, "no prompt 'shout'"),
        ({"arms": ","}, "--arms: name at least one"),
        ({"arms": "missing.json"}, "missing.json cannot be read"),
        ({"dataset": ""}, "--dataset: name at least one"),
        ({"dataset": "nothing"}, "no data set 'nothing'"),
        ({"dataset": "logic,logic"}, "logic comes twice"),
        ({"lines": '{"question": "Who?"}\n{"answer": "Ann"}\n'}, "line 2: no question"),
        ({"lines": '{"question": "Who?", "id": "a"}\n{"question": "Me?", "id": "a"}\n'}, "ids are unique"),
        ({"n": str(QUESTIONS + 1)}, f"it has {QUESTIONS}"),
        ({"n": "some"}, "--n some: write a number"),
        ({"n": "squad2=3"}, "no such data set here"),
        ({"concurrency": 0}, "--concurrency 0: it must be at least 1"),
        ({"repeats": 0}, "--repeats 0"),
        ({"there": "thesis.txt"}, "is not empty and is no bundle"),
    ],
)
async def test_what_is_wrong_is_said_before_any_model_is_asked(
    fake: Fake, tmp_path: Path, changes: dict[str, object], says: str
) -> None:
    before = fake.requests()
    source = fake.questions
    if "lines" in changes:
        source = tmp_path / "wrong.jsonl"
        source.write_text(str(changes["lines"]))
    if "there" in changes:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / str(changes["there"])).write_text("")
    with pytest.raises(RaglineError) as refused:
        await started(fake, tmp_path / "out", {"dataset": str(source), "arms": "small,large", **changes})
    assert says in refused.value.message
    assert fake.requests() == before


async def started(fake: Fake, out: Path, asked: dict[str, object]) -> Bundle:
    options = {name: asked[name] for name in ("seed", "repeats", "concurrency") if name in asked}
    wanted = evaluate.Wanted(
        dataset=str(asked["dataset"]),
        arms=str(asked["arms"]),
        n=str(asked.get("n", "")),
        data=None,
        folder=out,
    )
    async with HttpClient("gateway", fake.url) as client:
        return await run(
            evaluate.plan_evaluation(wanted, Options(**options)), Gateway(client), SilentWatcher()
        )


async def test_another_run_is_not_mixed_in(fake: Fake, tmp_path: Path) -> None:
    asked: dict[str, object] = {"dataset": str(fake.questions), "arms": "small", "n": "1"}
    await started(fake, tmp_path, asked)
    before = fake.requests()
    for change, says in [
        ({"arms": "small,large"}, "its arms are small (model=small prompt=plain), not small (model=small"),
        ({"seed": 8}, "seed is 0, not 8"),
        ({"repeats": 3}, "repeats is 1, not 3"),
        ({"concurrency": 2}, "concurrency is 1, not 2"),
        ({"n": "2"}, "mine has 1 questions in it, not 2"),
        ({"dataset": "logic"}, "data set mine is in it; data set logic is not in it"),
    ]:
        with pytest.raises(RaglineError) as refused:
            await started(fake, tmp_path, {**asked, **change})
        assert says in refused.value.message
    manifest = tmp_path / "manifest.json"
    written = manifest.read_text()
    for old, new, says in [
        ('"version": "0.1.0"', '"version": "0.0.9"', "it is of Ragline 0.0.9, this is 0.1.0"),
        ('"format": 1', '"format": 2', "a bundle of format 2, written by Ragline 0.1.0"),
    ]:
        assert old in written
        manifest.write_text(written.replace(old, new))
        with pytest.raises(RaglineError) as refused:
            await started(fake, tmp_path, asked)
        assert says in refused.value.message
    assert fake.requests() == before


async def test_several_at_once_are_all_asked_once(fake: Fake, tmp_path: Path) -> None:
    before = fake.requests()
    asked: dict[str, object] = {"dataset": str(fake.questions), "arms": ARMS, "concurrency": 4}
    bundle = await started(fake, tmp_path, asked)
    assert len(bundle.answers) == len({answer.key for answer in bundle.answers}) == QUESTIONS * 3
    assert fake.requests() - before == QUESTIONS * 3 + 3
    assert (bundle.manifest.conditions.serial, bundle.manifest.conditions.concurrency) == (False, 4)
