"""The image that the recipes share: small, of exact versions, and run by a plain user."""

from __future__ import annotations

import json
import re
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

import dqi_tracking
from tests.test_deploy import DEPLOY

ROOT = Path(__file__).parents[1]
Stages = tuple[list[tuple[str, str]], list[tuple[str, str]]]


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile with their arguments, comments left out."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [
        (word, rest.strip())
        for word, _, rest in (x.partition(" ") for x in joined.splitlines() if x)
    ]


@pytest.fixture(scope="module")
def stages() -> Stages:
    """Give the instructions that build, and those that make the image."""
    found = instructions()
    begins = [number for number, (word, _) in enumerate(found) if word == "FROM"]
    assert len(begins) == 2
    return found[: begins[1]], found[begins[1] :]


def test_both_stages_are_of_one_exact_python_that_is_supported(stages: Stages) -> None:
    build, result = (dict(stage)["FROM"] for stage in stages)
    assert build == f"{result} AS build"
    python = re.fullmatch(r"python:3\.(\d+)\.\d+-slim-\w+", result)
    assert python
    assert int(python[1]) >= 10


def test_nothing_is_installed_outside_of_the_stage_that_builds(stages: Stages) -> None:
    build, result = stages
    assert "pip --python /opt/dqi install" in " ".join(rest for _, rest in build)
    assert "--without-pip" in " ".join(rest for _, rest in build)
    told = " ".join(rest for _, rest in result)
    assert not re.search(r"\b(pip|apt-get|gcc|curl)\b", told)
    assert [rest for word, rest in result if word == "COPY"] == ["--from=build /opt/dqi /opt/dqi"]


def test_what_is_pinned_is_what_the_package_asks_for(stages: Stages) -> None:
    asked = map(Requirement, requires("dqi-tracking") or [])
    ranges = {each.name: each.specifier for each in asked}
    told = " ".join(rest for _, rest in stages[0]).replace("'", "")
    pins = dict(re.findall(r"([\w-]+)(?:\[\w+\])?==([\d.]+)", told))
    assert pins.keys() == {"mlflow", "wandb", "psycopg", "boto3"}
    for name, version in pins.items():
        assert name not in ranges or ranges[name].contains(version), name


def test_the_build_is_given_the_package_and_nothing_else(stages: Stages) -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    copied = [rest.split() for word, rest in stages[0] if word == "COPY"]
    needed = {source for *sources, _ in copied for source in sources}
    assert let_in == needed
    assert all((ROOT / each).exists() for each in needed)
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    named = dict(re.findall(r"^(readme|license-files|packages) = (.+)$", project, re.M))
    wheel = [*json.loads(named["license-files"]), *json.loads(named["packages"])]
    assert needed == {json.loads(named["readme"]), *wheel, "pyproject.toml"}


def test_it_runs_dqi_as_a_plain_user_at_home_in_the_folder_of_its_state(stages: Stages) -> None:
    told = dict(stages[1])
    assert told["ENTRYPOINT"] == '["dqi"]'
    assert "HEALTHCHECK" not in told
    user, group = told["USER"].split(":")
    assert user == group == "10001"
    assert f"--uid {user} --user-group" in re.sub(" +", " ", told["RUN"])
    variables = dict(pair.split("=") for pair in told["ENV"].split())
    assert variables["PATH"] == "/opt/dqi/bin:$PATH"
    home = re.search(r"--home-dir (\S+)", told["RUN"])
    assert home
    assert {variables["HOME"], variables["DQI_STATE_DIR"], told["WORKDIR"]} == {home[1]}


@pytest.fixture
def pod() -> dict[str, Any]:
    """Give the part of the Kubernetes recipe that describes the pod."""
    manifest = yaml.safe_load((DEPLOY / "kubernetes/cronjob.yaml").read_text(encoding="utf-8"))
    return manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def test_kubernetes_runs_it_by_its_name_and_as_its_user(
    stages: Stages, pod: dict[str, Any]
) -> None:
    (container,) = pod["containers"]
    context = pod["securityContext"]
    assert dict(stages[1])["USER"] == f"{context['runAsUser']}:{context['runAsGroup']}"
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert f"docker build -t {container['image']} ." in text
    assert container["image"].endswith(f":{dqi_tracking.__version__}")
    state = dict(pair.split("=") for pair in dict(stages[1])["ENV"].split())["DQI_STATE_DIR"]
    assert state in [each["mountPath"] for each in container["volumeMounts"]]
