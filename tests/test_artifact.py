"""phases.json: follows its published schema whatever was scored, and reads back."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dqi_tracking.report
from dqi_tracking.engine import score
from dqi_tracking.errors import ReadRejected
from dqi_tracking.insight.insight import INSIGHT_VERSION, insight_of
from dqi_tracking.report.artifact import json_schema, phases_json, read_phases
from dqi_tracking.types import History, MetricKey, RunRef

SCHEMA_FILE = Path(dqi_tracking.report.__file__).with_name("phases.schema.json")
SCHEMA = json.loads(SCHEMA_FILE.read_text())
OPTIONS = {
    "nan_policy": "propagate",
    "units": "relative",
    "duplicates": "last",
    "weights": [0.5, 0.3, 0.2],
}
LOSS = [4.0, 3.1, 3.3, 2.2, 2.4, 1.9, 2.0, 1.6, 1.7, 1.5, 1.55, 1.5]
REF = RunRef("0af3", "baseline", "wmt", loss_keys=(MetricKey(("train/loss",)),))

values = st.floats(width=64) | st.floats(0, 10)
histories = st.lists(st.tuples(st.floats(-1e150, 1e150), values), max_size=40).map(
    lambda rows: History([step for step, _ in rows], [value for _, value in rows])
)


def written(history: History, ref: RunRef = REF, **options: object) -> bytes:
    chosen = OPTIONS | options
    return phases_json(
        score(history, **chosen),
        ref,
        insight=insight_of(history),
        options=chosen,
        fingerprint="f00d",
        scored_at="2026-11-22T01:40:00Z",
    )


def test_committed_schema_is_that_of_the_model() -> None:
    command = "python -m dqi_tracking.report.artifact > dqi_tracking/report/phases.schema.json"
    assert json_schema() == SCHEMA, f"the model changed; write its schema anew: {command}"


@given(
    history=histories,
    name=st.text(st.characters()),
    nan_policy=st.sampled_from(["propagate", "omit", "interpolate"]),
    units=st.sampled_from(["relative", "raw"]),
    duplicates=st.sampled_from(["last", "keep"]),
)
@settings(deadline=None)
def test_any_score_gives_json_by_the_schema_that_reads_back(
    history: History, name: str, nan_policy: str, units: str, duplicates: str
) -> None:
    options = {"nan_policy": nan_policy, "units": units, "duplicates": duplicates}
    data = written(history, RunRef("0af3", name), **options)
    jsonschema.validate(json.loads(data, parse_constant=pytest.fail), SCHEMA)
    assert read_phases(data).model_dump_json(indent=2).encode() + b"\n" == data


def test_numbers_are_those_of_the_score() -> None:
    history = History(range(0, 120, 10), LOSS, loss_key="train/loss")
    result, artifact = score(history), read_phases(written(history))
    assert artifact.dqi == result.dqi
    assert artifact.dqi_raw == result.dqi_raw
    assert artifact.phases.late.structure == result.late.structure
    assert artifact.boundaries is not None
    assert artifact.boundaries.mid_late.index == result.mid.stop
    assert artifact.boundaries.mid_late.step == result.late.start_step
    assert artifact.signal.key == "train/loss"
    assert artifact.engine_version == result.version


def test_state_and_findings_are_those_of_the_insight() -> None:
    history = History([*range(0, 120, 10), 110], [*LOSS, 1.5], grad_norm=[2.0] * 13)
    insight, artifact = insight_of(history), read_phases(written(history))
    assert artifact.state is not None
    assert artifact.findings is not None
    assert artifact.cohort_reading is not None
    assert (artifact.state.name, artifact.state.sentence) == (
        insight.state.name,
        insight.state.sentence,
    )
    assert artifact.state.evidence["grad_ratio"] == insight.state.evidence["grad_ratio"] == 1.0
    assert artifact.state.evidence["validation_drop"] is None
    (found,) = artifact.findings
    told = (found.name, found.start_step, found.stop_step, found.size)
    assert told == ("duplicated_steps", 110.0, 110.0, 1.0)
    assert artifact.cohort_reading.lowest_loss == insight.cohort_reading.lowest_loss
    assert artifact.insight_version == INSIGHT_VERSION


def test_a_file_of_the_first_version_reads_without_state_and_findings() -> None:
    document = json.loads(written(History(range(12), LOSS)))
    for later in ("state", "findings", "cohort_reading", "insight_version"):
        del document[later]
    old = read_phases(json.dumps(document | {"schema_version": 1}).encode())
    assert old.dqi == document["dqi"]
    assert (old.state, old.findings, old.cohort_reading, old.insight_version) == (None,) * 4


def test_the_same_input_gives_the_same_bytes() -> None:
    history = History(range(12), LOSS)
    assert written(history) == written(history)


def test_no_score_is_null_and_not_nan() -> None:
    document = json.loads(written(History(range(12), [float("nan"), *LOSS[1:]])))
    assert document["status"] == "nan"
    assert document["dqi"] is None
    assert document["phases"]["early"]["coverage"] is None
    assert document["boundaries"] is None


@pytest.mark.parametrize(
    ("ref", "source"),
    [
        (RunRef("r", loss_keys=(MetricKey(("a", "b")),)), "loss"),
        (RunRef("r", grad_norm_keys=(MetricKey(("a", "b")),)), "grad_norm"),
        (RunRef("r"), None),
    ],
)
def test_source_is_what_the_listing_says_of_the_key(ref: RunRef, source: str | None) -> None:
    data = written(History(range(12), LOSS, loss_key="a + b"), ref)
    assert read_phases(data).signal.source == source


def test_names_lose_what_a_terminal_would_obey() -> None:
    ref = RunRef("r", "\x1b[31mred\x9b2J\nline\u202e\ud800 训练 🚀")
    assert read_phases(written(History([]), ref)).run.name == "[31mred2J line 训练 🚀"


def damaged(data: bytes) -> dict[str, bytes]:
    document = json.loads(data)
    return {
        "empty": b"",
        "no json": b"<html>",
        "not utf-8": b"\xff\xfe",
        "another document": b"[1, 2]",
        "nan": data.replace(b'"n_nonfinite": 0', b'"n_nonfinite": NaN'),
        "unknown field": json.dumps(document | {"\x1b[2Jmore": 1}).encode(),
        "missing field": json.dumps({k: v for k, v in document.items() if k != "dqi"}).encode(),
        "out of range": json.dumps(document | {"dqi": 1.5}).encode(),
        "number as text": json.dumps(document | {"dqi": "0.5"}).encode(),
    }


DAMAGED = damaged(written(History(range(12), LOSS)))


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_what_does_not_follow_the_schema_is_rejected_with_a_fix(data: bytes) -> None:
    with pytest.raises(ReadRejected, match=re.escape("phases.json cannot be read")) as caught:
        read_phases(data)
    assert caught.value.fix
    assert caught.value.message.isprintable()


@given(share=st.floats(0, 1, exclude_max=True))
@settings(deadline=None)
def test_a_file_cut_short_is_rejected(share: float) -> None:
    data = written(History(range(12), LOSS)).rstrip()
    with pytest.raises(ReadRejected):
        read_phases(data[: int(share * len(data))])


def test_a_newer_schema_asks_for_an_upgrade() -> None:
    data = written(History([])).replace(b'"schema_version": 2', b'"schema_version": 3')
    with pytest.raises(ReadRejected) as caught:
        read_phases(data)
    assert "upgrade" in caught.value.fix
