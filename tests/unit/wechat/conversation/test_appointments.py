"""The title and window of a meeting out of one line, and lines that hold none."""

from __future__ import annotations

import pytest

from geo_engine.testing import noon_ms
from geo_engine.wechat.conversation.appointments import read_appointment

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
ZONE = "Asia/Shanghai"
MIDNIGHT_MS = noon_ms - 12 * HOUR_MS


def at(days: int, hour: float) -> int:
    """A moment by the clock of Wuhan, days after 2026-10-19."""
    return MIDNIGHT_MS + days * DAY_MS + round(hour * HOUR_MS)


@pytest.mark.parametrize(
    ("line", "title", "begin", "end"),
    [
        ("周会 14:00-15:30", "周会", at(0, 14), at(0, 15.5)),
        ("14:00-15:30 周会", "周会", at(0, 14), at(0, 15.5)),
        ("周会 １４：００～１５：３０", "周会", at(0, 14), at(0, 15.5)),
        ("周会 14点到15点半", "周会", at(0, 14), at(0, 15.5)),
        ("Weekly meeting 14:00 to 15:30", "Weekly meeting", at(0, 14), at(0, 15.5)),
        ("周会 9:00-10:00", "周会", at(1, 9), at(1, 10)),
        ("周会 11:00-13:00", "周会", at(0, 11), at(0, 13)),
        ("周会 明天 14:00-15:00", "周会", at(1, 14), at(1, 15)),
        ("Weekly tomorrow 9:00-10:00", "Weekly", at(1, 9), at(1, 10)),
        ("周会 后天9:00-10:00", "周会", at(2, 9), at(2, 10)),
        ("周会 10-21 9:00-10:00", "周会", at(2, 9), at(2, 10)),
        ("周会 10月21日 9:00-10:00", "周会", at(2, 9), at(2, 10)),
        ("周会 2026-10-21 9:00-10:00", "周会", at(2, 9), at(2, 10)),
        ("夜班 22:00-2:00", "夜班", at(0, 22), at(1, 2)),
        ("夜班 20:00-24:00", "夜班", at(0, 20), at(1, 0)),
        ("项目3 14:00-15:00", "项目3", at(0, 14), at(0, 15)),
        ("14:00-15:00", "", at(0, 14), at(0, 15)),
    ],
)
def test_a_line_is_read(line: str, title: str, begin: int, end: int) -> None:
    found = read_appointment(line, noon_ms, ZONE)
    assert found is not None
    assert (found.title, found.from_ms, found.until_ms) == (title, begin, end)


def test_a_day_that_is_over_this_year_is_next_years() -> None:
    found = read_appointment("新年 1-2 9:00-10:00", noon_ms, ZONE)
    assert found is not None
    assert found.from_ms == at(75, 9)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "周会",
        "周会 14:00",
        "周会 25:00-26:00",
        "周会 14:70-15:00",
        "周会 14:00-14:00",
        "周会 2-30 9:00-10:00",
        "11-26",
    ],
)
def test_a_line_without_a_window_that_can_be_is_none(line: str) -> None:
    assert read_appointment(line, noon_ms, ZONE) is None
