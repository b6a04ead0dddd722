"""What the requests of a pass over W&B are for, and passes to be counted.

Left out is what the client tells its makers on its own (`/sdk/otel`, kind "other"): it is sent
now and then, not for a run.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timezone

from dqi_tracking import Query, Report, backfill
from dqi_tracking.config import load_settings
from dqi_tracking.names import FILES, FOLDER
from dqi_tracking.trackers.summary import KEYS
from dqi_tracking.trackers.wandb.artifacts import WRITER
from tests.wandb_server.client import PATH, P
from tests.wandb_server.exchange import Request
from tests.wandb_server.server import WandbServer
from tests.wandb_server.store import Row

PART = {
    "Viewer": "login",
    "ServerFeaturesQuery": "login",
    "RunHistoryKeys": "reading",
    "RunParquetHistory": "reading",
    "SampledHistoryPage": "reading",
    "HistoryPage": "reading",
    "CreateRunFiles": "files",
    "MarkRunFilesUploaded": "files",
    "ArtifactType": "artifact",
    "CreateArtifact": "artifact",
    "CreateArtifactManifest": "artifact",
    "CreateArtifactFiles": "artifact",
    "CommitArtifact": "artifact",
    "ArtifactByID": "artifact",
    "RunResumeStatus": "writer run",
    "UpsertBucket": "summary",
}
OF_AN_ARTIFACT = {*FILES, "wandb_manifest.json"}
SEEDED_AT = datetime(2026, 1, 1, tzinfo=timezone.utc)


def part_of(request: Request) -> str:
    """Return what a request is for; KeyError where the client sends what it did not before."""
    if WRITER in (request.variables.get("run"), request.variables.get("name")):
        return "writer run"
    if request.kind == "file_stream":
        return "writer run"
    if request.kind == "storage":
        return "reading" if request.method == "GET" else _upload(request.path)
    if request.operation == "Runs":
        # a listing asks for states; single runs are asked for before and after they are written
        return "listing" if "state" in json.loads(request.variables["filters"]) else "summary"
    return PART[request.operation]


def _upload(path: str) -> str:
    # the server puts a name of its own before that of the file
    name = path.removeprefix("/storage/").partition("/")[2].partition("?")[0]
    if name.startswith(f"{FOLDER}/"):
        return "files"
    return "artifact" if name in OF_AN_ARTIFACT else "writer run"


def counted(server: WandbServer) -> Counter[str]:
    """Return the number of requests for each part, since the last `reset_counts`."""
    return Counter(part_of(request) for request in server.seen if request.kind != "other")


def one_pass(
    server: WandbServer, *, artifact: bool = True, files: bool = True, limit: int | None = None
) -> tuple[Report, Counter[str]]:
    """Backfill the project; return the report, and the requests by part."""
    server.reset_counts()
    report = backfill(
        f"wandb:{PATH}",
        query=Query(limit=limit),
        files=files,
        settings=load_settings(artifact=artifact),
    )
    return report, counted(server)


def seed(server: WandbServer, n_runs: int, *keys: str) -> None:
    """Put runs in that are alike but for their names."""
    rows = [history_row(step, keys or ("loss",)) for step in range(30)]
    for number in range(n_runs):
        server.add_run(P, f"r{number}", history=rows, created_at=SEEDED_AT)


def history_row(step: int, keys: tuple[str, ...]) -> Row:
    return {key: (place + 1) / (step + 1) for place, key in enumerate(keys)}


def spread_one_score(server: WandbServer) -> None:
    """Score one run in truth and put its keys on all others: they are listed alike."""
    one_pass(server, artifact=False, files=False, limit=1)
    scored = next(run for run in server.runs(P) if "dqi_fingerprint" in server.run(P, run).summary)
    ours = {k: v for k, v in server.run(P, scored).summary.items() if k in KEYS}
    for run in server.runs(P):
        server.live(P, run).summary.update(ours)
