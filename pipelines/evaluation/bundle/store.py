"""A bundle as a folder: begun, continued after a kill, finished, read.

manifest.json      how it was asked       written before anything is asked
questions.jsonl    what was asked         written first
contexts.jsonl     the frozen passages    appended as they are found
answers.jsonl      the answers            appended as they come; in the bundle's order when all are there
verdicts.jsonl     a judge's replies      likewise, where there is a judge
labels.jsonl       people's marks         likewise, where somebody marked answers
results.json       what they come to      can be made again from the others
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

import orjson
from filelock import FileLock, Timeout
from pydantic import BaseModel

from pipelines.evaluation.bundle.files import (
    ANSWERS,
    CONTEXTS,
    MANIFEST,
    QUESTIONS,
    VERDICTS,
    Journal,
    drop_torn_line,
    parse_record,
    read_lines,
    replace_lines,
)
from pipelines.evaluation.bundle.integrity import check_records, sort_records
from pipelines.evaluation.bundle.labels import read_labels
from pipelines.evaluation.bundle.records import (
    FORMAT,
    Answer,
    Bundle,
    Context,
    JudgeReply,
    Manifest,
    RunQuestion,
    group_clusters,
    pair_answers,
)
from services.core.errors import Conflict, InvalidRequest, NotFound
from services.core.files import replace_atomically

R = TypeVar("R", bound=BaseModel)


def read_bundle(folder: Path) -> Bundle:
    """Read a finished bundle.

    Raises:
        NotFound: The folder holds none.
        InvalidRequest: It is of another format, damaged, or not finished; the message says what to do.
    """
    manifest = read_manifest(folder)
    bundle = Bundle(
        manifest=manifest,
        questions=read_lines(folder / QUESTIONS, RunQuestion),
        contexts=read_lines(folder / CONTEXTS, Context),
        answers=read_lines(folder / ANSWERS, Answer),
        verdicts=_read_if_there(folder / VERDICTS, JudgeReply) if manifest.judge is not None else (),
        labels=read_labels(folder),
    )
    check_records(bundle, folder)
    if manifest.sequential is not None:
        return _cut_at_unfinished(bundle, folder)
    wanted = len(bundle.questions) * len(manifest.arms) * manifest.conditions.repeats
    if len(bundle.contexts) < len(bundle.questions) or len(bundle.answers) < wanted:
        raise InvalidRequest(
            f"{folder} is not finished: it has {len(bundle.answers)} of {wanted} answers; the same "
            "'ragline eval' command goes on where it was stopped"
        )
    due = 2 * sum(pair.comparable for pair in pair_answers(bundle)) if manifest.judge is not None else 0
    if len(bundle.verdicts) < due:
        raise InvalidRequest(
            f"{folder} is not finished: it has {len(bundle.verdicts)} of {due} verdicts of its judge; the "
            "same 'ragline eval' command goes on where it was stopped"
        )
    return sort_records(bundle)


def read_growing(folder: Path) -> Bundle:
    """Read what is there of a run, in its order, also while it is written, and change nothing.

    Raises:
        NotFound: The folder holds no bundle.
        InvalidRequest: It is of another format, or damaged.
    """
    bundle = Bundle(
        manifest=read_manifest(folder),
        questions=read_lines(folder / QUESTIONS, RunQuestion),
        contexts=_read_if_there(folder / CONTEXTS, Context, growing=True),
        answers=_read_if_there(folder / ANSWERS, Answer, growing=True),
        verdicts=_read_if_there(folder / VERDICTS, JudgeReply, growing=True),
    )
    check_records(bundle, folder)
    return sort_records(bundle)


def _cut_at_unfinished(bundle: Bundle, folder: Path) -> Bundle:
    """Keep what a run that stops by itself came to: its first questions, up to the first group of questions
    that hang together without all of its answers. NotFound where that is nothing."""
    arms, repeats = len(bundle.manifest.arms), bundle.manifest.conditions.repeats
    counts = Counter(answer.question for answer in bundle.answers)
    kept: set[str] = set()
    for group in group_clusters(bundle.questions):
        if any(counts[question.id] < arms * repeats for question in group):
            break
        kept |= {question.id for question in group}
    if not kept:
        raise NotFound(f"{folder} has no question yet that all arms answered: the same command goes on")
    return sort_records(
        bundle.model_copy(
            update={
                "questions": tuple(question for question in bundle.questions if question.id in kept),
                "contexts": tuple(context for context in bundle.contexts if context.question in kept),
                "answers": tuple(answer for answer in bundle.answers if answer.question in kept),
            }
        )
    )


def read_manifest(folder: Path) -> Manifest:
    """Read how a run was made. NotFound where the folder holds no bundle, InvalidRequest where it is of
    another format."""
    path = folder / MANIFEST
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise NotFound(f"{folder} is no bundle: it has no {MANIFEST}") from None
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}") from None
    try:
        decoded = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"{path} is not JSON: {error}") from None
    written = decoded.get("format") if isinstance(decoded, dict) else None
    if written != FORMAT:
        by = decoded.get("version", "an unknown version") if isinstance(decoded, dict) else "something else"
        raise InvalidRequest(
            f"{folder} is a bundle of format {written}, written by Ragline {by}; this one reads "
            f"format {FORMAT}: use that version, or run the evaluation anew into another folder"
        )
    return parse_record(Manifest, content, str(path))


@dataclass(frozen=True, slots=True)
class BundleStore:
    """A run's folder while it is being filled; whoever fills it holds the lock `LOCK` in it."""

    LOCK: ClassVar[str] = ".lock"
    folder: Path

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Let one run at a time work in the folder; the lock ends with the process, however that ends.

        Raises:
            Conflict: Another run is at work in it, or it cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / self.LOCK)
            lock.acquire(timeout=0)
        except Timeout:
            raise Conflict(
                f"another run is at work in {self.folder}: wait for it, or choose another --out"
            ) from None
        except OSError as error:
            raise Conflict(
                f"{self.folder} cannot be written: {error.strerror}: choose another --out"
            ) from None
        try:
            yield
        finally:
            lock.release()
            (self.folder / self.LOCK).unlink(missing_ok=True)

    def begin(self, manifest: Manifest, questions: Sequence[RunQuestion]) -> None:
        """Write what is known before the first request; the manifest last: with it the bundle exists.

        InvalidRequest where the folder has other things in it.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            names = (path.name for path in self.folder.iterdir())
            others = sorted(name for name in names if not _is_left_behind(name))
            if others:
                raise InvalidRequest(
                    f"{self.folder} is not empty and is no bundle (it has {others[0]}): choose another --out"
                )
            replace_lines(self.folder / QUESTIONS, questions)
            self.write_manifest(manifest)
        except OSError as error:
            raise InvalidRequest(f"{self.folder} cannot be written: {error.strerror}") from None

    def write_manifest(self, manifest: Manifest) -> None:
        """Write the manifest, in place of the one that is there."""
        replace_atomically(
            self.folder / MANIFEST, manifest.model_dump_json(indent=2, exclude_none=True).encode() + b"\n"
        )

    def read_so_far(self) -> Bundle | None:
        """Read what is there of a run, in its order; None where it has not begun. A torn last line is cut
        off."""
        if not (self.folder / MANIFEST).is_file():
            return None
        for name in (CONTEXTS, ANSWERS, VERDICTS):
            drop_torn_line(self.folder / name)
        return read_growing(self.folder)

    def open_contexts(self) -> Journal:
        """The file of contexts, to append to."""
        return Journal(self.folder / CONTEXTS)

    def open_answers(self) -> Journal:
        """The file of answers, to append to."""
        return Journal(self.folder / ANSWERS)

    def open_verdicts(self) -> Journal:
        """The file of verdicts, to append to."""
        return Journal(self.folder / VERDICTS)

    def finish(self) -> Bundle:
        """Write all records in the bundle's order, and read the bundle. Raises as `read_bundle` does."""
        bundle = read_bundle(self.folder)
        whole = (self.read_so_far() if bundle.manifest.sequential else None) or bundle
        replace_lines(self.folder / CONTEXTS, whole.contexts)
        replace_lines(self.folder / ANSWERS, whole.answers)
        if bundle.verdicts:
            replace_lines(self.folder / VERDICTS, bundle.verdicts)
        return bundle


def _read_if_there(path: Path, kind: type[R], *, growing: bool = False) -> tuple[R, ...]:
    return read_lines(path, kind, growing=growing) if path.exists() else ()


def _is_left_behind(name: str) -> bool:
    """Whether a run that was killed while it began has left this file: the lock, the questions, half a
    file."""
    begun = name.startswith((f".{QUESTIONS}.", f".{MANIFEST}.")) and name.endswith(".part")
    return begun or name in {BundleStore.LOCK, QUESTIONS}
