"""The `dqi` command: one file a sub-command, `output` for what all of them print."""

from dqi_tracking.cli.app import main

__all__ = ["main"]
