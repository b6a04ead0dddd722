"""`dqi show` of runs in W&B, on a server and in a folder of the client's: text and picture."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from dqi_tracking.cli import main
from tests.wandb_project import ADDRESS, falling
from tests.wandb_server.client import SERVED, P
from tests.wandb_server.server import WandbServer

pytest_plugins = ["tests.wandb_server.fixtures", "tests.wandb_offline_fixtures"]


def texts(path: Path) -> set[str]:
    root = ET.fromstring(path.read_text(encoding="utf-8"))
    return {"".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text")}


class TestServer:
    pytestmark = SERVED

    def test_a_run_is_explained_and_drawn(
        self, wandb_server: WandbServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        wandb_server.add_run(P, "r", history=falling(80), name="$x_1$ \x1b[31m 训练")
        plot = tmp_path / "a.svg"
        assert main(["show", f"{ADDRESS}/r", "--plot", str(plot)]) == 0
        out, err = capsys.readouterr()
        assert out.startswith("$x_1$ [31m 训练  (")
        assert "weakest: " in out
        assert f"in the tracker: {wandb_server.url}/" in out
        assert err == f"plot: {plot}\n"
        assert any(text.endswith("· $x_1$ [31m 训练") for text in texts(plot))


def test_a_folder_of_the_client_is_explained_and_drawn(
    offline_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot = tmp_path / "a.svg"
    assert main(["show", str(offline_run.parent), "--plot", str(plot)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("my run  (proj, FINISHED, plain)\n")
    assert err == f"plot: {plot}\n"
    assert any(text.endswith("· my run") for text in texts(plot))
