"""`/v1/runs`: the recorded runs of a folder, read only, also while they are written.

They are the operator's, not a tenant's: a run may hold anybody's questions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

from fastapi import APIRouter, Query, Request
from starlette.responses import FileResponse

from pipelines.evaluation.browsing.folder import REPORT, RunFolder
from pipelines.evaluation.browsing.questions import RunReader
from pipelines.evaluation.browsing.records import QuestionFilter, QuestionPage, Run, RunList
from pipelines.evaluation.report.document import Disagreement
from services.core.context import within_deadline
from services.core.errors import NotFound
from services.gateway.page.frame import make_report_headers

T = TypeVar("T")

NO_FOLDER = "this gateway was told of no folder of runs: set RUNS_DIR, and restart it"

router = APIRouter(prefix="/v1/runs", tags=["runs"])


def open_runs(folder: str) -> RunReader | None:
    """Make the reader of a folder of runs, which need not be there yet; None where none is named."""
    return RunReader(RunFolder(Path(folder).absolute())) if folder else None


def _reader(request: Request) -> RunReader:
    reader: RunReader | None = request.app.state.runs
    if reader is None:
        raise NotFound(NO_FOLDER)
    return reader


async def _in_thread(work: Callable[[], T]) -> T:
    async with within_deadline("the runs", service="gateway"):
        return await asyncio.to_thread(work)


@router.get("", summary="The recorded runs, the newest first")
async def list_runs(request: Request) -> RunList:
    """One that is being written is `running`; one that cannot be read is `damaged`, and says why."""
    if request.app.state.runs is None:
        return RunList(runs=(), detail=NO_FOLDER)
    return await _in_thread(_reader(request).runs.list_runs)


@router.get("/{name}", summary="One run: its verdict, its figures, or how far it is")
async def read_run(request: Request, name: str) -> Run:
    reader = _reader(request)
    return await _in_thread(lambda: reader.read_run(name))


@router.get("/{name}/questions", summary="Its questions, those that the arms do not answer alike first")
async def list_questions(
    request: Request, name: str, wanted: Annotated[QuestionFilter, Query()]
) -> QuestionPage:
    reader = _reader(request)
    return await _in_thread(lambda: reader.list_questions(name, wanted))


@router.get("/{name}/questions/{question:path}", summary="One question with passages and answers")
async def read_question(request: Request, name: str, question: str) -> Disagreement:
    """Its sentences are judged anew, by today's scorer."""
    reader = _reader(request)
    return await _in_thread(lambda: reader.read_question(name, question))


@router.get("/{name}/report", summary="Its report, as one page of HTML", response_class=FileResponse)
async def read_report(request: Request, name: str) -> FileResponse:
    """It comes with a policy that lets it load nothing, and keeps it from this gateway's page and keys."""
    reader = _reader(request)
    return FileResponse(
        await _in_thread(lambda: _find_report(reader, name)),
        media_type="text/html; charset=utf-8",
        headers=make_report_headers(),
    )


def _find_report(reader: RunReader, name: str) -> Path:
    path = reader.runs.find(name) / REPORT
    if not path.is_file():
        raise NotFound(f"the run {name!r} has no report yet: 'ragline report {name}' in its folder writes it")
    return path
