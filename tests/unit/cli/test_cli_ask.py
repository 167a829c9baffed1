"""`ragline ask` as a process against a stand-in gateway on loopback."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from services.cli.answers import draw_waterfall, format_sources
from services.core.wire.answer import FileCitation, Timings
from services.core.wire.passages import Passage
from tests.command_line import Done, call_ragline
from tests.run_guard import bare_environment

PASSAGE = {
    "id": "p1",
    "document_id": "d1",
    "title": "handbook.md",
    "section": "Leave",
    "text": "Staff have 30 days of leave. They roll over.",
    "page": 3,
    "start": 100,
    "end": 145,
    "score": 0.8125,
}
CITATION = {
    "type": "file_citation",
    "index": 20,
    "marker": 1,
    "file_id": "d1",
    "filename": "handbook.md",
    "passage_id": "p1",
    "page": 3,
    "start": 100,
    "end": 128,
    "quote": "Staff have 30 days of leave.",
    "score": 0.8125,
    "support": 1.0,
    "method": "model",
}
TIMINGS = {
    "embedding": 5.0,
    "retrieval": 10.0,
    "reranking": 5.0,
    "ttft": 100.0,
    "ttfo": 300.0,
    "think": 200.0,
    "e2el": 1000.0,
}


def chunk(delta: dict[str, object] | None, finish: str | None = None, **extra: object) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "small", "choices": choices}
    return b"data: " + json.dumps(body | extra).encode() + b"\n\n"


FIRST = chunk({"role": "assistant", "content": ""}, context={"context_id": "abc", "passages": [PASSAGE]})
ANSWER = [
    chunk({"reasoning_content": "Let me look."}),
    chunk({"content": "Thirty "}),
    chunk({"content": "days [1]."}),
]
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def last(finish: str = "stop", **extra: object) -> bytes:
    ending = {"timings": TIMINGS, "degraded": [], "outcome": "answered", "usage": USAGE} | extra
    return chunk({"citations": [CITATION]}, finish, **ending)


DONE = b"data: [DONE]\n\n"
ERROR = (
    b'event: error\ndata: {"error": {"type": "server_error", "code": "bad_gateway", "message": '
    b'"the engine died: restart it", "service": "generation", "request_id": "r1"}}\n\n'
)


class Gateway:
    """Answers every request with `events`, or with `status` and an error body; before that, once with a
    503 for each message of `loading`, with its Retry-After."""

    def __init__(self) -> None:
        self.events: list[bytes] = []
        self.status = 200
        self.pause = 0.0
        self.hang = threading.Event()
        self.hang.set()
        self.broke = 0.0
        self.loading: list[tuple[str, str]] = []
        self.requests: list[tuple[str, dict[str, Any], str | None]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                return

            def refuse(self, message: str, retry_after: str) -> None:
                error = {"type": "server_error", "code": "service_unavailable", "message": message}
                self.send_response(503)
                if retry_after:
                    self.send_header("retry-after", retry_after)
                self.send_header("connection", "close")
                self.end_headers()
                self.wfile.write(json.dumps({"error": error}).encode())

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if not outer.events:
                    outer.hang.wait(30)
                outer.requests.append((self.path, body, self.headers.get("authorization")))
                if outer.loading:
                    self.refuse(*outer.loading.pop(0))
                    return
                self.send_response(outer.status)
                self.send_header("connection", "close")
                self.end_headers()
                with suppress(OSError):  # whoever asked has hung up
                    for event in outer.events:
                        self.wfile.write(event)
                        self.wfile.flush()
                        time.sleep(outer.pause)
                outer.hang.wait(30)
                outer.broke = time.monotonic()

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self.hang.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    server = Gateway()
    yield server
    server.close()


Ragline = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def ragline(gateway: Gateway, tmp_path: Path) -> Ragline:
    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**bare_environment(), "RAGLINE_URL": gateway.url, "RAGLINE_HOME": str(tmp_path)}
        return subprocess.run(
            [sys.executable, "-c", "from services.cli.main import main; main()", *arguments],
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return run


Ask = Callable[..., Done]


@pytest.fixture
def ask(gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """`ragline ask` in this process."""
    monkeypatch.setattr("services.cli.commands.ask.LAST_SECONDS", 0.3)
    environment = {**bare_environment(), "RAGLINE_URL": gateway.url, "RAGLINE_HOME": str(tmp_path)}

    def run(*arguments: str, **variables: str) -> Done:
        return call_ragline("ask", *arguments, env=environment | variables)

    return run


def test_answer_sources_and_latency_are_plain_lines_in_a_pipe(gateway: Gateway, ragline: Ragline) -> None:
    gateway.events = [FIRST, *ANSWER, last(), DONE]
    done = ragline("ask", "How much leave?", "--model", "small", "--top-k", "9", "--top-n", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert "Reasoning\nLet me look.\n" in done.stdout
    assert "Answer\nThirty days [1].\n" in done.stdout
    assert "[1] handbook.md > Leave, page 3, characters 100-145, score 0.812" in done.stdout
    assert '100-128: "Staff have 30 days of leave."' in done.stdout
    assert "first token" in done.stdout
    path, body, authorization = gateway.requests[0]
    assert path == "/v1/chat/completions"
    assert body["messages"] == [{"role": "user", "content": "How much leave?"}]
    assert (body["model"], body["stream"]) == ("small", True)
    assert body["rag"] == {"collection": "default", "top_k": 9, "top_n": 2}
    assert authorization is None


def test_an_api_key_is_sent_as_a_bearer_token(gateway: Gateway, ask: Ask) -> None:
    gateway.events = [FIRST, *ANSWER, last(), DONE]
    assert ask("x", RAGLINE_API_KEY="secret").returncode == 0
    assert gateway.requests[0][2] == "Bearer secret"


def test_a_file_has_the_key_by_an_option_or_by_a_variable(gateway: Gateway, tmp_path: Path) -> None:
    chosen, other = tmp_path / "chosen", tmp_path / "other"
    chosen.write_text("rl_chosen\n")
    other.write_text("rl_other\n")
    environment = {**bare_environment(), "RAGLINE_URL": gateway.url, "RAGLINE_HOME": str(tmp_path)}
    option = ("--api-key-file", str(chosen))
    for arguments, variables, sent in (
        ((), {"RAGLINE_API_KEY_FILE": str(other)}, "rl_other"),
        (option, {"RAGLINE_API_KEY_FILE": str(other)}, "rl_chosen"),
        (option, {"RAGLINE_API_KEY": "rl_variable"}, "rl_chosen"),
        ((), {"RAGLINE_API_KEY": "rl_variable"}, "rl_variable"),
    ):
        gateway.events = [FIRST, *ANSWER, last(), DONE]
        done = call_ragline(*arguments, "ask", "x", env=environment | variables)
        assert done.returncode == 0, done.stderr
        assert gateway.requests[-1][2] == f"Bearer {sent}"
    chosen.write_text("two keys")
    for path in (tmp_path / "nowhere", chosen, tmp_path):
        done = call_ragline("--api-key-file", str(path), "ask", "x", env=environment)
        assert done.returncode == 1
        assert f"--api-key-file {path}: " in done.stderr
        assert "two keys" not in done.stderr


def test_an_error_event_names_the_service_and_exits_1_at_once(gateway: Gateway, ragline: Ragline) -> None:
    gateway.events = [FIRST, *ANSWER[:2], ERROR]
    done = ragline("ask", "x")
    ended = time.monotonic()
    assert done.returncode == 1
    assert done.stderr == "error: generation: the engine died: restart it\n"
    assert "Thirty" in done.stdout
    assert "Sources" not in done.stdout
    assert ended - gateway.broke < 2


@pytest.mark.parametrize(
    "events", [[FIRST, *ANSWER], [FIRST, ANSWER[1][:-9]]], ids=["no end", "half an event"]
)
def test_a_stream_that_breaks_off_is_an_error(gateway: Gateway, ask: Ask, events: list[bytes]) -> None:
    gateway.events = events
    done = ask("x")
    assert done.returncode == 1
    assert "gateway" in done.stderr


def test_an_error_status_names_the_service(gateway: Gateway, ask: Ask) -> None:
    gateway.status = 503
    gateway.events = [
        ERROR.split(b"data: ")[1]
        .replace(b"generation", b"retrieval")
        .replace(b"bad_gateway", b"service_unavailable")
    ]
    for option in ([], ["--json"]):
        done = ask("x", *option)
        assert done.returncode == 1
        assert done.stderr == "error: retrieval: the engine died: restart it\n"


def test_a_gateway_that_is_down_says_how_to_start_it(gateway: Gateway, ask: Ask) -> None:
    gateway.close()
    done = ask("x")
    assert done.returncode == 1
    assert f"gateway is down: no answer at {gateway.url}" in done.stderr
    assert "ragline up" in done.stderr
    gateway._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    gateway._thread = threading.Thread(target=gateway._server.serve_forever)
    gateway._thread.start()


def test_degraded_abstained_and_cut_answers_say_so(gateway: Gateway, ask: Ask) -> None:
    gateway.events = [FIRST, *ANSWER, last("length", degraded=["reranking"], outcome="abstained"), DONE]
    done = ask("x")
    assert "answered without reranking" in done.stdout
    assert "not an answer" in done.stdout
    assert "was cut: the token limit" in done.stdout


@pytest.mark.parametrize("option", [[], ["--json"]], ids=["stream", "json"])
def test_a_model_that_is_being_fetched_is_waited_for_and_said(
    gateway: Gateway, ask: Ask, option: list[str]
) -> None:
    gateway.loading = [("model large: fetching: 3 %", "0"), ("model large: fetching: 3 %", "0")]
    gateway.loading += [("model large: converting (once) ...", "1")]
    gateway.events = [b'{"id": "x"}'] if option else [FIRST, *ANSWER, last(), DONE]
    done = ask("x", "--model", "large", *option)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        "waiting: model large: fetching: 3 %",
        "waiting: model large: converting (once) ...",
    ]
    assert len(gateway.requests) == 4


def test_a_service_that_says_no_time_is_not_waited_for(gateway: Gateway, ask: Ask) -> None:
    gateway.loading = [("generation is down", "")]
    done = ask("x")
    assert done.returncode == 1
    assert "generation is down" in done.stderr
    assert len(gateway.requests) == 1


def test_who_answered_instead_is_said(gateway: Gateway, ask: Ask) -> None:
    gateway.events = [FIRST, *ANSWER, last(degraded=["reranking", "generation:large"]), DONE]
    done = ask("x")
    assert "Degraded: answered without reranking." in done.stdout
    assert "Degraded: small answered, because large could not." in done.stdout


def test_json_prints_the_gateways_reply(gateway: Gateway, ask: Ask) -> None:
    gateway.events = [b'{"choices": [{"message": {"content": "30"}}]}']
    done = ask("x", "--json")
    assert json.loads(done.stdout)["choices"][0]["message"]["content"] == "30"
    assert gateway.requests[0][1]["stream"] is False


def test_an_answer_cannot_steer_the_terminal(gateway: Gateway, ask: Ask) -> None:
    gateway.events = [
        FIRST,
        chunk({"content": "\x1b]0;owned\x07\x1b[2J\x9b2J\u202ered [bold]not markup[/bold]"}),
        last(),
        DONE,
    ]
    done = ask("x")
    assert "\x1b" not in done.stdout
    assert not set(done.stdout) & set("\x07\x9b\u202e")
    assert "[bold]not markup[/bold]" in done.stdout


@pytest.mark.parametrize(
    ("finish", "extra", "events", "said", "code"),
    [
        ("stop", {"outcome": "abstained"}, ANSWER, "so this is not an answer", 0),
        ("stop", {"outcome": "abstained"}, [], "so this is not an answer", 0),
        (
            "length",
            {"outcome": "reasoning_truncated"},
            ANSWER[:1],
            "No answer: the thinking ran into its limit",
            1,
        ),
        ("length", {}, ANSWER, "The answer was cut: the token limit was reached.", 0),
        ("length", {}, [], "No answer: the token limit was reached.", 1),
        ("content_filter", {}, ANSWER, "The answer was cut: the model's server withheld it.", 0),
        ("content_filter", {}, [], "No answer: the model's server withheld it.", 1),
        ("tool_calls", {}, [], "No answer: the model calls a tool", 1),
        ("stop", {}, [], "No answer: the model wrote nothing.", 1),
        ("stop", {}, [chunk({"content": " \n"})], "No answer: the model wrote nothing.", 1),
        ("stop", {}, ANSWER[:1], "No answer: the model wrote nothing.", 1),
    ],
)
def test_how_an_answer_ended_is_said_and_no_answer_is_a_failure(
    gateway: Gateway,
    ask: Ask,
    finish: str,
    extra: dict[str, object],
    events: list[bytes],
    said: str,
    code: int,
) -> None:
    gateway.events = [FIRST, *events, last(finish, **extra), DONE]
    done = ask("x")
    assert said in done.stdout
    assert (done.returncode, done.stderr) == (code, "")
    assert (
        done.stdout.count("No answer") + done.stdout.count("not an answer") + done.stdout.count("was cut")
        == 1
    )


def test_thinking_that_was_shown_as_the_answer_is_said_and_the_answer_shown(
    gateway: Gateway, ask: Ask
) -> None:
    events = [chunk({"content": "Wings, I guess.\n"}), chunk({"content": "Thirty days [1]."})]
    misplaced = {"misplaced": 16, "answer_finish_reason": "stop", "outcome": "reasoning_misplaced"}
    gateway.events = [FIRST, *events, last("length", **misplaced), DONE]
    done = ask("x")
    shown, said, answer = done.stdout.partition("begins with the model's thinking")
    assert ("Wings" in shown, bool(said), "Wings" in answer, "Thirty days [1]." in answer) == (
        True,
        True,
        False,
        True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "was cut" not in done.stdout


@pytest.mark.parametrize(
    ("relevance", "passages", "said"),
    [
        (
            {"rule": "floor", "language": "en"},
            [PASSAGE],
            "kept by their similarity to the question (question in en).",
        ),
        ({"rule": "floor"}, [], "Why: no passage is similar enough to the question."),
        ({"rule": "words"}, [], "Why: no passage shares enough"),
        ({"rule": "model"}, [PASSAGE], "the model had to judge them"),
        ({"rule": "floor", "identifiers": ["E-4711"]}, [PASSAGE], "because they hold it: E-4711."),
        ({"rule": "floor", "identifiers": ["E-4711"], "missing": ["E-4711"]}, [], "In no passage: E-4711."),
    ],
)
def test_why_passages_were_kept_or_none_is_said(
    gateway: Gateway, ask: Ask, relevance: dict[str, object], passages: list[object], said: str
) -> None:
    context = {"context_id": "abc", "passages": passages, "relevance": relevance}
    gateway.events = [chunk({"role": "assistant", "content": ""}, context=context), *ANSWER, last(), DONE]
    assert said in ask("x").stdout


def test_a_text_that_was_held_back_is_said(gateway: Gateway, ask: Ask) -> None:
    gateway.events = [FIRST, *ANSWER, last(timings=TIMINGS | {"held_back": 640.0}), DONE]
    assert "held back" in ask("x").stdout


def test_token_counts_say_what_they_are(gateway: Gateway, ask: Ask) -> None:
    unknown = USAGE | {"completion_tokens_details": {"reasoning_tokens": None}}
    gateway.events = [FIRST, *ANSWER, last(usage=None), chunk(None, usage=unknown), DONE]
    assert "tokens      10 in, 5 out, thinking not counted\n" in ask("x").stdout
    gateway.events = [FIRST, *ANSWER, last(usage=USAGE | {"estimated": True}), DONE]
    assert "tokens      10 in, 5 out (estimated: the engine counts nothing)\n" in ask("x").stdout
    gateway.events = [FIRST, *ANSWER, last(), DONE]
    assert "tokens      10 in, 5 out\n" in ask("x").stdout


def test_a_stream_without_an_end_is_no_answer_although_it_is_done(gateway: Gateway, ask: Ask) -> None:
    gateway.events = [FIRST, *ANSWER, DONE]
    done = ask("x")
    assert done.returncode == 1
    assert "the answer broke off before its end" in done.stderr


@pytest.mark.parametrize(
    "ending", [b"", b'data: {"cho', ERROR, "hang"], ids=["closed", "half", "error", "hang"]
)
def test_an_answer_that_is_complete_is_kept_whatever_follows(
    gateway: Gateway, ask: Ask, ending: bytes | str
) -> None:
    gateway.events = [FIRST, *ANSWER, last(), *([ending] if isinstance(ending, bytes) else [])]
    if ending == "hang":
        gateway.hang.clear()
    done = ask("x")
    assert (done.returncode, done.stderr) == (0, "")
    assert "first token" in done.stdout


@pytest.mark.parametrize("option", [[], ["--json"]], ids=["stream", "json"])
@pytest.mark.parametrize("kind", ["silent", "begun", "dripping", "loading"])
def test_no_question_takes_longer_than_its_limit(
    gateway: Gateway, ask: Ask, kind: str, option: list[str]
) -> None:
    if kind == "loading":
        gateway.loading = [("model large: fetching", "0")] * 1000
    elif kind == "dripping":
        gateway.events = [FIRST, *(chunk({"content": "drip "}) for _ in range(100))]
        gateway.pause = 0.1
    else:
        gateway.events = [FIRST] if kind == "begun" else []
        gateway.hang.clear()
    begun = time.monotonic()
    done = ask("x", "--timeout", "1", *option)
    assert time.monotonic() - begun < 8
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "ragline up" not in done.stderr


def test_a_gateway_that_is_busy_is_not_called_down(gateway: Gateway, ask: Ask) -> None:
    gateway.status = 429
    gateway.events = [
        ERROR.split(b"data: ")[1].replace(b"generation", b"gateway").replace(b"bad_gateway", b"rate_limited")
    ]
    done = ask("x")
    assert done.returncode == 1
    assert "down" not in done.stderr
    assert "ragline up" not in done.stderr


@pytest.mark.parametrize("body", [b"<html>It works!</html>", b"", b'{"choices": ['])
def test_a_reply_that_is_no_json_is_an_error_in_one_line(gateway: Gateway, ask: Ask, body: bytes) -> None:
    gateway.events = [body or b" "]
    for option in ([], ["--json"]):
        done = ask("x", *option)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert done.stderr.startswith("error: gateway")


def test_json_holds_control_characters_as_escapes(gateway: Gateway, ask: Ask) -> None:
    content = "\x1b[2J\x9b2J\u202eevil\ttab\nline"
    gateway.events = [json.dumps({"content": content}, ensure_ascii=False).encode()]
    done = ask("x", "--json")
    assert json.loads(done.stdout) == {"content": content}
    assert not set(done.stdout) & set("\x1b\x9b\u202e")


def test_what_the_terminal_cannot_show_is_no_crash(gateway: Gateway, ragline: Ragline) -> None:
    gateway.events = [FIRST, chunk({"content": "Straße €"}), last(), DONE]
    done = ragline("ask", "x", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Stra?e ?" in done.stdout


def test_sources_are_numbered_and_say_which_are_cited() -> None:
    other = Passage(id="p2", document_id="d2", text="x", start=0, end=1)
    lines = format_sources(
        [Passage.model_validate(PASSAGE), other], [FileCitation.model_validate(CITATION)] * 2
    )
    assert lines == [
        "[1] handbook.md > Leave, page 3, characters 100-145, score 0.812",
        '      100-128: "Staff have 30 days of leave."',
        "[2] d2, characters 0-1, not cited",
    ]


def test_waterfall_bars_follow_one_another_and_fill_the_time() -> None:
    lines = draw_waterfall(Timings.model_validate(TIMINGS))
    bars = [line.split("|")[1] for line in lines[:-1]]
    assert [line.split()[0] for line in lines] == [
        "embedding",
        "retrieval",
        "reranking",
        "first",
        "thinking",
        "answer",
        "total",
    ]
    assert {len(bar) for bar in bars} == {40}
    assert bars[-1] == " " * 12 + "=" * 28, "the answer took the last 700 of 1,000 ms"
    assert bars[4] == " " * 4 + "=" * 8 + " " * 28, "thinking from 100 to 300 ms"
    assert "1,000.0 ms" in lines[-1]


def test_waterfall_of_an_answer_without_a_model_call() -> None:
    lines = draw_waterfall(Timings(embedding=5, retrieval=5, e2el=10))
    assert [line.split()[0] for line in lines] == ["embedding", "retrieval", "total"]
