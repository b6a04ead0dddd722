"""The Kubernetes recipe, against the types of the fields it uses."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
import yaml

from dqi_tracking.cli.exits import ExitCode
from dqi_tracking.config import Settings
from tests.test_deploy import DEPLOY, check_cron

WHOLE = {"type": "integer", "minimum": 0}
TEXT = {"type": "string", "minLength": 1}
FLAG = {"type": "boolean"}
NAME = {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}
SIZE = {"type": "string", "pattern": r"^[1-9][0-9]*(m|Ki|Mi|Gi)?$"}
ID = {"type": "integer", "minimum": 1}


def some(needed: str = "", **fields: Any) -> dict[str, Any]:
    """Return the schema of an object with these fields and no others."""
    return {
        "type": "object",
        "properties": fields,
        "required": needed.split(),
        "additionalProperties": False,
    }


def every(item: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a list of one kind that is not empty."""
    return {"type": "array", "items": item, "minItems": 1}


LABELS = {"type": "object", "additionalProperties": TEXT}
CONTAINER = some(
    "name image args securityContext resources",
    name=NAME,
    image={"type": "string", "pattern": r"^[^\s:]+(:\d+)?/[^\s:]+:(?!latest$)[\w.-]+$"},
    args=every(TEXT),
    workingDir=TEXT,
    envFrom=every(some("secretRef", secretRef=some("name", name=NAME))),
    env=every(some("name value", name={"type": "string", "pattern": "^[A-Z_]+$"}, value=TEXT)),
    resources=some(
        "requests limits", requests=some(cpu=SIZE, memory=SIZE), limits=some(cpu=SIZE, memory=SIZE)
    ),
    securityContext=some(
        "allowPrivilegeEscalation readOnlyRootFilesystem capabilities",
        allowPrivilegeEscalation={"const": False},
        readOnlyRootFilesystem={"const": True},
        capabilities=some("drop", drop={"const": ["ALL"]}),
    ),
    volumeMounts=every(some("name mountPath", name=NAME, mountPath=TEXT)),
)
POD = some(
    "restartPolicy containers securityContext terminationGracePeriodSeconds",
    # with a policy for failures, nothing else is taken
    restartPolicy={"const": "Never"},
    automountServiceAccountToken={"const": False},
    terminationGracePeriodSeconds=WHOLE,
    securityContext=some(
        "runAsNonRoot runAsUser seccompProfile",
        runAsNonRoot={"const": True},
        runAsUser=ID,
        runAsGroup=ID,
        fsGroup=ID,
        seccompProfile=some("type", type={"const": "RuntimeDefault"}),
    ),
    containers=every(CONTAINER),
    volumes=every(some("name emptyDir", name=NAME, emptyDir=some(sizeLimit=SIZE))),
)
RULE = some(
    "action",
    action={"enum": ["Ignore", "FailJob", "Count"]},
    onPodConditions=every(some("type status", type=TEXT, status={"enum": ["True", "False"]})),
    onExitCodes=some(
        "operator values",
        containerName=NAME,
        operator={"enum": ["In", "NotIn"]},
        values={"type": "array", "items": ID, "minItems": 1, "uniqueItems": True},
    ),
)
JOB = some(
    "template backoffLimit",
    backoffLimit=WHOLE,
    activeDeadlineSeconds=ID,
    podFailurePolicy=some("rules", rules=every(RULE)),
    template=some("spec", metadata=some(labels=LABELS), spec=POD),
)
CRON_JOB = some(
    "apiVersion kind metadata spec",
    apiVersion={"const": "batch/v1"},
    kind={"const": "CronJob"},
    metadata=some("name", name=NAME, labels=LABELS),
    spec=some(
        "schedule concurrencyPolicy jobTemplate",
        schedule=TEXT,
        timeZone=TEXT,
        concurrencyPolicy={"const": "Forbid"},
        startingDeadlineSeconds=ID,
        successfulJobsHistoryLimit=WHOLE,
        failedJobsHistoryLimit=WHOLE,
        jobTemplate=some("spec", spec=JOB),
    ),
)


@pytest.fixture
def manifest() -> dict[str, Any]:
    """Give the recipe, as YAML has it."""
    return yaml.safe_load((DEPLOY / "kubernetes/cronjob.yaml").read_text(encoding="utf-8"))


@pytest.fixture
def pod(manifest: dict[str, Any]) -> dict[str, Any]:
    """Give the part that describes the pod."""
    return manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def test_every_field_is_known_and_of_its_type(manifest: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(CRON_JOB)
    jsonschema.validate(manifest, CRON_JOB)
    check_cron(manifest["spec"]["schedule"])


Spoil = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda spec: spec.update(concurencyPolicy="Forbid"),
        lambda spec: spec.update(concurrencyPolicy="Allow"),
        lambda spec: spec["jobTemplate"]["spec"].update(backoffLimit="2"),
        lambda spec: spec["jobTemplate"]["spec"]["template"]["spec"].pop("securityContext"),
        lambda spec: spec["jobTemplate"]["spec"]["template"]["spec"]["containers"][0].update(
            image="registry.example.com/dqi:latest"
        ),
    ],
)
def test_a_mistake_in_the_manifest_is_seen(manifest: dict[str, Any], spoil: Spoil) -> None:
    spoiled = copy.deepcopy(manifest)
    spoil(spoiled["spec"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spoiled, CRON_JOB)


def test_only_a_tracker_that_is_down_is_tried_again_at_once(manifest: dict[str, Any]) -> None:
    rules = manifest["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    (final,) = (rule["onExitCodes"] for rule in rules if rule["action"] == "FailJob")
    assert final["values"] == [ExitCode.SOME_FAILED, ExitCode.USAGE, ExitCode.LEASE_HELD]
    # the first rule that fits is taken: an eviction ends with 143 and is no failure
    assert [rule["action"] for rule in rules] == ["Ignore", "FailJob"]
    assert ExitCode.TRACKER not in final["values"]


def test_all_that_is_written_has_a_volume(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert list(mounts) == [each["name"] for each in pod["volumes"]]
    env = {each["name"]: each["value"] for each in container["env"]}
    assert "state_dir" in Settings.model_fields
    assert env["DQI_STATE_DIR"] == mounts["state"]
    assert env["HOME"] == container["workingDir"] == mounts["tmp"] == "/tmp"


def test_the_exit_codes_are_those_of_the_container(
    manifest: dict[str, Any], pod: dict[str, Any]
) -> None:
    (container,) = pod["containers"]
    rules = manifest["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    assert rules[1]["onExitCodes"]["containerName"] == container["name"]
