"""A validation for people and programs: Markdown, HTML and JSON.

Names of groups, features and the question come from a tracker or a person: they are data.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict
from typing import TYPE_CHECKING

from dqi_tracking.report.printable import printable
from dqi_tracking.report.templates import template
from dqi_tracking.report.validation_tables import tables

if TYPE_CHECKING:
    from dqi_tracking.insight.validating.result import Estimate
    from dqi_tracking.insight.validation import ValidationReport
    from dqi_tracking.report.validation_tables import Cell

SCHEMA_VERSION = 1
LIMIT = 200
"""Characters of a name or question; longer ones are cut."""
TITLE = "Validation"
QUESTION = "does it tell the outcome?"
"""Of a report that names none."""
_MARKUP = re.compile(r"([\\`*_\[\]()#|~!$-])")


def validation_markdown(report: ValidationReport) -> str:
    """Return a report as Markdown, with the tables of GitHub's dialect.

    Foreign names are escaped: they make neither markup nor HTML.
    """
    lines = [f"# {TITLE}: {_escaped(report.question) or QUESTION}", ""]
    lines += [f"**Verdict: {report.verdict}.** {_escaped_html(report.sentence)}", ""]
    lines += [f"- {_escaped_html(caution)}" for caution in report.cautions]
    for table in tables(report):
        lines += ["", f"## {table.title}", ""]
        if table.note:
            lines += [table.note, ""]
        lines.append(_row(table.head))
        lines.append(
            _row(["---:" if at in table.numbers else "---" for at in range(len(table.head))])
        )
        lines += [_row([_markdown_cell(cell) for cell in row]) for row in table.rows]
    lines += ["", *(f"{name}: {_escaped(text)}  " for name, text in facts(report)), ""]
    return "\n".join(lines)


def validation_html(report: ValidationReport) -> str:
    """Return a report as one self-contained page without scripts, for light, dark and paper."""
    return template("validation.html.jinja").render(
        report=report,
        title=TITLE,
        tables=tables(report),
        facts=facts(report),
        left=_left,
        text=_text,
    )


def validation_json(report: ValidationReport) -> str:
    """Return a report as one JSON object.

    Its names are those of `ValidationReport`, without the predictions of single runs; what is not
    a number is null, and `schema_version` says which names these are.
    """
    content = asdict(report)
    study = content["study"]
    del study["predicted"]
    study["groups"] = [{"name": name, "runs": runs} for name, runs in report.study.groups]
    return json.dumps(_plain({"schema_version": SCHEMA_VERSION} | content), allow_nan=False)


def facts(report: ValidationReport) -> list[tuple[str, str]]:
    """Return what was asked of what, as names and texts; foreign names are cut and printable."""
    study = report.study
    configurations = f"{report.n_configurations:,}" if report.n_configurations else "none given"
    return [
        ("Runs", f"{study.runs:,}"),
        ("Groups", f"{len(study.groups):,}"),
        ("Configurations", configurations),
        ("Signals", _listed(report.signals)),
        ("Confounds", _listed(report.confounds)),
        ("Questions asked", f"{report.n_questions:,}"),
        ("Seed", str(report.seed)),
    ]


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(_text(name) for name in names) or "none"


def _left(estimate: Estimate) -> dict[str, str]:
    """Return where an interval lies on a scale from −1 to 1, in per cent."""
    low, value, high = (
        100 * (min(1.0, max(-1.0, part)) + 1) / 2
        for part in (estimate.low, estimate.value, estimate.high)
    )
    return {"low": f"{low:.4g}%", "width": f"{high - low:.4g}%", "value": f"{value:.4g}%"}


def _text(text: str) -> str:
    return printable(text, limit=LIMIT)


def _escaped(text: str) -> str:
    return _escaped_html(_MARKUP.sub(r"\\\1", _text(text)))


def _escaped_html(text: str) -> str:
    return printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _markdown_cell(cell: Cell) -> str:
    return _escaped(cell.text) if cell.is_data else cell.text


def _row(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(value: object) -> object:
    """Return what JSON can hold: no NaN, no tuple."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value
