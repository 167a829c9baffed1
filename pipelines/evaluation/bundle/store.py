"""A bundle as a folder: begun, continued after a kill, finished, read.

manifest.json      how it was asked       written before anything is asked
questions.jsonl    what was asked         written first
contexts.jsonl     the frozen passages    appended as they are found
answers.jsonl      the answers            appended as they come; in the bundle's order when all are there
verdicts.jsonl     a judge's replies      likewise, where there is a judge
results.json       what they come to      can be made again from the others
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

import orjson
from pydantic import BaseModel

from pipelines.context import context_id
from pipelines.evaluation.bundle.files import (
    Journal,
    drop_torn_line,
    parse_record,
    read_lines,
    replace,
    replace_lines,
)
from pipelines.evaluation.bundle.records import (
    FORMAT,
    Answer,
    Bundle,
    Context,
    JudgeReply,
    Manifest,
    RunQuestion,
    pair_answers,
)
from services.core.errors import InvalidRequest, NotFound

MANIFEST, QUESTIONS, CONTEXTS, ANSWERS = "manifest.json", "questions.jsonl", "contexts.jsonl", "answers.jsonl"
VERDICTS, RESULTS = "verdicts.jsonl", "results.json"

R = TypeVar("R", bound=BaseModel)


def read_bundle(folder: Path) -> Bundle:
    """A finished bundle.

    NotFound where the folder holds none, InvalidRequest where it is of another format, damaged, or not
    finished: each says what to do.
    """
    manifest = read_manifest(folder)
    bundle = Bundle(
        manifest=manifest,
        questions=read_lines(folder / QUESTIONS, RunQuestion),
        contexts=read_lines(folder / CONTEXTS, Context),
        answers=read_lines(folder / ANSWERS, Answer),
        verdicts=_present(folder / VERDICTS, JudgeReply) if manifest.judge is not None else (),
    )
    _check_known(bundle, folder)
    wanted = len(bundle.questions) * len(manifest.arms) * manifest.conditions.repeats
    if len(bundle.contexts) < len(bundle.questions) or len(bundle.answers) < wanted:
        raise InvalidRequest(
            f"{folder} is not finished: it has {len(bundle.answers)} of {wanted} answers; the same "
            "'ragline eval' command goes on where it was stopped"
        )
    due = 2 * sum(each.asked for each in pair_answers(bundle)) if manifest.judge is not None else 0
    if len(bundle.verdicts) < due:
        raise InvalidRequest(
            f"{folder} is not finished: it has {len(bundle.verdicts)} of {due} verdicts of its judge; the "
            "same 'ragline eval' command goes on where it was stopped"
        )
    return sort_records(bundle)


def read_manifest(folder: Path) -> Manifest:
    """NotFound where the folder holds no bundle, InvalidRequest where it is of another format."""
    path = folder / MANIFEST
    if not path.is_file():
        raise NotFound(f"{folder} is no bundle: it has no {MANIFEST}")
    content = path.read_bytes()
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"{path} is not JSON: {error}") from None
    written = found.get("format") if isinstance(found, dict) else None
    if written != FORMAT:
        by = found.get("version", "an unknown version") if isinstance(found, dict) else "something else"
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

    def begin(self, manifest: Manifest, questions: Sequence[RunQuestion]) -> None:
        """Write what is known before the first request; the manifest last: with it the bundle exists.

        InvalidRequest where the folder has other things in it.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # a run that was killed right here has left these
            ours = {self.LOCK, QUESTIONS, f".{QUESTIONS}.part", f".{MANIFEST}.part"}
            others = sorted(path.name for path in self.folder.iterdir() if path.name not in ours)
            if others:
                raise InvalidRequest(
                    f"{self.folder} is not empty and is no bundle (it has {others[0]}): choose another --out"
                )
            replace_lines(self.folder / QUESTIONS, questions)
            self.describe(manifest)
        except OSError as error:
            raise InvalidRequest(f"{self.folder} cannot be written: {error.strerror}") from None

    def describe(self, manifest: Manifest) -> None:
        """Write the manifest, in place of the one that is there."""
        replace(
            self.folder / MANIFEST, manifest.model_dump_json(indent=2, exclude_none=True).encode() + b"\n"
        )

    def present(self) -> Bundle | None:
        """What is there of a run, in its order; None where it has not begun. A torn last line is cut off."""
        if not (self.folder / MANIFEST).is_file():
            return None
        for name in (CONTEXTS, ANSWERS, VERDICTS):
            drop_torn_line(self.folder / name)
        bundle = Bundle(
            manifest=read_manifest(self.folder),
            questions=read_lines(self.folder / QUESTIONS, RunQuestion),
            contexts=_present(self.folder / CONTEXTS, Context),
            answers=_present(self.folder / ANSWERS, Answer),
            verdicts=_present(self.folder / VERDICTS, JudgeReply),
        )
        _check_known(bundle, self.folder)
        return sort_records(bundle)

    def contexts(self) -> Journal:
        return Journal(self.folder / CONTEXTS)

    def answers(self) -> Journal:
        return Journal(self.folder / ANSWERS)

    def verdicts(self) -> Journal:
        return Journal(self.folder / VERDICTS)

    def finish(self) -> Bundle:
        """All records in the bundle's order, and what is then there. Raises as `read` does."""
        bundle = read_bundle(self.folder)
        replace_lines(self.folder / CONTEXTS, bundle.contexts)
        replace_lines(self.folder / ANSWERS, bundle.answers)
        if bundle.verdicts:
            replace_lines(self.folder / VERDICTS, bundle.verdicts)
        return bundle


def sort_records(bundle: Bundle) -> Bundle:
    """The same in the order that `Bundle` promises."""
    place = {asked.id: position for position, asked in enumerate(bundle.questions)}
    column = {arm.name: position for position, arm in enumerate(bundle.manifest.arms)}
    return bundle.model_copy(
        update={
            "contexts": tuple(sorted(bundle.contexts, key=lambda each: place[each.question])),
            "answers": tuple(
                sorted(bundle.answers, key=lambda each: (place[each.question], column[each.arm], each.repeat))
            ),
            "verdicts": tuple(
                sorted(
                    bundle.verdicts,
                    key=lambda each: (
                        place[each.question],
                        column[each.arm],
                        each.repeat,
                        each.first == "arm",
                    ),
                )
            ),
        }
    )


def _present(path: Path, kind: type[R]) -> tuple[R, ...]:
    return read_lines(path, kind) if path.exists() else ()


def _check_known(bundle: Bundle, folder: Path) -> None:
    """Nothing comes twice, and nothing belongs to a question, arm or repeat that the run does not have."""
    questions = [asked.id for asked in bundle.questions]
    _once(questions, f"{folder / QUESTIONS}: the question")
    _once([each.question for each in bundle.contexts], f"{folder / CONTEXTS}: the context of")
    _once([each.key for each in bundle.answers], f"{folder / ANSWERS}: the answer")
    known, arms = set(questions), {arm.name for arm in bundle.manifest.arms}
    for context in bundle.contexts:
        if context.question not in known:
            raise InvalidRequest(f"{folder / CONTEXTS}: {context.question!r} is none of the questions")
    repeats = bundle.manifest.conditions.repeats
    for answer in bundle.answers:
        if answer.question not in known or answer.arm not in arms or not 0 <= answer.repeat < repeats:
            raise InvalidRequest(f"{folder / ANSWERS}: {answer.key} is not part of the run in {MANIFEST}")
    _once([each.key for each in bundle.verdicts], f"{folder / VERDICTS}: the verdict")
    arms.discard(bundle.manifest.baseline)
    for each in bundle.verdicts:
        if each.question not in known or each.arm not in arms or not 0 <= each.repeat < repeats:
            raise InvalidRequest(f"{folder / VERDICTS}: {each.key} is not part of the run in {MANIFEST}")


def _once(keys: Iterable[object], what: str) -> None:
    seen: set[object] = set()
    for key in keys:
        if key in seen:
            raise InvalidRequest(f"{what} {key!r} is there twice")
        seen.add(key)


def check_contexts(bundle: Bundle) -> None:
    """InvalidRequest where passages are not those of their context's id, or an arm answered from others."""
    frozen: dict[str, str] = {}
    for each in bundle.contexts:
        frozen[each.question] = each.context.context_id
        if context_id(each.context.passages) != each.context.context_id:
            raise InvalidRequest(
                f"the passages of {each.question!r} are not those of its context_id: they were changed after "
                "the run; take the bundle as it was recorded"
            )
    for answer in bundle.answers:
        if answer.question not in frozen:
            raise InvalidRequest(f"{answer.question!r} has answers and no context: the bundle is not whole")
        seen = answer.reply.context_id
        if answer.reply.status != "failed" and seen != frozen[answer.question]:
            raise InvalidRequest(
                f"{answer.arm} answered {answer.question!r} from another context ({seen[:12]}) than the one "
                f"that was frozen ({frozen[answer.question][:12]}): not comparable"
            )


def fingerprint(bundle: Bundle) -> str:
    """SHA-256 over all records, in hex. Fields at their default are left out, so that one that a later
    version adds changes nothing."""
    digest = hashlib.sha256()
    for record in (bundle.manifest, *bundle.questions, *bundle.contexts, *bundle.answers, *bundle.verdicts):
        digest.update(record.model_dump_json(exclude_defaults=True).encode() + b"\n")
    return digest.hexdigest()
