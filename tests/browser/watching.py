"""A page whose complaints are kept: errors, dialogs, and requests that leave the machine."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Dialog, Page, Request

OF_MLFLOW = (
    # MLflow 3.17 asks every server who is there; one without passwords has no such page
    re.compile(r"status of 404 .* /ajax-api/2\.0/mlflow/users/current$"),
)
"""Errors on the console of a plain MLflow page, without any run of ours in it."""


@dataclass
class Watched:
    """A page, and what it did that it should not have done.

    Attributes
    ----------
    page : Page
    problems : list of str
        Errors of scripts and on the console, dialogs, and requests to other machines, all of
        which a test must find empty at its end.
    """

    page: Page
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("dialog", self._dialog)
        self.page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        where = urlsplit(message.location.get("url", ""))
        told = f"{message.text} {where.path}"
        if message.type == "error" and not any(each.search(told) for each in OF_MLFLOW):
            self.problems.append(f"console: {told}")

    def _dialog(self, dialog: Dialog) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob", "file", "about") and parts.hostname != "127.0.0.1":
            self.problems.append(f"request: {request.url}")
