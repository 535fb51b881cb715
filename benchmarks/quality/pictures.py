"""Pictures of the quality benchmark as SVG: recall against precision, and one driver's warnings on the map."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import Final

import numpy as np
import shapely

from benchmarks.quality.city_case import CityCase
from benchmarks.quality.frame import Metres
from benchmarks.quality.score import Score, Verdict

__all__ = ["draw_curves", "draw_driver", "telling_driver"]

_STYLE: Final = (
    "text{font:13px sans-serif;fill:#24292f}.head{font-weight:600;font-size:15px}.note{font-size:12px;fill:#57606a}"
    ".grid{stroke:#d8dee4;stroke-width:1}.street{fill:none;stroke:#c9d1d9;stroke-width:3}"
    ".way{fill:none;stroke:#0969da;stroke-width:1.6;stroke-opacity:.65}"
)
_COLOURS: Final = ("#24292f", "#d1242f", "#0969da", "#1a7f37", "#bf8700", "#8250df", "#6e7781")
_SIDE: Final = 480
_LEFT: Final = 64
_TOP: Final = 48
_MAP: Final = 760
_SORTS: Final = {"section": "#d1242f", "area": "#d1242f", "parallel": "#6e7781", "behind": "#6e7781"}


def draw_curves(curves: Mapping[str, Sequence[Score]], named: Mapping[str, tuple[float, float]], note: str) -> str:
    """Return the curves; ``named`` are single points of (recall, precision) with a label."""
    width, height = _LEFT + _SIDE + 260, _TOP + _SIDE + 84
    lines = [*_opened(width, height, "Recall against precision of warnings"), *_axes()]
    for number, (name, points) in enumerate(curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        lines += _curve(points, colour, dots=name != "ceiling")
        lines += _legend(_LEFT + _SIDE + 24, _TOP + 16 + 22 * number, colour, name)
    for number, (name, (recall, precision)) in enumerate(named.items()):
        x, y = _at(recall, precision)
        top = _TOP + 40 + 22 * (len(curves) + number)
        lines.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="7" fill="none" stroke="#24292f" stroke-width="1.5"/>')
        lines.append(f'<text x="{x + 10:.1f}" y="{y + 4:.1f}">{number + 1}</text>')
        lines.append(f'<text x="{_LEFT + _SIDE + 24}" y="{top}">{number + 1}: {escape(name)}</text>')
    lines.append(f'<text class="note" x="{_LEFT}" y="{height - 14}">{escape(note)}</text>')
    return "\n".join([*lines, "</svg>", ""])


def _opened(width: float, height: float, title: str) -> Iterator[str]:
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">'
    yield f"<title>{escape(title)}</title><style>{_STYLE}</style>"
    yield f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    yield f'<text class="head" x="{_LEFT if height < 700 else 16}" y="28">{escape(title)}</text>'


def _at(recall: float, precision: float) -> tuple[float, float]:
    return _LEFT + recall * _SIDE, _TOP + (1.0 - precision) * _SIDE


def _axes() -> Iterator[str]:
    for tick in np.linspace(0.0, 1.0, 11).tolist():
        x, y = _at(tick, tick)
        yield f'<path class="grid" d="M{x:.1f} {_TOP}v{_SIDE}M{_LEFT} {y:.1f}h{_SIDE}"/>'
        yield f'<text x="{x:.1f}" y="{_TOP + _SIDE + 18}" text-anchor="middle">{tick:.1f}</text>'
        yield f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:.1f}</text>'
    yield f'<text x="{_LEFT + _SIDE / 2}" y="{_TOP + _SIDE + 40}" text-anchor="middle">recall</text>'
    middle = _TOP + _SIDE / 2
    yield f'<text x="18" y="{middle}" text-anchor="middle" transform="rotate(-90 18 {middle})">precision</text>'


def _curve(points: Sequence[Score], colour: str, *, dots: bool) -> Iterator[str]:
    places = [_at(point.recall, point.precision) for point in points if point.warnings]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    yield f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{1.6 if dots else 2.6}"/>'
    if dots:
        yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in places)


def _legend(left: float, top: float, colour: str, name: str) -> Iterator[str]:
    yield f'<rect x="{left}" y="{top - 10}" width="14" height="10" fill="{colour}"/>'
    yield f'<text x="{left + 22}" y="{top}">{escape(name)}</text>'


def telling_driver(verdict: Verdict, users: int) -> int:
    """Return the user whose warnings show most: good ones, false ones and missed visits, the rarest counted most."""
    good = np.bincount(verdict.warnings.u7[verdict.came_true], minlength=users)
    false = np.bincount(verdict.warnings.u7[~verdict.came_true], minlength=users)
    missed = np.bincount(verdict.visits.u7[~verdict.in_time], minlength=users)
    return int(np.argmax(np.minimum(np.minimum(good, false), missed) * 100 + good))


def draw_driver(case: CityCase, verdict: Verdict, user: int, note: str) -> str:
    """Return the map with one driver's true way, the zones, his warnings and the visits he was not warned of."""
    way = case.drives.place[:, user]
    low = way.min(axis=0) - 150.0
    scale = _MAP / float((way.max(axis=0) + 150.0 - low).max())

    def px(metres: Metres) -> Metres:
        return np.column_stack([(metres[:, 0] - low[0]) * scale, _TOP + _MAP - (metres[:, 1] - low[1]) * scale])

    window = shapely.box(*low, *(low + _MAP / scale))
    lines = [*_opened(_MAP, _TOP + _MAP + 84, f"Warnings of driver {user}: one way of judging, against the truth")]
    streets = "".join(_path(px, shapely.intersection(line, window)) for line in case.streets.lines())
    lines.append(f'<path class="street" d="{streets}"/>')
    for shape, sort in zip(case.grounds.shapes, case.grounds.sort, strict=True):
        visible = shapely.intersection(shape, window)
        lines.append(f'<path d="{_path(px, visible)}" fill="{_SORTS[sort]}" fill-opacity=".25"/>')
    lines.append(f'<path class="way" d="{_path(px, shapely.LineString(way[::5]))}"/>')
    lines += _marks(case, verdict, user, px)
    lines.append(f'<text class="note" x="16" y="{_TOP + _MAP + 66}">{escape(note)}</text>')
    return "\n".join([*lines, "</svg>", ""])


def _marks(case: CityCase, verdict: Verdict, user: int, px: Callable[[Metres], Metres]) -> Iterator[str]:
    own, visited = verdict.warnings.u7 == user, verdict.visits.u7 == user
    groups = (
        ("#1a7f37", "warned, came true", verdict.warnings.time_ms[own & verdict.came_true]),
        ("#bf8700", "warned, did not come true", verdict.warnings.time_ms[own & ~verdict.came_true]),
        ("#d1242f", "visit without a warning in time", verdict.visits.time_ms[visited & ~verdict.in_time]),
    )
    for number, (colour, label, times_ms) in enumerate(groups):
        places = px(case.drives.place[(times_ms - case.record.start_ms) // 1000, user]).tolist()
        dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in places)
        yield f'<path d="{dots}" stroke="{colour}" stroke-width="11" stroke-linecap="round"/>'
        yield from _legend(16 + 250 * number, _TOP + _MAP + 24, colour, f"{label}: {len(places)}")
    yield from _legend(16, _TOP + _MAP + 46, "#f3c5c9", "zone")
    yield from _legend(90, _TOP + _MAP + 46, "#dadce0", "decoy, which nobody drives into")


def _path(px: Callable[[Metres], Metres], shape: shapely.Geometry) -> str:
    parts = []
    for part in shapely.get_parts(shape):
        corners = px(shapely.get_coordinates(part)).tolist()
        if corners:
            parts.append("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in corners))
    return "".join(parts)
