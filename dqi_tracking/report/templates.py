"""The templates of the pages, with all values escaped."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template


@cache
def template(name: str) -> Template:
    """Return a template of this package by its file name."""
    return _environment().get_template(name)


@cache
def _environment() -> Environment:
    folder = files("dqi_tracking.report")
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(lambda name: folder.joinpath(name).read_text(encoding="utf-8")),
    )
    # names stay as short as they are; what could end a script is escaped all the same
    environment.policies["json.dumps_kwargs"] = {
        "ensure_ascii": False,
        "separators": (",", ":"),
        "allow_nan": False,
    }
    return environment
