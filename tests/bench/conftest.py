"""Prints what each benchmark measured besides time: points a second, peak memory."""

import pytest

MEASURED = pytest.StashKey[list[str]]()


@pytest.fixture(autouse=True)
def measured(request, benchmark):
    yield
    told = ", ".join(f"{name} = {value}" for name, value in benchmark.extra_info.items())
    if told:
        request.config.stash.setdefault(MEASURED, []).append(f"{request.node.name}: {told}")


def pytest_terminal_summary(terminalreporter):
    lines = terminalreporter.config.stash.get(MEASURED, [])
    if lines:
        terminalreporter.section("besides time")
        for line in lines:
            terminalreporter.write_line(line)
