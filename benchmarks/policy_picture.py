"""Two pictures of a policy day as one SVG: messages by hour and grade, and users by the number of messages they got."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log10
from typing import Any, Final

from benchmarks.bars import STYLE
from geo_engine.alerting.policy import Grade

__all__ = ["draw"]

_WIDTH: Final = 760
_CHART: Final = 220
_LEFT: Final = 70
_COLOURS: Final = {
    "severe_restriction": "#a40e26",
    "restriction": "#e5534b",
    "construction": "#d4a72c",
    "congestion": "#1f6feb",
    "venue": "#8b949e",
}


def draw(found: Mapping[str, Any]) -> str:
    """Return the picture of the second day with the arbiter: the first on which it knows what will be needed."""
    day = found["arbiter"]["days"][min(1, len(found["arbiter"]["days"]) - 1)]
    height = 2 * _CHART + 210
    title = f"One city day: {found['users']:,} users, {found['quota']:,} messages"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        f"<title>{title}</title><style>{STYLE}</style>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text class="head" x="12" y="24">{title}; second day, sent by hour</text>',
        *_legend(day),
        *_hours(day["messages_by_hour"], top=84),
        f'<text class="head" x="12" y="{_CHART + 140}">Users by messages received that day (logarithmic)</text>',
        *_users(day["users_by_messages"], top=_CHART + 156),
        "</svg>",
        "",
    ]
    return "\n".join(parts)


def _legend(day: Mapping[str, Any]) -> list[str]:
    names = [grade.name.lower() for grade in Grade]
    parts = []
    for place, name in enumerate(name for name in names if day["sent"][name] or day["refused_for_quota"][name]):
        label = f"{name.replace('_', ' ')}: {day['sent'][name]:,} sent, {day['refused_for_quota'][name]:,} refused"
        x, y = 12 + 370 * (place % 2), 36 + 16 * (place // 2)
        parts.append(f'<rect x="{x}" y="{y}" width="10" height="10" fill="{_COLOURS[name]}"/>')
        parts.append(f'<text class="note" x="{x + 13}" y="{y + 9}">{label}</text>')
    return parts


def _hours(hours: Sequence[Mapping[str, int]], *, top: int) -> list[str]:
    most = max(*(sum(hour.values()) for hour in hours), 1)
    step = (_WIDTH - _LEFT - 20) / 24
    parts = [f'<text class="note" x="{_LEFT - 6}" y="{top + 10}" text-anchor="end">{most:,}</text>']
    for number, hour in enumerate(hours):
        x, y = _LEFT + step * number, float(top + _CHART)
        for name, count in hour.items():
            tall = _CHART * count / most
            y -= tall
            size = f'width="{step - 3:.1f}" height="{tall:.1f}"'
            parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" {size} fill="{_COLOURS[name]}"/>')
        if number % 3 == 0:
            parts.append(f'<text class="note" x="{x:.1f}" y="{top + _CHART + 16}">{number}:00</text>')
    return parts


def _users(histogram: Mapping[str, int], *, top: int) -> list[str]:
    most = log10(max(histogram.values()) + 1)
    columns = max(map(int, histogram)) + 1
    step = (_WIDTH - _LEFT - 20) / max(columns, 12)
    parts = []
    for text, count in histogram.items():
        x, tall = _LEFT + step * int(text), (_CHART - 20) * log10(count + 1) / most
        y = top + _CHART - tall
        parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{step - 4:.1f}" height="{tall:.1f}" fill="#57606a"/>'
            f'<text class="note" x="{x:.1f}" y="{y - 4:.1f}">{_short(count)}</text>'
            f'<text class="note" x="{x:.1f}" y="{top + _CHART + 16}">{text}</text>'
        )
    return parts


def _short(count: int) -> str:
    if count < 10_000:
        return str(count)
    return f"{count / 1e6:.1f}M" if count >= 1_000_000 else f"{count // 1000}k"
