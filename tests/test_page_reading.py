"""What a person reads on the page, with eyes or without: words, tables, contrast."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

from dqi_tracking.engine import score
from dqi_tracking.insight.insight import insight_of
from dqi_tracking.report.chart import WIDTH
from dqi_tracking.report.meaning import CHECKS_WORTH, MEANS, NO_FINDING, STATE_WORTH, STATES
from dqi_tracking.report.page import phases_html
from dqi_tracking.types import COMPONENTS, History, RunRef, Score
from tests.pages import LOSS, Page, page_of


def page_with(changed: Score, history: History) -> Page:
    insight, at = insight_of(history), "2026-11-22T01:40:00Z"
    return Page(phases_html(changed, history, RunRef("0af3"), insight=insight, scored_at=at))


def test_the_first_thing_said_is_what_is_weak_and_where() -> None:
    history = History(range(200), LOSS)
    found = score(history)
    low = {name: replace(phase, structure=0.5) for name, phase in found.phases.items()}
    low["mid"] = replace(low["mid"], structure=0.017)
    page = page_with(replace(found, weakest="structure", **low), history)
    assert "Weakest on average: structure, lowest in the mid phase, 0.017" in page.text
    assert page.text.index("Weakest on average") < page.text.index("Components of each phase")


def spiked() -> History:
    loss = LOSS.copy()
    loss[150] += 5.0
    return History(np.append(10 * np.arange(200), 1990), np.append(loss, LOSS[-1]))


def test_the_state_is_said_before_the_drawing_with_what_it_is_worth() -> None:
    history = History(range(200), LOSS, grad_norm=np.ones(200))
    found = insight_of(history).state
    assert found.name == "stuck"
    page = page_with(score(history), history)
    said = f"{STATES['stuck']}: {found.sentence}."
    assert said in page.text
    assert STATE_WORTH["stuck"] in page.text
    places = [page.text.index(part) for part in ("Weakest on average", said, "Log scale")]
    assert places == sorted(places)
    # a rule of thumb is no alarm
    assert ("b", {"class": "alert"}) not in page.attributes


def test_a_run_that_blew_up_is_marked() -> None:
    history = History(range(200), [*LOSS[:180], *[np.nan] * 20])
    page = page_with(score(history), history)
    assert STATES["diverging"] in page.text
    assert ("b", {"class": "alert"}) in page.attributes


def test_findings_are_counted_listed_and_marked_where_they_lie() -> None:
    history = spiked()
    page = page_with(score(history), history)
    for found in insight_of(history).findings:
        assert f"{found.name.replace('_', ' ')}: {found.sentence}" in page.text
    assert "2 findings" in page.text
    assert CHECKS_WORTH in page.text
    (marks,) = page.paths("found")
    places = [float(move.partition(" ")[0]) / WIDTH for move in marks.split("M")[1:]]
    assert places == pytest.approx([1.0, 1500 / 1990], abs=0.001)


def test_of_a_clean_run_it_is_said_that_nothing_was_found_and_what_that_is_worth() -> None:
    history = History(range(200), LOSS)
    assert insight_of(history).findings == ()
    page = page_with(score(history), history)
    assert NO_FINDING in page.text
    assert "finding" not in page.text.replace(NO_FINDING, "")
    assert page.paths("found") == []


def test_a_finding_over_the_whole_run_is_listed_and_not_marked() -> None:
    history = History(np.repeat(np.arange(100), 2), LOSS)
    page = page_with(score(history), history)
    assert "duplicated steps: " in page.text
    assert page.paths("found") == []


def test_a_phase_in_which_another_component_is_lowest_is_named() -> None:
    history = History(range(200), LOSS)
    found = score(history)
    late = replace(found.late, density=0.011)
    page = page_with(replace(found, weakest="structure", late=late), history)
    assert "In the late phase density is lower, 0.011." in page.text


def test_a_phase_of_few_points_is_not_where_something_is_weak() -> None:
    _, page = page_of(History(np.arange(5) * 100, [4, 3, 2.5, 2.2, 2.1]))
    assert "0.000 in the late phase" in page.text
    assert page.text.count("too few points") == 2


@pytest.mark.parametrize(
    ("unit", "shown"), [(50, "from 1,750"), (50e6, "from 1.75e9"), (1e-3, "from 0.035")]
)
def test_boundaries_stand_at_their_steps(unit: float, shown: str) -> None:
    loss = np.concatenate((np.linspace(9, 5, 40), np.linspace(5, 1, 60)))
    history = History(np.arange(100) * unit, loss)
    found = replace(score(history), boundary_steps=(35 * unit, 70 * unit))
    mid = replace(found.mid, start_step=35 * unit)
    page = page_with(replace(found, mid=mid), history)
    assert shown in page.text
    boundaries = [a["d"] for tag, a in page.attributes if a.get("class") == "boundary"]
    assert boundaries == [f"M{2000 * 35 / 99:.0f} 0v1000", f"M{2000 * 70 / 99:.0f} 0v1000"]


def test_every_component_is_explained_in_a_line() -> None:
    _, page = page_of(History(range(200), LOSS))
    for component in COMPONENTS:
        assert MEANS[component] in page.text


def test_the_lowest_of_each_phase_is_marked() -> None:
    found = score(History(range(200), LOSS))
    _, page = page_of(History(range(200), LOSS))
    marked = [row for row in page.rows if any("lowest" in cell for cell in row)]
    lowest = {min(COMPONENTS, key=lambda c: getattr(phase, c)) for phase in found.phases.values()}
    assert len(marked) == len(lowest)
    assert sum("lowest" in cell for row in page.rows for cell in row) == 3


def test_the_table_has_headers_of_rows_and_columns() -> None:
    _, page = page_of(History(range(200), LOSS))
    scopes = [attrs.get("scope") for tag, attrs in page.attributes if tag == "th"]
    assert scopes.count("row") == 5
    assert scopes.count("col") == 4


def test_the_drawing_has_a_text_for_those_who_do_not_see_it() -> None:
    _, page = page_of(History(range(200), LOSS, loss_key="train/loss"))
    svg = next(attrs for tag, attrs in page.attributes if tag == "svg")
    ids = {attrs.get("id") for _, attrs in page.attributes}
    assert svg["role"] == "img"
    assert set((svg["aria-labelledby"] or "").split()) <= ids
    assert "Curve of train/loss" in page.text
    assert f"Values from {LOSS[0]:.6g} to {LOSS[-1]:.6g}" in page.text
    assert "over steps 0 to 199" in page.text


@pytest.mark.parametrize(("given", "listed", "more"), [(0, 0, 0), (3, 3, 0), (14, 10, 4)])
def test_warnings_are_counted_at_the_top_and_listed(given: int, listed: int, more: int) -> None:
    warnings = tuple(f"row {i} is damaged" for i in range(given))
    _, page = page_of(History(range(200), LOSS, warnings=warnings))
    assert page.text.count("is damaged") == listed
    assert (f"{given} warnings" in page.text) == bool(given)
    assert (f"And {more} more." in page.text) == bool(more)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_the_page(scheme: str) -> None:
    style = files("dqi_tracking.report").joinpath("phases.css").read_text("utf-8")
    light, _, dark = style.partition("(prefers-color-scheme: dark)")
    colours = dict(re.findall(r"--([a-z]+): (#[0-9a-f]+);", dark if scheme == "dark" else light))
    for name in ("ink", "soft", "second", "alert"):
        assert contrast(colours[name], colours["page"]) >= 4.5, name
    # what is no text: bars and areas
    for name in ("early", "mid", "late"):
        assert contrast(colours[name], colours["page"]) >= 2.5, name


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours: WCAG 2.2, in [1, 21]."""
    brighter, darker = sorted(map(luminance, (one, other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = np.array([int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
