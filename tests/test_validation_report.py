"""A validation as Markdown, HTML and JSON: whole, safe, and the same numbers in all three."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from dqi_tracking.insight.outcome import Features
from dqi_tracking.insight.validation import ValidationReport, validate
from dqi_tracking.report.validation import validation_html, validation_json, validation_markdown
from tests.outcome_runs import noise_runs, normal
from tests.pages import Page

HOSTILE = "</td><script>alert('x')</script>|`*_[a](javascript:b)\x1b[2J\u202e 训练 \ud800\n# x"
SEEN = "</td><script>alert('x')</script>|`*_[a](javascript:b)[2J 训练 # x"


@pytest.fixture(scope="module")
def report() -> ValidationReport:
    runs = noise_runs(3, n_groups=3, size=10)
    names = [HOSTILE if name == "signal" else name for name in runs.features.names]
    table = Features(tuple(names), runs.features.values)
    outcome = runs.features["signal"] + 0.5 * normal(4, 30)
    groups = [f"{name} {HOSTILE}" for name in runs.groups]
    return validate(table, outcome, groups, question=HOSTILE)


@pytest.fixture(scope="module")
def empty() -> ValidationReport:
    runs = noise_runs(n_groups=2)
    return validate(runs.features, normal(1, 30), runs.groups)


def test_the_page_is_whole_and_asks_for_nothing(
    report: ValidationReport, empty: ValidationReport
) -> None:
    for each in (report, empty):
        text = validation_html(each)
        page = Page(text.encode())
        assert "<script" not in text
        assert not re.search(r"url\(|\bsrc=|@import|<link|<img|<iframe", text)
        assert not any(key.startswith("on") for _, attrs in page.attributes for key in attrs)
        assert "default-src 'none'" in text
        assert "script-src" not in text
        assert "prefers-color-scheme: dark" in text
        assert all(a.get("scope") in ("col", "row") for tag, a in page.attributes if tag == "th")
        assert each.sentence in page.text
        assert all(caution in page.text for caution in each.cautions)


def test_every_table_shows_the_numbers_of_the_report(report: ValidationReport) -> None:
    page = Page(validation_html(report).encode()).text
    markdown = validation_markdown(report)
    for text in (page, markdown):
        for reading in report.study.readings:
            assert f"{reading.rho.value:.2f} [{reading.rho.low:.2f}".replace("-", "−") in text
        for test in report.tests:
            assert f"{test.p_adjusted:.2g}" in text
        for control in report.controls:
            assert f"{control.detected} of 20" in text
        assert "Group by group" in text
        assert "Seed" in text
        assert "nan" not in text


def test_hostile_names_come_out_as_text(report: ValidationReport) -> None:
    html, markdown = validation_html(report), validation_markdown(report)
    page = Page(html.encode())
    # the question, three groups, and the signal
    assert page.text.count(SEEN) == 1 + 3 + 1
    for text in (html, markdown):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
        text.encode()
        assert "<script" not in text
    assert not re.search(r"(?<!\\)\]\(javascript", markdown)
    rows = re.findall(r"(?m)^\| group \d .*$", markdown)
    assert len(rows) == 3
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {5}
    assert markdown.count("\n# ") == 0


def test_json_holds_the_report_without_single_runs(report: ValidationReport) -> None:
    found = json.loads(validation_json(report))
    assert found["schema_version"] == 1
    assert found["verdict"] == report.verdict
    assert found["study"]["groups"][0]["runs"] == 10
    assert "predicted" not in found["study"]
    trees = found["study"]["readings"][1]
    assert trees["rho"]["value"] == report.study.readings[1].rho.value
    assert trees["leave_one_out"] is None
    assert found["tests"][0]["p"] == report.tests[0].p


def test_too_little_data_is_said_in_place_of_tables(empty: ValidationReport) -> None:
    html, markdown = validation_html(empty), validation_markdown(empty)
    assert "too little data" in markdown
    assert "Too little data" in html
    assert "only 2 groups are left" in html
    assert "<table" not in html
    assert "| ---" not in markdown
    assert json.loads(validation_json(empty))["tests"] == []


def test_a_control_that_failed_stands_out(report: ValidationReport) -> None:
    noise = replace(report.controls[0], passed=False)
    failed = replace(report, verdict="controls failed", controls=(noise, report.controls[1]))
    html = validation_html(failed)
    assert re.search(r'class="verdict no">Controls failed<', html)
    assert re.search(r'<td class=" no">NO<', html)
    assert "| NO |" in validation_markdown(failed)
