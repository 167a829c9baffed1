"""Whether a bundle's records belong together, and what identifies them."""

from __future__ import annotations

import hashlib

from pipelines.context import context_id
from pipelines.evaluation.bundle.records import Bundle
from services.core.errors import InvalidRequest


def check(bundle: Bundle) -> None:
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
