"""The report's files, beside the bundle that they are of: HTML, Markdown and JSON.

Whatever a model, a question or a document says is escaped in HTML and in Markdown.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipelines.evaluation.bundle.files import parse_record, replace
from pipelines.evaluation.bundle.recorded import read_results
from pipelines.evaluation.bundle.store import fingerprint, read_bundle
from pipelines.evaluation.load.records import LoadReport
from pipelines.evaluation.report import units
from pipelines.evaluation.report.building import build
from pipelines.evaluation.report.document import Report
from pipelines.evaluation.report.figures.forest import forest
from pipelines.evaluation.report.figures.frontier import frontier, thinking
from pipelines.evaluation.report.figures.goodput import goodput
from pipelines.evaluation.report.figures.latency import ecdf, waterfall
from pipelines.evaluation.report.figures.svg import Plot
from pipelines.evaluation.report.scorecard import cards
from pipelines.evaluation.report.sections import conditions, judging, machine
from services.core.errors import InvalidRequest

LOAD = "load.json"
NAME = "report"
TEMPLATES = Path(__file__).parent / "templates"

Plots = dict[str, Plot | None]
"""In the report's order, by id; None where the run has no such figures."""


def write_report(folder: Path) -> list[Path]:
    """Write `report.html`, `report.md` and `report.json` into a bundle's folder, and say where they are.

    Reads the recorded results, and `load.json` where there is one. The same folder gives the same bytes.
    Raises what reading them raises; InvalidRequest where the results are of other answers.
    """
    bundle, results = read_bundle(folder), read_results(folder)
    if results.bundle != fingerprint(bundle):
        raise InvalidRequest(
            f"the results in {folder} are not of its answers: 'ragline replay {folder}' scores them again"
        )
    report = build(bundle, results, _load(folder / LOAD))
    figures = plots(report)
    contents = {
        "html": html(report, figures).encode(),
        "md": markdown(report, figures).encode(),
        "json": _json(report),
    }
    paths = []
    for suffix, content in contents.items():
        path = folder / f"{NAME}.{suffix}"
        try:
            replace(path, content)
        except OSError as error:
            raise InvalidRequest(f"{path} cannot be written: {error.strerror}") from None
        paths.append(path)
    return paths


def _load(path: Path) -> LoadReport | None:
    return parse_record(LoadReport, path.read_bytes(), str(path)) if path.is_file() else None


def _json(report: Report) -> bytes:
    """Without the texts of the disagreements, which are in the bundle."""
    without = {"disagreements": {"__all__": {"text", "passages", "answers"}}}
    return report.model_dump_json(indent=1, exclude=without).encode() + b"\n"


def html(report: Report, figures: Plots) -> str:
    """One file that loads nothing: its policy forbids it, and names its one style and one script by hash."""
    style, script = (_text(name) for name in ("report.css", "report.js"))
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return _render(
        "report.html.j2",
        report,
        figures,
        autoescape=True,
        policy=policy,
        # our own files, which go in as they are: their hashes are in the policy
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
    )


def markdown(report: Report, figures: Plots) -> str:
    """The same without the figures, whose numbers it has as tables, and without the texts of answers."""
    text = _render("report.md.j2", report, figures, autoescape=False)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def plots(report: Report) -> Plots:
    """Each drawn for two widths: the slow part of a report."""
    return {
        "forest": forest(report),
        "frontier": frontier(report),
        "waterfall": waterfall(report),
        "ecdf": ecdf(report),
        "thinking": thinking(report),
        "goodput": goodput(report),
    }


def in_line(value: object) -> object:
    """Text for a line or a cell of Markdown: no markup, no break."""
    if not isinstance(value, str):
        return value
    return re.sub(r"([\\`*_\[\]<>|#&~])", r"\\\1", " ".join(value.split(" ")).replace("\n", " "))


def asides(sentence: str) -> list[str]:
    """What is in brackets, at the odd places, and what is around it."""
    return re.split(r"(\([^()]*\))", sentence)


def _render(name: str, report: Report, figures: Plots, *, autoescape: bool, **more: str) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=autoescape,  # noqa: S701 - Markdown has an escape of its own, `in_line`
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=None if autoescape else in_line,
    )
    environment.filters.update(
        share=units.share,
        seconds=units.seconds,
        count=units.count,
        p_value=units.p_value,
        machine=machine,
        asides=asides,
        said=units.said,
    )
    return environment.get_template(name).render(
        report=report,
        cards=cards(report),
        plots=figures,
        conditions=conditions(report.manifest),
        judging=judging(report.judge),
        arms={arm.name: index for index, arm in enumerate(report.arms)},
        **more,
    )


def _text(name: str) -> str:
    return (TEMPLATES / name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
