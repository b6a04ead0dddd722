"""MLflow's run table in the saved view "DQI": columns, order, filter, names, others' views."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from mlflow import MlflowClient
from playwright.sync_api import Page

from dqi_tracking import Query, backfill, open_tracker
from dqi_tracking.demo import EXPERIMENT
from tests.browser.served_runs import HOSTILE, NAMES, ServedRuns

COLUMNS = ["dqi", "dqi_early", "dqi_mid", "dqi_late", "dqi.weakest", "dqi.status"]
ROW = ".ag-center-cols-container .ag-row"


def saved_page(runs: ServedRuns, experiment: str) -> str:
    """Return the link that a backfill prints."""
    view = backfill(f"mlflow:{experiment}", settings=runs.settings).view
    assert view is not None
    return view.url


def opened(page: Page, url: str) -> Page:
    page.goto(url)
    page.wait_for_selector(ROW)
    return page


def columns(page: Page) -> list[str]:
    """Return the titles of the columns from left to right."""
    cells = page.locator(".ag-header-cell:not([col-id='0']):not([col-id='1'])").all()
    placed = [(int(cell.get_attribute("aria-colindex") or 0), cell.inner_text()) for cell in cells]
    return [title.strip() for _, title in sorted(placed) if title.strip()]


def column(page: Page, key: str) -> list[str]:
    """Return what a column shows, from the first row that is drawn."""
    return page.evaluate(
        """key => [...document.querySelectorAll('.ag-row')]
            .map(row => [
                Number(row.getAttribute('row-index')),
                [...row.querySelectorAll('.ag-cell')].find(c => c.getAttribute('col-id') === key),
            ])
            .filter(([, cell]) => cell)
            .sort(([one], [other]) => one - other)
            .map(([, cell]) => cell.innerText.trim())""",
        key,
    )


def numbers(page: Page) -> list[float]:
    """Return the scores that are drawn; a run without one has a dash."""
    shown = column(page, "metrics.`dqi`")
    return [float(text.rstrip("…")) for text in shown if text not in ("-", "NaN")]


def test_the_view_opens_with_its_columns_and_the_best_run_first(
    runs: ServedRuns, page: Page, picture: Callable[[str, int], None]
) -> None:
    opened(page, saved_page(runs, EXPERIMENT))
    page.wait_for_selector("text=dqi.status")
    assert columns(page)[:1] == ["Run Name"]
    shown = columns(page)
    assert shown[shown.index("dqi") :][: len(COLUMNS)] == COLUMNS
    table = runs.table()
    best = table["dqi"].dropna().tolist()
    seen = numbers(page)
    assert len(seen) > 5
    assert seen == pytest.approx(best[: len(seen)], abs=1e-6)
    assert column(page, "tags.`dqi.weakest`")[:5] == table["dqi_weakest"].tolist()[:5]
    assert page.get_by_test_id("saved-views-trigger").inner_text().strip() == "DQI"
    picture("mlflow-run-table", 760)


def test_the_plain_link_is_sorted_without_the_columns(runs: ServedRuns, page: Page) -> None:
    tracker = open_tracker(f"mlflow:{EXPERIMENT}", settings=runs.settings)
    next(tracker.find(Query()))
    opened(page, tracker.view().url)
    tracker.close()
    page.wait_for_selector("text=Sort: dqi")
    assert not set(COLUMNS) & set(columns(page))


def test_runs_are_filtered_by_dqi_in_the_search_box(runs: ServedRuns, page: Page) -> None:
    values = runs.table()["dqi"].dropna()
    least = float(values.median())
    opened(page, saved_page(runs, EXPERIMENT))
    box = page.get_by_placeholder("metrics.rmse")
    box.fill(f"metrics.dqi > {least}")
    box.press("Enter")
    count = int((values > least).sum())
    page.wait_for_selector(f"text=/^{count} matching runs?$/")
    assert min(numbers(page)) > least - 1e-6


def test_names_are_shown_as_they_are_and_do_nothing(runs: ServedRuns, page: Page) -> None:
    opened(page, saved_page(runs, HOSTILE))
    shown = page.locator(".ag-row").all_inner_texts()
    for name in NAMES:
        assert any(name.replace("\x07", "") in each.replace("\x07", "") for each in shown)
    assert page.locator(".ag-row script, .ag-row img[src='x']").count() == 0


def test_a_person_s_own_view_opens_as_before(runs: ServedRuns, page: Page) -> None:
    state = {
        "searchFilter": "",
        "orderByKey": "metrics.`loss`",
        "orderByAsc": True,
        "selectedColumns": ["metrics.`loss`"],
    }
    value = json.dumps({"name": "mine", "createdAt": 1, "state": json.dumps(state)})
    client = MlflowClient(tracking_uri=runs.uri)
    client.set_experiment_tag(runs.hostile, "mlflow.sharedViewState.mine", value)
    saved_page(runs, HOSTILE)
    opened(page, runs.page(f"{runs.hostile}/runs?viewStateShareKey=mine"))
    page.wait_for_selector("text=Sort: loss")
    assert "loss" in columns(page)
    assert not set(COLUMNS) & set(columns(page))
    losses = [float(text.rstrip("…")) for text in column(page, "metrics.`loss`")]
    assert len(losses) == len(NAMES)
    assert losses == sorted(losses)
    # both stand in the menu of saved views
    page.get_by_test_id("saved-views-trigger").click()
    assert page.get_by_role("menuitem", name="DQI").is_visible()
