"""The questions of a run with their marks: listed, filtered, and one of them in full."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from pipelines.evaluation.browsing.folder import RunFolder
from pipelines.evaluation.browsing.records import (
    AnswerMark,
    QuestionFilter,
    QuestionPage,
    QuestionRow,
    Run,
    Show,
)
from pipelines.evaluation.bundle.files import ANSWERS, CONTEXTS, MANIFEST, QUESTIONS, RESULTS
from pipelines.evaluation.bundle.recorded import read_results
from pipelines.evaluation.bundle.records import Bundle
from pipelines.evaluation.bundle.store import read_growing, read_manifest
from pipelines.evaluation.report.disagreements import MarkedQuestion, mark_questions, show_question
from pipelines.evaluation.report.document import Disagreement
from pipelines.evaluation.results import OVERALL, Results
from services.core.errors import InvalidRequest, NotFound, PayloadTooLarge, RaglineError

LARGEST = 256 * 2**20
"""Bytes of a run's files that are read into memory; `ragline report` shows a larger one."""

KEPT = 2
"""Runs that are kept as they were read, until their files change."""

SHOWN = 300
"""Characters of a question in a list."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A run as its files were when they had this stamp."""

    stamp: tuple[tuple[int, int], ...]
    bundle: Bundle
    marked: list[MarkedQuestion]


class RunReader:
    """Reads runs of a folder in full. Its methods take long, and may be called by several threads."""

    def __init__(self, runs: RunFolder) -> None:
        self.runs = runs
        self._known: OrderedDict[Path, _Read] = OrderedDict()
        self._lock = Lock()

    def read_run(self, name: str) -> Run:
        """Read a run but for its questions.

        Raises:
            NotFound: There is no such run.
            InvalidRequest: Its name is none, or a link leads out of the folder.
        """
        summary = self.runs.summarise(name)
        if summary.state == "damaged":
            return Run(summary=summary, arms=(), progress=())
        folder = self.runs.find(name)
        manifest = read_manifest(folder)
        results = _read_results(folder)
        run = Run(
            summary=summary,
            arms=manifest.arms,
            progress=self.runs.read_progress(folder, [arm.name for arm in manifest.arms]),
        )
        if results is None:
            return run
        return run.model_copy(
            update={
                "warnings": results.warnings,
                "swaps": results.swaps,
                "sequential": results.sequential,
                "metrics": tuple(metric for metric in results.metrics if metric.scope == OVERALL),
                "percentiles": results.percentiles,
                "outcomes": results.outcomes,
            }
        )

    def list_questions(self, name: str, wanted: QuestionFilter) -> QuestionPage:
        """List questions, those that the arms do not answer alike first.

        Raises:
            NotFound: There is no such run.
            InvalidRequest: It cannot be read; the message says why.
            PayloadTooLarge: It is too large to be read here.
        """
        read = self._read(name)
        bundle = read.bundle
        baseline = bundle.manifest.baseline
        due = len(bundle.manifest.arms) * bundle.manifest.conditions.repeats
        tests = _make_tests(baseline, due)
        text = wanted.text.strip().lower()
        fitting = [
            marked
            for marked in read.marked
            if (not wanted.dataset or marked.question.dataset == wanted.dataset)
            and (not text or text in _all_text(marked))
        ]
        shown = [marked for marked in fitting if tests[wanted.show](marked)]
        shown.sort(key=lambda marked: (not marked.differs, not marked.answers))
        return QuestionPage(
            total=len(shown),
            first=wanted.first,
            counts={show: sum(map(test, fitting)) for show, test in tests.items()},
            questions=tuple(
                _make_row(marked, baseline) for marked in shown[wanted.first : wanted.first + wanted.limit]
            ),
        )

    def read_question(self, name: str, question: str) -> Disagreement:
        """Read one question with its passages, and each arm's first answer. Raises as `list_questions`
        does."""
        read = self._read(name)
        found = next((marked for marked in read.marked if marked.question.id == question), None)
        if found is None:
            raise NotFound(f"the run {name!r} has no question {question!r}")
        contexts = {context.question: context for context in read.bundle.contexts}
        return show_question(found, read.bundle.manifest.baseline, contexts.get(question))

    def _read(self, name: str) -> _Read:
        folder = self.runs.find(name)
        with self._lock:  # one at a time: it is the memory that counts
            stamp = _stamp(folder)
            known = self._known.get(folder)
            if known is None or known.stamp != stamp:
                known = self._read_anew(name, folder, stamp)
            self._known[folder] = known
            self._known.move_to_end(folder)
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
            return known

    def _read_anew(self, name: str, folder: Path, stamp: tuple[tuple[int, int], ...]) -> _Read:
        size = sum(length for _, length in stamp)
        if size > LARGEST:
            raise PayloadTooLarge(
                f"the run {name!r} has {size // 2**20} MB, more than is read here ({LARGEST // 2**20}): "
                "'ragline report' shows it"
            )
        try:
            bundle = read_growing(folder)
        except RaglineError as error:
            raise InvalidRequest(self.runs.without_root(error.message)) from None
        return _Read(stamp, bundle, mark_questions(bundle, _read_results(folder)))


def _read_results(folder: Path) -> Results | None:
    try:
        return read_results(folder)
    except RaglineError:
        return None  # there are none yet, or the summary says what is wrong with them


def _stamp(folder: Path) -> tuple[tuple[int, int], ...]:
    stats = [
        (folder / name).stat() if (folder / name).exists() else None
        for name in (MANIFEST, QUESTIONS, CONTEXTS, ANSWERS, RESULTS)
    ]
    return tuple((stat.st_mtime_ns, stat.st_size) if stat else (0, 0) for stat in stats)


def _make_tests(baseline: str, due: int) -> Mapping[Show, Callable[[MarkedQuestion], bool]]:
    """Each filter's test of a question; `due` answers are asked for each."""
    return {
        "all": lambda marked: True,
        "differ": lambda marked: marked.differs,
        "gained": lambda marked: bool(marked.list_gained(baseline)),
        "lost": lambda marked: bool(marked.list_lost(baseline)),
        "same": lambda marked: bool(marked.answers) and not marked.differs,
        "failed": lambda marked: any(
            answer.reply.status == "failed" for answers in marked.answers.values() for answer in answers
        ),
        "unanswered": lambda marked: sum(map(len, marked.answers.values())) < due,
    }


def _all_text(marked: MarkedQuestion) -> str:
    answers = (answer.reply.content for answers in marked.answers.values() for answer in answers)
    question = marked.question
    return "\n".join([question.id, question.text, *question.item.answers, *answers]).lower()


def _make_row(marked: MarkedQuestion, baseline: str) -> QuestionRow:
    question = marked.question
    text = question.item.question
    return QuestionRow(
        id=question.id,
        dataset=question.dataset,
        type=question.type,
        text=text if len(text) <= SHOWN else text[:SHOWN] + "…",
        differs=marked.differs,
        gained=marked.list_gained(baseline),
        lost=marked.list_lost(baseline),
        answers=tuple(
            AnswerMark(
                arm=arm,
                status=repeats[0].reply.status,
                correct=marked.right.get(arm),
                e2el=repeats[0].reply.timings.e2el if repeats[0].reply.timings else None,
            )
            for arm, repeats in marked.answers.items()
        ),
    )
