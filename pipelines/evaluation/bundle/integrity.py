"""Whether a bundle's records belong together, in which order they are, and what identifies them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from pipelines.context import context_id
from pipelines.evaluation.bundle.files import ANSWERS, CONTEXTS, MANIFEST, QUESTIONS, VERDICTS
from pipelines.evaluation.bundle.records import Answer, Bundle, JudgeReply
from services.core.errors import InvalidRequest
from services.core.wire.answer import Timings

LONGEST = 7 * 24 * 3600 * 1e3
"""The longest time that is believed, in ms: a week."""


def sort_records(bundle: Bundle) -> Bundle:
    """The same bundle with its records in the order that `Bundle` promises."""
    place = {question.id: position for position, question in enumerate(bundle.questions)}
    column = {arm.name: position for position, arm in enumerate(bundle.manifest.arms)}
    return bundle.model_copy(
        update={
            "contexts": tuple(sorted(bundle.contexts, key=lambda context: place[context.question])),
            "answers": tuple(
                sorted(
                    bundle.answers,
                    key=lambda answer: (place[answer.question], column[answer.arm], answer.repeat),
                )
            ),
            "verdicts": tuple(
                sorted(
                    bundle.verdicts,
                    key=lambda verdict: (
                        place[verdict.question],
                        column[verdict.arm],
                        verdict.repeat,
                        verdict.first == "arm",
                    ),
                )
            ),
        }
    )


def check_records(bundle: Bundle, folder: Path) -> None:
    """Raise InvalidRequest where a record comes twice, or is of a question, arm or repeat that the run does
    not have; `folder` is named in the message."""
    manifest = bundle.manifest
    questions = [question.id for question in bundle.questions]
    _check_unique(questions, f"{folder / QUESTIONS}: the question")
    _check_unique([context.question for context in bundle.contexts], f"{folder / CONTEXTS}: the context of")
    _check_unique([answer.key for answer in bundle.answers], f"{folder / ANSWERS}: the answer")
    _check_unique([verdict.key for verdict in bundle.verdicts], f"{folder / VERDICTS}: the verdict")
    known, arms = set(questions), {arm.name for arm in manifest.arms}
    for context in bundle.contexts:
        if context.question not in known:
            raise InvalidRequest(f"{folder / CONTEXTS}: {context.question!r} is none of the questions")
    for name, records, of in (
        (ANSWERS, bundle.answers, arms),
        (VERDICTS, bundle.verdicts, arms - {manifest.baseline}),
    ):
        for record in records:
            if not _is_part(record, known, of, manifest.conditions.repeats):
                raise InvalidRequest(f"{folder / name}: {record.key} is not part of the run in {MANIFEST}")


def check_contexts(bundle: Bundle) -> None:
    """Raise InvalidRequest where passages are not those of their context's id, or an arm answered from
    others."""
    frozen: dict[str, str] = {}
    for context in bundle.contexts:
        frozen[context.question] = context.context.context_id
        if context_id(context.context.passages) != context.context.context_id:
            raise InvalidRequest(
                f"the passages of {context.question!r} are not those of its context_id: they were changed "
                "after the run; take the bundle as it was recorded"
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


def check_times(bundle: Bundle) -> None:
    """Raise InvalidRequest where a time cannot be: negative, infinite, or over `LONGEST`."""
    for answer in bundle.answers:
        _check_timings(answer.reply.timings, f"{answer.arm}'s answer to {answer.question!r}")
    for context in bundle.contexts:
        _check_timings(context.timings, f"the context of {context.question!r}")


def _check_timings(timings: Timings | None, whose: str) -> None:
    if timings is None:
        return
    for name, value in timings.model_dump(exclude_none=True).items():
        if not 0 <= value <= LONGEST:
            raise InvalidRequest(f"{whose} has {name} = {value:g} ms: no such time can have been measured")


def fingerprint(bundle: Bundle) -> str:
    """Compute the SHA-256 over all records, in hex.

    Fields at their default are left out, so that one that a later version adds changes nothing; an answer's
    citations are under the name that they had first.
    """
    digest = hashlib.sha256()
    for record in (bundle.manifest, *bundle.questions, *bundle.contexts, *bundle.answers, *bundle.verdicts):
        written = record.model_dump_json(exclude_defaults=True)
        if isinstance(record, Answer):  # no text holds this: in a text quotes are escaped
            written = written.replace('"citations":[', '"annotations":[', 1)
        digest.update(written.encode() + b"\n")
    return digest.hexdigest()


def _is_part(record: Answer | JudgeReply, questions: set[str], arms: set[str], repeats: int) -> bool:
    return record.question in questions and record.arm in arms and 0 <= record.repeat < repeats


def _check_unique(keys: Iterable[object], what: str) -> None:
    seen: set[object] = set()
    for key in keys:
        if key in seen:
            raise InvalidRequest(f"{what} {key!r} is there twice")
        seen.add(key)
