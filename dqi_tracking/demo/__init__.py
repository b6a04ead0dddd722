"""Real runs shipped with the package, and their way into a local MLflow store.

`SOURCES.md` beside this file names where they come from, and their licences.
"""

from dqi_tracking.demo.store import EXPERIMENT, DemoStore, import_runs

__all__ = ["EXPERIMENT", "DemoStore", "import_runs"]
