"""The saved view "DQI" of a project: DQI's columns pinned, runs sorted by it, panels of the scores.

`wandb-workspaces` (the extra ``workspaces``) puts it together and sends it, with a `wandb.Api` of
its own for each call: server and key are those of the environment, as for our client. W&B calls
the package a public preview.

What is tested is what is stored, and that it is found and updated again. How W&B's app draws it
was not seen: that takes W&B's cloud.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urljoin

from dqi_tracking.errors import ConfigError, ExperimentNotFound, ReadRejected, WriteRejected
from dqi_tracking.types import PHASES

if TYPE_CHECKING:
    from dqi_tracking.trackers.limits import Deadline, Pace
    from dqi_tracking.trackers.wandb.client import Client

TITLE = "DQI"
"""Name of a new view, and of our section of panels in it."""
NAME = "dqitracking"
"""Name of the view in its link, by which it is found again: as long as W&B's own, which are
eleven random letters and digits."""
SPREAD = ("dqi", *(f"dqi_{phase}" for phase in PHASES))
"""Summary keys whose distribution over the runs is drawn; a histogram takes 500 runs at most."""
COLUMNS = (*SPREAD, "dqi_weakest", "dqi_status")
"""Summary keys that are pinned, in this order."""
REQUESTS_TO_FIND = 1
REQUESTS_TO_LOAD = 2
REQUESTS_TO_SAVE = 3
"""What is sent, measured: the package logs in anew for each of its calls."""

_STORED_AS = f"nw-{NAME}-v"
_FIND = """
query DQIView($entity: String!, $project: String!, $view: String!) {
  project(name: $project, entityName: $entity) {
    allViews(viewType: "project-view", viewName: $view) { edges { node { id name } } }
  }
}
"""


class Package(NamedTuple):
    """The public modules of `wandb-workspaces`."""

    workspaces: Any
    reports: Any
    unreadable: tuple[type[Exception], ...]
    """What it raises for a view that it cannot take apart."""


def package() -> Package:
    """Return the package.

    Raises
    ------
    ConfigError
        When it is not installed.
    """
    try:
        workspaces = importlib.import_module("wandb_workspaces.workspaces")
        reports = importlib.import_module("wandb_workspaces.reports.v2")
        errors = importlib.import_module("wandb_workspaces.workspaces.errors")
    except ImportError as error:
        raise ConfigError(
            "wandb-workspaces, which saves views on W&B, is not installed",
            fix="pip install 'dqi-tracking[workspaces]'",
        ) from error
    of_python = (ValueError, TypeError, LookupError, AttributeError)
    return Package(workspaces, reports, (*of_python, errors.SpecVersionError))


def save_workspace(client: Client, pace: Pace, deadline: Deadline) -> str:
    """Make the view of the project, or bring the one that was made before up to date.

    In a view that is there, the pinned columns, the order of the runs and our own panels are set
    again; its name, filters, groups, other columns, panels and sections stay. Where all is as it
    should be, nothing is sent. No other view is touched.

    Returns
    -------
    str
        The link of the view.

    Raises
    ------
    ConfigError
        When `wandb-workspaces` is not installed.
    ExperimentNotFound
        When there is no such project, or none that may be seen.
    ReadRejected
        When the view that is there cannot be taken apart.
    WriteRejected
        When W&B stores the view under a name of its own.
    """
    made_of = package()
    before: Any = None
    pace.wait(REQUESTS_TO_FIND)
    if deadline.call(lambda: _is_there(client)):
        pace.wait(REQUESTS_TO_LOAD)
        workspace = deadline.call(lambda: _loaded(client, made_of))
        before = workspace._spec
    else:
        workspace = made_of.workspaces.Workspace(client.entity, client.project, name=TITLE)
        # a name that the package makes up would be another each time
        workspace._internal_name = _STORED_AS
    _furnish(workspace, made_of)
    if workspace._spec == before:
        return _link(client)
    pace.wait(REQUESTS_TO_SAVE)
    deadline.call(workspace.save)
    if workspace._internal_name != _STORED_AS:
        raise WriteRejected(
            f"W&B keeps the view as `{workspace._internal_name}`, not as `{_STORED_AS}`, so that "
            "it would not be found again",
            fix="report this as a bug, with wandb's version",
        )
    return _link(client)


def _link(client: Client) -> str:
    return f"{client.url}?nw={NAME}"


def _is_there(client: Client) -> bool:
    variables = {"entity": client.entity, "project": client.project, "view": _STORED_AS}
    project = client.service.execute_graphql(_FIND, variables).get("project")
    if project is None:
        raise ExperimentNotFound(
            f"no project {client.entity}/{client.project}, or none that you may see",
            fix="correct wandb:ENTITY/PROJECT, or log in as somebody who may see it",
        )
    names = [edge["node"]["name"] for edge in project["allViews"]["edges"]]
    # the package takes the first view of the answer, and saving would overwrite it
    if names and names[0] != _STORED_AS:
        raise ReadRejected(
            f"W&B answered with the view `{names[0]}` where `{_STORED_AS}` was asked for",
            fix="report this as a bug, with wandb's version",
        )
    return bool(names)


def _loaded(client: Client, made_of: Package) -> Any:
    # the package reads entity and project from the path as they stand there, not unquoted
    link = urljoin(client.service.app_url, f"/{client.entity}/{client.project}?nw={NAME}")
    try:
        return made_of.workspaces.Workspace.from_url(link)
    except made_of.unreadable as error:
        raise ReadRejected(
            f"the view at {_link(client)} cannot be taken apart: {type(error).__name__}",
            fix="pip install -U wandb-workspaces, or delete that view, then run this again",
        ) from error


def _furnish(workspace: Any, made_of: Package) -> None:
    ws = made_of.workspaces
    runs = workspace.runset_settings
    ours = [f"summary:{name}" for name in COLUMNS]
    runs.pinned_columns = [*ours, *(name for name in runs.pinned_columns if name not in ours)]
    runs.order = [ws.Ordering(ws.Summary("dqi"), ascending=False)]
    there = next((section for section in workspace.sections if section.name == TITLE), None)
    section = there or ws.Section(name=TITLE, is_open=True, pinned=True)
    panels = _panels(made_of.reports)
    known = {panel._id for panel in panels}
    added = [panel for panel in section.panels if getattr(panel, "_id", None) not in known]
    section.panels = [*panels, *added]
    if there is None:
        workspace.sections = [section, *workspace.sections]


def _panels(wr: Any) -> list[Any]:
    metrics = {name: wr.SummaryMetric(name) for name in SPREAD}
    panels = {
        name: wr.CustomChart(
            query={"summary": {"keys": [name]}},
            chart_name="wandb/histogram/v0",
            chart_fields={"value": name},
            chart_strings={"title": name},
        )
        for name in SPREAD
    }
    panels["phases"] = wr.ParallelCoordinatesPlot(
        title="The phases of each run",
        columns=[wr.ParallelCoordinatesPlotColumn(metrics[name]) for name in SPREAD],
    )
    panels["early-late"] = wr.ScatterPlot(
        title="Early against late", x=metrics["dqi_early"], y=metrics["dqi_late"]
    )
    for name, panel in panels.items():
        # the same each time, so that what a person sets for a panel in the app stays with it
        panel._id = f"dqitracking-{name}"
    return list(panels.values())
