"""The page over many runs: self-contained, safe, bounded, and it shows what was gathered."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dqi_tracking.names import METRICS
from dqi_tracking.report.experiment import Drawn, Experiment, Linked, Unscored, extremes
from dqi_tracking.report.histograms import cells, histogram
from dqi_tracking.report.overview import MOST_DOTS, WHAT_IT_IS, overview_html
from dqi_tracking.types import History, RunRef, Stamp
from tests.pages import Page

HOSTILE = "</script><script>alert('x')</script><b>%{x}&\x1b[2J\u202e تدريب 训练 🚀 \ud800 $\\alpha$"
SEEN = "</script><script>alert('x')</script><b>%{x}&[2J تدريب 训练 🚀"
RNG = np.random.default_rng(0)


def linked(number: int, value: float, *, name: str = "", group: str = "g", **facts: str) -> Linked:
    metrics = dict.fromkeys(METRICS, value) | {
        "dqi_boundary_early_mid": 3.0,
        "dqi_boundary_mid_late": 9.0,
    }
    given = {"status": "ok", "weakest": "structure", "version": "1", "signal": "loss", **facts}
    ref = RunRef(f"id-{number}", name or f"run {number}", group, stamp=Stamp(metrics, given))
    return Linked(ref, f"https://tracker.invalid/#/runs/id-{number}")


def experiment(runs: list[Linked], *, unscored: tuple[Unscored, ...] = ()) -> Experiment:
    history = History(range(20), [1 / (1 + step) for step in range(20)])
    highest, lowest = extremes(runs)
    return Experiment(
        address="mlflow:e",
        url="https://tracker.invalid/#/table",
        command="",
        scored=runs,
        unscored=unscored,
        failed_since=0,
        highest=[Drawn(run, history) for run in highest],
        lowest=[Drawn(run, history) for run in lowest],
        made_at="2026-11-22T01:40:00Z",
    )


def page_of(found: Experiment, *, scripts: bool = False) -> tuple[str, Page]:
    text = overview_html(found, scripts=scripts)
    # what plotly is packed into is no markup to look at
    return text, Page(re.sub(r"(?s)<script.*?</script>", "", text).encode())


def scripts_of(text: str) -> list[str]:
    return re.findall(r"(?s)<script[^>]*>(.*?)</script>", text)


def csp(page: Page) -> str:
    metas = [attrs for tag, attrs in page.attributes if tag == "meta"]
    found = [attrs["content"] for attrs in metas if "Security" in (attrs.get("http-equiv") or "")]
    assert len(found) == 1
    return found[0] or ""


@given(
    values=st.lists(st.floats(0, 1) | st.floats(), max_size=60),
    name=st.text(st.characters()),
    scripts=st.booleans(),
)
@settings(deadline=None, max_examples=40)
def test_any_scores_and_names_give_a_balanced_page_without_requests(
    values: list[float], name: str, scripts: bool
) -> None:
    runs = [
        linked(number, value, name=name, group=name, status=name, weakest=name, signal=name)
        for number, value in enumerate(values)
    ]
    skipped = Unscored(name, name, 3, [Linked(RunRef(name, name))])
    text, page = page_of(experiment(runs, unscored=(skipped,)), scripts=scripts)
    assert not re.search(
        r"url\(|\bsrc=|@import|<link|<img|<iframe", re.sub(r"(?s)<script.*", "", text)
    )
    assert not any(key.startswith("on") for _, attrs in page.attributes for key in attrs)
    assert "default-src 'none'" in csp(page)
    assert "nan" not in " ".join(a.get("d") or "" for _, a in page.attributes)


@pytest.mark.parametrize("scripts", [False, True], ids=["drawings", "plotly"])
def test_hostile_names_come_out_as_text_everywhere(scripts: bool) -> None:
    facts = dict.fromkeys(("status", "weakest", "signal"), HOSTILE)
    runs = [linked(1, 0.1, name=HOSTILE, group=HOSTILE, **facts), linked(2, 0.2)]
    skipped = Unscored(HOSTILE, HOSTILE, 1, [Linked(RunRef("r", HOSTILE), "javascript:alert(1)")])
    text, page = page_of(experiment(runs, unscored=(skipped,)), scripts=scripts)
    assert page.text.count(SEEN) >= 8
    assert text.count("<script") == (3 if scripts else 0)
    assert not any("javascript" in (attrs.get("href") or "") for _, attrs in page.attributes)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    if scripts:
        data = json.loads(scripts_of(text)[0])
        # plotly reads its labels as markup once more
        assert "<" not in data["name"][0]
        assert html.unescape(data["name"][0]).startswith(SEEN[:40])


def test_a_page_without_scripts_allows_none() -> None:
    text, page = page_of(experiment([linked(1, 0.5)]))
    assert "<script" not in text
    assert "script-src" not in csp(page)


def test_the_page_allows_its_own_scripts_by_hash_and_no_others() -> None:
    text, page = page_of(experiment([linked(1, 0.5)]), scripts=True)
    _, packed, drawing = scripts_of(text)
    plotly = gzip.decompress(base64.b64decode(packed))
    assert b"plotly.js v" in plotly[:100]
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"
        for script in (plotly, drawing.encode())
    ]
    assert f"script-src {' '.join(hashes)}" in csp(page)
    assert not re.search("connect-src|unsafe-eval|script-src 'unsafe", csp(page))
    assert len(text.encode()) < 2_500_000


def test_the_plots_hold_every_run_with_its_page() -> None:
    runs = [linked(number, number / 30) for number in range(30)]
    text, _ = page_of(experiment([*runs, linked(99, math.nan, status="nan")]), scripts=True)
    data = json.loads(scripts_of(text)[0])
    assert data["dqi"] == pytest.approx([number / 30 for number in range(30)], rel=1e-3)
    assert [data["start"] + tail for tail in data["tail"]] == [run.url for run in runs]
    assert [each["name"] for each in data["histograms"]][:4] == ["DQI", "Early", "Mid", "Late"]
    assert all(sum(each["counts"]) == 30 for each in data["histograms"])


def test_the_page_says_what_was_gathered() -> None:
    runs = [linked(number, number / 100, weakest="coverage") for number in range(1, 31)]
    runs += [linked(50, math.nan, status="nan", weakest=""), linked(51, 0.0, status="flat")]
    skipped = Unscored("not scored yet", "dqi backfill mlflow:e", 4_321, [linked(77, 0.5)])
    _, page = page_of(experiment(runs, unscored=(skipped,)))
    for text in (
        WHAT_IT_IS,
        "mlflow:e",
        "4,353",
        "Highest DQI (10 runs)",
        "Lowest DQI (10 runs)",
        "30 runs",
        "scored: nan",
        "scored: flat",
        "not scored yet",
        "dqi backfill mlflow:e",
        "2026-11-22T01:40:00Z",
    ):
        assert text in page.text, text
    links = [attrs["href"] for tag, attrs in page.attributes if tag == "a"]
    assert links[0] == "https://tracker.invalid/#/table"
    # the ten highest, the ten lowest, what is nan or flat, and what is not scored
    assert len(links) == 1 + 10 + 10 + 2 + 1
    assert "https://tracker.invalid/#/runs/id-77" in links


def test_no_word_makes_a_high_dqi_good() -> None:
    _, page = page_of(experiment([linked(number, number / 50) for number in range(40)]))
    assert not re.search(r"\b(best|worst|good|bad|poor|excellent)\b", page.text, re.IGNORECASE)
    assert "higher does not mean better" in page.text


@pytest.mark.parametrize(
    ("values", "said", "headings"),
    [
        ([], "There are no runs at this address", 1),
        ([math.nan] * 5, "No run here has a DQI that is a number", 1),
        ([0.25], "0.2500", 5),
        ([0.0] * 3, "Runs by DQI", 5),
    ],
    ids=["nothing", "all nan", "one run", "all zero"],
)
def test_few_or_no_numbers_still_give_a_page(values: list[float], said: str, headings: int) -> None:
    runs = [linked(number, value) for number, value in enumerate(values)]
    for scripts in (False, True):
        text, page = page_of(experiment(runs), scripts=scripts)
        assert said in page.text
        assert text.count("<h2>") == headings


def test_groups_are_told_apart_where_there_are_several() -> None:
    runs = [linked(number, 0.1, group=f"group {number % 2}") for number in range(8)]
    assert "By experiment or project" in page_of(experiment(runs))[1].text
    one = [linked(number, 0.1) for number in range(8)]
    assert "By experiment or project" not in page_of(experiment(one))[1].text


def test_scores_that_are_hard_to_compare_are_pointed_out() -> None:
    runs = [linked(1, 0.1, version="1", signal="a"), linked(2, 0.1, version="2", signal="b")]
    text = page_of(experiment(runs))[1].text
    assert "different engine versions stand here (1, 2)" in text
    assert "different metrics: a (1), b (1)" in text
    assert "different" not in page_of(experiment([linked(1, 0.1)]))[1].text


def test_drawings_have_texts_and_tables_have_headers() -> None:
    _, page = page_of(experiment([linked(number, number / 50) for number in range(30)]))
    ids = {attrs.get("id") for _, attrs in page.attributes}
    drawings = [attrs for tag, attrs in page.attributes if tag == "svg"]
    assert len(drawings) == 22
    for attrs in drawings:
        assert attrs["role"] == "img"
        named_by = (attrs.get("aria-labelledby") or "").split()
        assert attrs.get("aria-label") or (named_by and set(named_by) <= ids)
    assert all(a.get("scope") in ("col", "row") for tag, a in page.attributes if tag == "th")


def test_ten_thousand_runs_with_long_names_stay_below_five_megabytes() -> None:
    early, late = RNG.random(10_000), RNG.random(10_000) ** 3
    runs = [
        linked(number, float(early[number]), name=f"{number} " + "训练" * 100)
        for number in range(10_000)
    ]
    for run, value in zip(runs, late.tolist(), strict=True):
        assert run.ref.stamp is not None
        run.ref.stamp.metrics["dqi_late"] = value  # type: ignore[index]
    text, page = page_of(experiment(runs), scripts=True)
    assert len(text.encode()) < 5_000_000
    assert page.paths("dots") == []
    assert len(page_of(experiment(runs))[0].encode()) < 150_000
    few, page = page_of(experiment(runs[:MOST_DOTS]))
    assert len(page.paths("dots")) == 1
    assert len(few.encode()) < 150_000


@given(st.lists(st.floats(0, 1) | st.just(math.nan), max_size=300))
def test_every_number_is_in_one_bin(values: list[float]) -> None:
    array = np.array(values, dtype=np.float64)
    told = array[np.isfinite(array)]
    edges, counts = histogram(array)
    assert counts.sum() == told.size
    assert len(counts) <= 45
    assert (np.diff(edges) > 0).all()
    assert edges[0] >= 0
    if told.size:
        assert edges[0] <= told.min() <= told.max() <= edges[-1]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=50))
def test_every_point_lies_in_a_shaded_cell(points: list[tuple[float, float]]) -> None:
    x, y = np.array(points).T
    shaded = cells(x, y, 1.0, 1000)
    places = {
        (int(left) // 25, 39 - int(top) // 25)
        for _, path in shaded
        for left, top in re.findall(r"M(\d+) (\d+)h", path)
    }
    # a value on an edge belongs to the upper cell, the uppermost to the last
    expected = np.histogram2d(x, y, bins=40, range=((0, 1), (0, 1)))[0]
    assert places == {tuple(place) for place in np.argwhere(expected).tolist()}
    assert all(0 < opacity <= 1 for opacity, _ in shaded)
