"""The interval of `--every`: what is one, and what a person is told where it is none."""

from __future__ import annotations

import pytest

from dqi_tracking.backfill.schedule import SHORTEST, interval_of
from dqi_tracking.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10s", 10), ("90s", 90), ("15m", 900), ("2h", 7_200), ("1d", 86_400), ("1w", 604_800)],
)
def test_an_interval_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert interval_of(text) == seconds


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("", "15m"),
        ("15", "15m"),
        ("m", "15m"),
        ("-15m", "15m"),
        ("1.5h", "15m"),
        ("15 m", "15m"),
        ("15m\n", "15m"),
        ("\u0661\u0665m", "15m"),
        ("15M", "15m"),
        ("1h30m", "15m"),
        ("*/15 * * * *", "15m"),
        ("9" * 5_000 + "s", "15m"),
        ("0m", f"{SHORTEST}s or more"),
        ("9s", f"{SHORTEST}s or more"),
        ("31d", "30d or less"),
        ("999999999w", "30d or less"),
    ],
)
def test_what_is_no_interval_is_told_with_its_fix(text: str, fix: str) -> None:
    with pytest.raises(ConfigError, match="--every") as caught:
        interval_of(text)
    assert fix in caught.value.fix
