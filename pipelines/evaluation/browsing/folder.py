"""A folder of runs: which are there, and in which state each is.

Names are what a request says, so that each is checked: one of a folder right below, never a path, and nothing
is read through a link that leads out of the folder."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Literal

from pipelines.evaluation.browsing.progress import AnswerTally
from pipelines.evaluation.browsing.records import ArmProgress, RunDataset, RunList, RunState, RunSummary
from pipelines.evaluation.bundle.files import ANSWERS, CONTEXTS, MANIFEST, QUESTIONS, RESULTS, VERDICTS
from pipelines.evaluation.bundle.labels import LABELS
from pipelines.evaluation.bundle.recorded import read_results
from pipelines.evaluation.bundle.records import Manifest
from pipelines.evaluation.bundle.store import BundleStore, read_manifest
from pipelines.evaluation.swap.records import Answer
from services.core.errors import InvalidRequest, NotFound, RaglineError

REPORT = "report.html"
FILES = (MANIFEST, QUESTIONS, CONTEXTS, ANSWERS, VERDICTS, LABELS, RESULTS, REPORT, BundleStore.LOCK)
"""All that is read of a run."""

LISTED = 200
"""How many runs are listed, the newest."""

REMEMBERED = 256
"""Runs of which the answers that were counted, and the verdict, are remembered."""

NAME_BYTES = 255
"""The longest name of a folder."""


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What is shown of a run's results in a list; `problem` says why they cannot be read."""

    sentences: tuple[str, ...] = ()
    answer: Answer | Literal[""] = ""
    is_there: bool = False
    problem: str = ""


class RunFolder:
    """The runs right below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._tallies: dict[Path, AnswerTally] = {}
        self._verdicts: dict[Path, tuple[tuple[int, int], _Verdict]] = {}
        self._lock = Lock()

    def list_runs(self) -> RunList:
        """List the runs, the newest first; what is no run is passed over."""
        try:
            children = [path for path in self.root.iterdir() if _is_name(path.name)]
        except FileNotFoundError:
            return RunList(runs=(), detail=f"there is no folder {self.root} yet: a run makes it")
        except OSError as error:
            return RunList(runs=(), detail=f"the folder {self.root} cannot be read: {error.strerror}")
        found = [path.name for path in children if _has_manifest(path)]
        found.sort(key=lambda name: _written_at(self.root / name), reverse=True)
        runs = []
        for name in found[:LISTED]:
            with suppress(NotFound):  # deleted meanwhile
                runs.append(self.summarise(name))
        detail = "" if runs else f"there is no run in {self.root} yet"
        return RunList(runs=tuple(runs), left_out=max(0, len(found) - LISTED), detail=detail)

    def find(self, name: str) -> Path:
        """Find the folder of a run.

        Raises:
            NotFound: There is none of that name.
            InvalidRequest: The name is none, or a link leads out of the folder.
        """
        _check_name(name)
        folder = self.root / name
        if not _has_manifest(folder):
            raise NotFound(f"no run {name!r}")
        root = self.root.resolve()
        if folder.resolve().parent != root:
            raise InvalidRequest(f"the run {name!r} is a link out of the folder of runs: it is not read")
        for file in FILES:
            if not (folder / file).resolve().is_relative_to(root / name):
                raise InvalidRequest(
                    f"{file} of the run {name!r} is a link out of its folder: it is not read"
                )
        return folder

    def summarise(self, name: str) -> RunSummary:
        """Summarise a run; one that cannot be read is damaged, and says why.

        Raises:
            NotFound: There is none of that name.
            InvalidRequest: The name is none.
        """
        _check_name(name)
        try:
            folder = self.find(name)
            return self._summarise(name, folder, read_manifest(folder))
        except NotFound:
            raise
        except RaglineError as error:
            return RunSummary(name=name, state="damaged", detail=self.without_root(error.message))

    def read_progress(self, folder: Path, arms: Iterable[str]) -> tuple[ArmProgress, ...]:
        """Count the answers that have come to a run up to now, by arm. InvalidRequest where one is none."""
        with self._lock:
            tally = self._tallies.pop(folder, None) or AnswerTally(folder / ANSWERS)
            self._tallies[folder] = tally  # the last to go
            if len(self._tallies) > REMEMBERED:
                del self._tallies[next(iter(self._tallies))]
            tally.read_on()
            return tuple(map(tally.describe, arms))

    def without_root(self, text: str) -> str:
        """Take the path of the folder out of a message."""
        return text.replace(f"{self.root}/", "")

    def _summarise(self, name: str, folder: Path, manifest: Manifest) -> RunSummary:
        arms = tuple(arm.name for arm in manifest.arms)
        progress = self.read_progress(folder, arms)
        questions = sum(dataset.n for dataset in manifest.datasets)
        sequential = manifest.sequential
        most = min(questions, sequential.questions) if sequential else questions
        verdict = self._read_verdict(folder)
        state, detail = _find_state(folder, manifest, verdict)
        return RunSummary(
            name=name,
            state=state,
            detail=self.without_root(detail),
            kind="decide" if sequential else "eval",
            started=manifest.started,
            version=manifest.version,
            datasets=tuple(RunDataset(name=dataset.name, n=dataset.n) for dataset in manifest.datasets),
            arms=arms,
            questions=most,
            answers=sum(arm.asked for arm in progress),
            due=most * len(arms) * manifest.conditions.repeats,
            written=max(0.0, time.time() - _written_at(folder)),
            sentences=verdict.sentences,
            answer=verdict.answer,
            report=(folder / REPORT).is_file(),
        )

    def _read_verdict(self, folder: Path) -> _Verdict:
        """Read a run's verdict, once for each time that it is written: results may have megabytes."""
        try:
            state = (folder / RESULTS).stat()
        except OSError:
            return _Verdict()
        stamp = (state.st_mtime_ns, state.st_size)
        with self._lock:
            known = self._verdicts.get(folder)
            if known is None or known[0] != stamp:
                known = (stamp, _make_verdict(folder))
                self._verdicts[folder] = known
                if len(self._verdicts) > REMEMBERED:
                    del self._verdicts[next(iter(self._verdicts))]
            return known[1]


def _make_verdict(folder: Path) -> _Verdict:
    try:
        results = read_results(folder)
    except NotFound:
        return _Verdict()
    except RaglineError as error:
        return _Verdict(problem=error.message)
    return _Verdict(
        sentences=tuple(swap.sentence for swap in results.swaps) or results.verdicts,
        answer=results.swaps[0].answer if results.swaps else "",
        is_there=True,
    )


def _find_state(folder: Path, manifest: Manifest, verdict: _Verdict) -> tuple[RunState, str]:
    """Find a run's state, and what is to be said of it."""
    if _is_locked(folder / BundleStore.LOCK):
        return "running", verdict.problem
    if verdict.problem:
        return "damaged", verdict.problem
    ended = manifest.sequential is None or bool(manifest.sequential.ended)
    if verdict.is_there and ended:
        return "finished", ""
    return "stopped", "it is not finished: the same command goes on where it was stopped"


def _has_manifest(folder: Path) -> bool:
    """Whether this is a run; also where that cannot be told, so that reading it says why."""
    try:
        return (folder / MANIFEST).is_file()
    except OSError:
        return True


def _check_name(name: str) -> None:
    if not _is_name(name):
        raise InvalidRequest(f"{name!r} is no name of a run: it is the name of one folder")


def _is_name(name: str) -> bool:
    """Whether this names a folder right below, and no hidden one."""
    if not name or name.startswith(".") or not name.isprintable():
        return False
    return Path(name).name == name and len(os.fsencode(name)) <= NAME_BYTES


def _written_at(folder: Path) -> float:
    """When something was last written to a run, in seconds since 1970."""
    return max((_modified(folder / name) for name in (ANSWERS, VERDICTS, RESULTS, MANIFEST)), default=0.0)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _is_locked(path: Path) -> bool:
    """Whether a run holds the lock of its folder. It ends with the run's process, however that ends."""
    if sys.platform == "win32":
        return path.exists()
    import fcntl  # noqa: PLC0415 - not on Windows

    try:
        with path.open("rb") as file:
            # shared, and given back at once: a reader keeps no run from going on
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(file, fcntl.LOCK_UN)
    except BlockingIOError:
        return True
    except OSError:  # there is none, or it cannot be read
        return False
    return False
