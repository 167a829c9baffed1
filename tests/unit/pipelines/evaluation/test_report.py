"""The report of a run: complete, the same every time, and nothing that a model says becomes markup."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from io import StringIO
from itertools import pairwise
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from pipelines.evaluation.bundle.integrity import fingerprint
from pipelines.evaluation.bundle.recorded import read_results
from pipelines.evaluation.bundle.store import read_bundle
from pipelines.evaluation.report.building import BINS, build_report, thinking_bins
from pipelines.evaluation.report.disagreements import cut_pieces, find_disagreements
from pipelines.evaluation.report.document import Disagreement
from pipelines.evaluation.report.scorecard import make_cards
from pipelines.evaluation.report.seal import make_seal
from pipelines.evaluation.report.writing import escape_markdown, find_report_changes, write_report
from pipelines.evaluation.runner.plan import Options
from pipelines.evaluation.runner.run import Evaluation
from services.cli.commands import eval as evaluate
from services.cli.console import Output
from services.cli.main import app
from services.core.errors import InvalidRequest, NotFound
from tests.evaluation_run import ARMS, HOSTILE, write_run

VOID = {"meta", "link", "input", "br", "img", "hr"}


class Page(HTMLParser):
    """Every element with its attributes, and the page's text; fails where elements are not nested."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.raw: dict[str, str] = {}
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in {"script", "style"}:
            self.raw[self.open[-1]] = data
        else:
            self.texts.append(data)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)

    def values(self, attribute: str) -> list[str]:
        return [attributes[attribute] for _, attributes in self.elements if attribute in attributes]


def _texts(case: Disagreement) -> list[str]:
    said = [piece for answer in case.answers for piece in (*answer.pieces, *answer.reasoning)]
    return [piece.text for piece in (*said, *(piece for each in case.passages for piece in each.pieces))]


@pytest.fixture(scope="module")
def page(reported: Path) -> Page:
    return Page((reported / "report.html").read_text())


@pytest.fixture(scope="module")
def markdown(reported: Path) -> str:
    return (reported / "report.md").read_text()


def test_the_command_writes_the_same_bytes_again_and_names_the_files(reported: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(reported, tmp_path / "copy", ignore=shutil.ignore_patterns("report.*"))
    done = CliRunner().invoke(app, ["report", str(copy)], env={"COLUMNS": "300"})
    assert done.exit_code == 0, done.output
    names = [f"report.{suffix}" for suffix in ("html", "md", "json")]
    verdicts = [swap.sentence for swap in read_results(copy).swaps]
    assert len(verdicts) == len(ARMS) - 1
    assert done.output.splitlines() == [*verdicts, *(str(copy / name) for name in names)]
    for name in names:
        assert (copy / name).read_bytes() == (reported / name).read_bytes()


def test_all_of_it_is_there_in_order(page: Page, markdown: str) -> None:
    ids = [each for each in page.values("id") if "-" not in each]
    wanted = ["verdict", "warnings", "scorecard", "forest", "frontier", "coverage", "waterfall", "ecdf", "thinking", "outcomes",
              "goodput", "disagreements", "manifest", "limits"]  # fmt: skip
    assert [each for each in ids if each in wanted] == wanted
    titles = re.findall(r"^## (.*)$", markdown, re.MULTILINE)
    assert titles[:3] == [
        "Before you read on",
        "Scorecard",
        "Right answers: difference to small, by type of question",
    ]
    assert titles[-3:] == ["Where the arms disagree", "How it was made", "What this report does not show"]


def test_what_a_model_says_is_text(page: Page, reported: Path) -> None:
    assert (page.count("script"), page.count("style"), page.count("img")) == (1, 1, 0)
    shown = [
        piece
        for each in find_disagreements(read_bundle(reported), read_results(reported))[1]
        for piece in _texts(each)
    ]
    assert sum(HOSTILE in text for text in page.texts) >= sum(HOSTILE in text for text in shown) >= 3
    assert [name for _, attributes in page.elements for name in attributes if name.startswith("on")] == []


def test_what_a_model_says_has_its_own_direction(page: Page) -> None:
    """Text from right to left, or with marks that turn the direction, turns nothing around it."""
    said = [
        held
        for tag, held in page.elements
        if tag in {"p", "span"} and held.get("class") in {"said", "question", "full"}
    ]
    assert said
    assert {held.get("dir") for held in said} == {"auto"}
    assert page.count("bdi") > len(ARMS)


def test_only_all_questions_together_mark_better_and_worse(reported: Path) -> None:
    cards = make_cards(build_report(read_bundle(reported), read_results(reported), None))
    marks = [
        {line.verdict for group in card.groups for measure in group.measures for line in measure.lines} - {""}
        for card in cards
    ]
    assert marks[0]
    assert len(marks) > 1
    assert not any(marks[1:])


def test_a_metric_s_own_error_rate_stands_beside_it(page: Page, markdown: str) -> None:
    assert "marked wrongly: 0 % [0.0, 3.1] of 122 recorded answers" in " ".join(page.texts)
    assert "- correct is marked wrongly: " in markdown


def test_nothing_is_loaded_and_nothing_but_our_own_script_may_run(page: Page) -> None:
    assert page.values("src") + page.values("style") + page.values("action") == []
    assert {value for value in page.values("href") if not value.startswith("#")} == {"data:,"}
    policy = next(
        each["content"] for _, each in page.elements if each.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for name in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(page.raw[name].encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert not re.search(r"url\(|@import|https?:", page.raw["style"])


def test_references_lead_to_one_element(page: Page) -> None:
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    targets = [value.removeprefix("#") for value in page.values("href") if value.startswith("#")]
    targets += [each for value in page.values("aria-labelledby") for each in value.split()]
    targets += re.findall(r"url\(#([^)]*)\)", " ".join(page.values("clip-path")))
    assert targets
    assert set(targets) <= set(ids)


def test_every_drawing_is_described_and_has_its_figures_as_a_table(page: Page) -> None:
    drawings = [each for tag, each in page.elements if tag == "svg" and each.get("class") == "plot"]
    assert len(drawings) == 2 * page.count("figure") == 14
    assert all(each["role"] == "img" and each["aria-labelledby"] for each in drawings)
    assert page.count("desc") == len(drawings)
    assert page.count("table") == page.count("caption")
    assert page.elements.count(("details", {"class": "data"})) == page.count("figure")


def test_colours_come_from_the_style_sheet_alone(page: Page) -> None:
    """Else a drawing would not follow the page into the dark."""
    used = {
        each
        for value in page.values("class")
        for each in value.split()
        if each.startswith(("fill-", "stroke-"))
    }
    assert [each for each in sorted(used) if f".{each} " not in page.raw["style"]] == []
    assert {*page.values("fill"), *page.values("stroke")} <= {"none"}


def test_the_json_has_the_figures_and_no_texts(reported: Path) -> None:
    found = json.loads((reported / "report.json").read_text())
    results = read_results(reported)
    assert found["verdicts"] == list(results.verdicts)
    assert [each["arm"] for each in found["frontier"]] == [arm.name for arm in ARMS]
    assert "answers" not in found["disagreements"][0]
    assert found["load"]["cells"]


def test_markdown_has_every_number_of_the_scorecard_and_whole_tables(reported: Path, markdown: str) -> None:
    for result in read_results(reported).metrics:
        assert f"| {result.metric.upper()}, " in markdown or f"| {result.metric}, " in markdown
    for table in re.findall(r"(?:^\|.*\n)+", markdown, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1, table


def test_markdown_keeps_a_text_in_its_line() -> None:
    assert escape_markdown("a|b\n<script> *x* `y`") == r"a\|b \<script\> \*x\* \`y\`"


def test_disagreements_are_the_questions_whose_scores_differ(reported: Path) -> None:
    results = read_results(reported)
    right: dict[str, dict[str, float]] = {}
    for each in results.questions:
        right.setdefault(each.question, {})[each.arm] = each.scores["correct"]
    wanted = [question for question, by_arm in right.items() if len(set(by_arm.values())) > 1]
    count, found = find_disagreements(read_bundle(reported), results)
    assert count == len(wanted) == len(found)
    assert [each.question for each in found] == wanted
    for each in found:
        base = right[each.question]["small"]
        assert each.gained == tuple(arm for arm, value in right[each.question].items() if value > base)
        assert each.lost == tuple(arm for arm, value in right[each.question].items() if value < base)
        assert ["".join(piece.text for piece in answer.pieces) for answer in each.answers] == [
            answer.reply.content
            for answer in read_bundle(reported).answers
            if answer.question == each.question
        ]


def test_too_many_disagreements_are_thinned_over_the_run(reported: Path) -> None:
    bundle, results = read_bundle(reported), read_results(reported)
    everything = find_disagreements(bundle, results)[1]
    count, found = find_disagreements(bundle, results, shown=4)
    assert count == len(everything) > 4
    assert [everything.index(each) for each in found] == [place * count // 4 for place in range(4)]


def test_judged_sentences_stand_out_in_answers_and_passages(reported: Path) -> None:
    found = find_disagreements(read_bundle(reported), read_results(reported))[1]
    answers = {
        (piece.emphasis, piece.text) for each in found for answer in each.answers for piece in answer.pieces
    }
    assert ("unsupported", "Packing is included.") in answers
    assert ("contradicted", "Packing is not included.") in answers
    passages = {
        (piece.emphasis, piece.text) for each in found for shown in each.passages for piece in shown.pieces
    }
    assert ("against", "packing included.") in passages
    assert any(kind == "cited" and text.startswith("In Brest a crate") for kind, text in passages)


@pytest.mark.parametrize(
    ("spans", "wanted"),
    [
        ([], [("", "abcdef")]),
        ([(1, 3, "cited")], [("", "a"), ("cited", "bc"), ("", "def")]),
        ([(1, 4, "against"), (3, 6, "cited")], [("", "a"), ("against", "bcd"), ("cited", "ef")]),
        ([(-3, 2, "cited"), (5, 99, "cited")], [("cited", "ab"), ("", "cde"), ("cited", "f")]),
        ([(4, 2, "cited")], [("", "abcdef")]),
    ],
)
def test_pieces(spans, wanted) -> None:
    assert [(piece.emphasis, piece.text) for piece in cut_pieces("abcdef", spans)] == wanted


def test_bins_hold_every_question_once_and_never_split_equal_thinking(reported: Path) -> None:
    results = read_results(reported)
    bins = thinking_bins(read_bundle(reported), results)
    assert {each.arm for each in bins} == {"large@256"}
    scored = [
        each for each in results.questions if each.arm == "large@256" and "reasoning tokens" in each.scores
    ]
    assert sum(each.n for each in bins) == len(scored)
    assert 1 < len(bins) <= BINS
    assert all(one.most < other.least for one, other in pairwise(bins))
    assert all(each.low <= each.correct <= each.high for each in bins)


def test_one_arm_without_load_is_a_report_too(tmp_path: Path) -> None:
    write_run(tmp_path / "run", questions=12, arms=ARMS[:1])
    (tmp_path / "run" / "load.json").unlink()
    text = write_report(tmp_path / "run")[0].read_text()
    page = Page(text)
    assert "There is nothing to compare" in text
    assert not {"forest", "thinking", "goodput"} & set(page.values("id"))
    assert {"waterfall", "ecdf"} <= set(page.values("id"))


def test_limits_speak_of_the_run(reported: Path) -> None:
    report = build_report(read_bundle(reported), read_results(reported))
    said = " ".join(report.limits)
    assert "20 of 270 of champ" in said
    assert "logic was asked without passages" in said
    assert "No search was tested" not in said
    assert "AMD EPYC, 2 cores" in said


def test_results_of_other_answers_are_refused(reported: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(reported, tmp_path / "copy")
    found = json.loads((copy / "results.json").read_text())
    (copy / "results.json").write_text(json.dumps({**found, "bundle": "0" * 64}))
    with pytest.raises(InvalidRequest, match="ragline replay"):
        write_report(copy)
    (copy / "results.json").unlink()
    with pytest.raises(NotFound, match="ragline replay"):
        write_report(copy)


def test_a_report_that_was_changed_afterwards_is_told(reported: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(reported, tmp_path / "copy")
    mark = fingerprint(read_bundle(copy))
    assert find_report_changes(copy, mark) == []
    checked = subprocess.run(
        ["sha256sum", "--check", "report.sha256"], cwd=copy, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    page = copy / "report.html"
    page.write_text(page.read_text().replace("Scorecard", "Scoreboard"))
    assert find_report_changes(copy, mark) == [f"{page} was changed after it was written"]
    # with a seal made anew for it, drawing it again finds it out
    contents = {name: (copy / name).read_bytes() for name in ("report.html", "report.md", "report.json")}
    (copy / "report.sha256").write_bytes(make_seal(contents, mark))
    assert find_report_changes(copy, mark) == [f"{page} is not what these answers give, though its seal fits"]
    (copy / "report.md").unlink()
    assert "is missing" in find_report_changes(copy, mark)[0]
    assert "is of other answers" in find_report_changes(copy, "0" * 64)[0]
    (copy / "report.sha256").unlink()  # as in folders that were written before
    assert find_report_changes(copy, mark) == []


def test_terminal_report_and_results_say_the_same(reported: Path) -> None:
    """One run, four tellings: the table of the terminal, the page, the Markdown, results.json."""
    results, bundle = read_results(reported), read_bundle(reported)
    text = StringIO()
    console = Console(file=text, width=200)
    evaluate.print_summary(bundle, Evaluation([], [], Options(), reported), Output(console, console))
    told = {line.split()[0]: line.split()[1:6] for line in text.getvalue().splitlines() if line.strip()}
    markdown = (reported / "report.md").read_text()
    page = (reported / "report.html").read_text()
    written = json.loads((reported / "report.json").read_text())
    assert written["outcomes"] == [outcome.model_dump(mode="json") for outcome in results.outcomes]
    assert written["metrics"] == json.loads((reported / "results.json").read_text())["metrics"]
    for outcome in results.outcomes:
        counts = [outcome.asked, outcome.answered, outcome.abstained, outcome.truncated]
        assert told[outcome.arm] == [str(count) for count in (*counts, sum(outcome.failed.values()))]
        assert f"| {escape_markdown(outcome.arm)} | {' | '.join(map(str, counts))} |" in markdown
    for sentence in (*results.verdicts, *results.warnings):
        assert escape_markdown(sentence) in markdown
        assert html.unescape(re.sub("<[^>]*>", "", page)).count(sentence) >= 1
