"""A picture of the benchmark's city as SVG: the whole of it, and three kilometres of it with pings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import shapely

from benchmarks.city_streets import KM, LAT, LON
from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.model import ZoneKind
from geo_engine.zones.zoneset import ZoneSet

if TYPE_CHECKING:
    from benchmarks.city import City

__all__ = ["draw_city"]

_SIDE_PX: Final = 620
_GAP_PX: Final = 20
_HEAD_PX: Final = 44
_FOOT_PX: Final = 56

_COLOURS: Final = {
    ZoneKind.CONGESTION: ("#f2a900", "congestion"),
    ZoneKind.TRUCK_RESTRICTION: ("#d1242f", "restriction"),
    ZoneKind.CONSTRUCTION: ("#8250df", "construction"),
}
_STYLE: Final = (
    "text{font:13px sans-serif;fill:#24292f}.head{font-weight:600;font-size:15px}.note{font-size:12px;fill:#57606a}"
    ".street{fill:none;stroke:#c9d1d9}.zone{fill-rule:evenodd;fill-opacity:.22;stroke-opacity:.8}"
)


@dataclass(frozen=True, slots=True)
class _Panel:
    """A square window: its left edge in pixels, and what it shows."""

    left_px: float
    middle_m: tuple[float, float]
    side_m: float

    def px(self, metres: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return pixels of places in metres round the middle of the city."""
        scale = _SIDE_PX / self.side_m
        x = self.left_px + _SIDE_PX / 2 + (metres[:, 0] - self.middle_m[0]) * scale
        y = _HEAD_PX + _SIDE_PX / 2 - (metres[:, 1] - self.middle_m[1]) * scale
        return np.column_stack([x, y])

    def shows(self, shape: shapely.Geometry) -> shapely.Geometry:
        """Return what of a shape in metres lies in the window, without detail that cannot be seen."""
        (east, north), half = self.middle_m, self.side_m / 2
        window = (east - half, north - half, east + half, north + half)
        return shapely.clip_by_rect(shapely.simplify(shape, self.side_m / _SIDE_PX), *window)


def draw_city(city: City, zones: ZoneSet, note: str) -> str:
    """Return the SVG; ``note`` goes below the picture."""
    width, height = 2 * _SIDE_PX + 3 * _GAP_PX, _HEAD_PX + _SIDE_PX + _FOOT_PX
    whole = _Panel(_GAP_PX, (0.0, 0.0), 56.0 * KM)
    close = _Panel(_SIDE_PX + 2 * _GAP_PX, (0.0, 0.0), 3.0 * KM)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>The city of the benchmarks</title><style>{_STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text class="head" x="{_GAP_PX}" y="28">The whole city, 40 x 40 km</text>',
        f'<text class="head" x="{close.left_px}" y="28">Its middle, 3 x 3 km: zones, venues and 60 s of pings</text>',
        *_panel(whole, city, zones, stroke_px=0.3),
        *_panel(close, city, zones, stroke_px=1.2),
        *_venues(close, city),
        *_pings(close, city),
        *_legend(height - 30),
        f'<text class="note" x="{_GAP_PX}" y="{height - 10}">{escape(note)}</text>',
        "</svg>",
        "",
    ]
    return "\n".join(lines)


def _panel(panel: _Panel, city: City, zones: ZoneSet, *, stroke_px: float) -> Iterator[str]:
    frame = f'x="{panel.left_px}" y="{_HEAD_PX}" width="{_SIDE_PX}" height="{_SIDE_PX}"'
    yield f'<rect {frame} fill="#f6f8fa" stroke="#d0d7de"/>'
    streets = "".join(_path(panel, panel.shows(street)) for street in city.streets.lines())
    yield f'<path class="street" stroke-width="{stroke_px}" d="{streets}"/>'
    for kind, (colour, _) in _COLOURS.items():
        shapes = [_metres(zone.geometry) for zone in zones.zones if zone.kind is kind]
        visible = [panel.shows(shape) for shape in shapes]
        # One path a zone: in a common one, overlapping zones would cut holes into each other.
        paths = "".join(f'<path d="{_path(panel, shape)}"/>' for shape in visible if not shape.is_empty)
        yield f'<g class="zone" fill="{colour}" stroke="{colour}" stroke-width="{2 * stroke_px}">{paths}</g>'


def _venues(panel: _Panel, city: City) -> Iterator[str]:
    places = _to_metres(np.column_stack(city.venues()))
    yield from _dots(panel, places, radius_px=1.6, colour="#0969da")


def _pings(panel: _Panel, city: City) -> Iterator[str]:
    traffic = city.traffic(40_000)
    for _ in range(12):
        batch = traffic.tick()
        places = _to_metres(np.column_stack([batch.lon, batch.lat]))
        yield from _dots(panel, places[batch.u7 % 40 == 0], radius_px=1.3, colour="#1a7f37")


def _dots(panel: _Panel, places: npt.NDArray[np.float64], *, radius_px: float, colour: str) -> Iterator[str]:
    near = (np.abs(places - panel.middle_m) < panel.side_m / 2).all(axis=1)
    dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in panel.px(places[near]).tolist())
    yield f'<path d="{dots}" fill="none" stroke="{colour}" stroke-width="{2 * radius_px}" stroke-linecap="round"/>'


def _legend(top_px: float) -> Iterator[str]:
    entries = [*_COLOURS.values(), ("#0969da", "venue"), ("#1a7f37", "ping")]
    for number, (colour, name) in enumerate(entries):
        left = _GAP_PX + 130 * number
        yield f'<rect x="{left}" y="{top_px - 11}" width="12" height="12" fill="{colour}"/>'
        yield f'<text x="{left + 18}" y="{top_px}">{name}</text>'


def _path(panel: _Panel, shape: shapely.Geometry) -> str:
    """Return the path data of lines and of rings."""
    parts = []
    for part in shapely.get_parts(shape):
        areas = shapely.get_rings(part) if part.geom_type == "Polygon" else [part]
        for line in areas:
            corners = panel.px(shapely.get_coordinates(line)).tolist()
            parts.append("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in corners))
    return "".join(parts)


def _metres(shape: shapely.Geometry) -> shapely.Geometry:
    moved: shapely.Geometry = shapely.transform(shape, _to_metres)
    return moved


def _to_metres(degrees: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    east, north = metres_per_degree(np.array(LAT))
    moved: npt.NDArray[np.float64] = (degrees - (LON, LAT)) * (float(east), float(north))
    return moved
