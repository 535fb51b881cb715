"""The map picture of a replay: water, roads, zones, tracks and where each warning came, as one SVG text.

Needs no drawing library. The same input gives the same bytes; every text that came from outside is escaped.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import shapely
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from api import svg
from api.svg import INK, MAP_H, MAP_W, Box, Labels, Pen, View
from geo_engine.errors import Fault, InputError
from geo_engine.model import PingBatch, ZoneKind
from geo_engine.zones.zone import Zone

__all__ = ["BaseMap", "WarningMark", "draw_replay"]

_PANEL_W: Final = 360
_MARGIN: Final = 16
_WIDTH: Final = MAP_W + _PANEL_W + 3 * _MARGIN
_HEIGHT: Final = MAP_H + 2 * _MARGIN

# Where the scale bar and the north arrow stand: left, top, right, bottom in pixels.
_SCALE_SPOT: Final = (0.0, MAP_H - 52.0, 230.0, MAP_H)
_ARROW_SPOT: Final = (MAP_W - 70.0, 0.0, MAP_W, 80.0)

# What keeps the file below 500 KB however long the replay was.
_MOST_TRACK_POINTS: Final = 20_000
_MOST_PLAIN_MARKS: Final = 300
_MOST_NUMBERED: Final = 10

# More names than these hide the map.
_MOST_NAMES: Final = {
    ZoneKind.TRUCK_RESTRICTION: 14,
    ZoneKind.CONGESTION: 6,
    ZoneKind.CONSTRUCTION: 4,
    ZoneKind.VENUE: 12,
}

# A user silent for longer, or farther away at the next ping, begins a new line: nobody knows the way between.
_TRACK_GAP_MS: Final = 30_000
_TRACK_JUMP_M: Final = 1_500.0

_COLOURS: Final = {
    ZoneKind.TRUCK_RESTRICTION: "#c5283d",
    ZoneKind.CONGESTION: "#e08e0b",
    ZoneKind.CONSTRUCTION: "#8a6d1a",
    ZoneKind.VENUE: "#6a4c93",
}
_KIND_WORDS: Final = {
    ZoneKind.TRUCK_RESTRICTION: "货车限行区域 closed to trucks",
    ZoneKind.CONGESTION: "拥堵区域 congestion",
    ZoneKind.CONSTRUCTION: "施工区域 construction",
    ZoneKind.VENUE: "公共场所 venue",
}
_ROAD_WIDTHS: Final = {"expressway": 3.4, "ring": 3.0, "bridge": 2.8, "tunnel": 2.4, "main": 2.2, "street": 1.5}
_TRACK: Final = "#1d4e89"
_QUIET: Final = "#6b7280"
_FONTS: Final = "Noto Sans CJK SC, Noto Sans SC, PingFang SC, Microsoft YaHei, sans-serif"


@dataclass(frozen=True, slots=True)
class BaseMap:
    """What lies under the zones, as GeoJSON FeatureCollections; an empty mapping draws nothing.

    Attributes:
        water: polygons with ``name`` and ``name_en``.
        roads: lines with ``class``.
    """

    water: Mapping[str, Any] = field(default_factory=dict)
    roads: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WarningMark:
    """What the picture shows of one row of ``alerts.jsonl``.

    Attributes:
        u7: the user.
        time: as written in the file; orders the marks.
        zone: id of the zone.
        sent: True = sent, False = suppressed.
        lon: position of the user, WGS-84 degrees.
        lat: position of the user.
        distance_m: metres to the border, 0 = inside.
        bearing_deg: towards the border, None = inside.
        compass: wind of the bearing.
        eta_s: seconds to the border.
    """

    u7: int
    time: str
    zone: str
    sent: bool
    lon: float
    lat: float
    distance_m: float
    bearing_deg: float | None
    compass: str
    eta_s: float

    @classmethod
    def from_row(cls, row: Mapping[str, Any], *, where: str = "alerts") -> WarningMark:
        """Read a row of ``alerts.jsonl``.

        Raises:
            InputError: a key is missing or not of its type.
        """
        try:
            bearing = row["bearing_deg"]
            return cls(
                u7=int(row["u7"]),
                time=str(row["time"]),
                zone=str(row["zone"]),
                sent=row["decision"] == "send",
                lon=_finite(row["lon"]),
                lat=_finite(row["lat"]),
                distance_m=_finite(row["distance_m"]),
                bearing_deg=None if bearing is None else _finite(bearing),
                compass=str(row["compass"]),
                eta_s=_finite(row["eta_s"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            fault = Fault(where, "", f"{type(error).__name__} {error}", "a row of alerts.jsonl", "malformed")
            raise InputError([fault]) from error


def draw_replay(
    zones: Sequence[Zone],
    pings: PingBatch,
    marks: Iterable[WarningMark],
    *,
    base: BaseMap | None = None,
    box: Box | None = None,
) -> str:
    """Return the picture of a replay as SVG text.

    Args:
        zones: what was judged with; lines and circles are drawn as the corridors they are matched with.
        pings: the tracks, any order. Long replays are thinned: users who were warned come first.
        marks: the warnings. The first ones of different zones are numbered and listed, the others are dots.
        base: rivers, lakes and roads to draw below.
        box: the part of the world to show, None = all that moved; widened to the shape of the picture.

    Raises:
        InputError: the base map is not GeoJSON.
    """
    base = base or BaseMap()
    zones = [zone for zone in zones if _is_valid_during(zone, pings)]
    view = View.over(box or _extent(pings, zones))
    shown = [mark for mark in sorted(marks, key=lambda m: (m.time, m.u7, m.zone)) if view.shows(mark.lon, mark.lat)]
    numbered = _numbered([mark for mark in shown if mark.sent], view)
    labels = Labels()
    labels.taken += [_SCALE_SPOT, _ARROW_SPOT]
    # Labels are placed in the order of their weight and drawn last, above everything.
    warnings = "".join(_numbered_marks(numbered, view, labels))
    names = "".join(_water_names(base.water, view, labels)) + "".join(_zone_names(zones, numbered, view, labels))
    layers = [
        *_water_layer(base.water, view),
        *_road_layer(base.roads, view),
        *_zone_layer(zones, view),
        *_track_layer(pings, {mark.u7 for mark in shown if mark.sent}, view),
        *_plain_marks(shown, numbered, view),
    ]
    panel = "".join(_panel(zones, shown, numbered))
    return _document("".join(layers), names + warnings, "".join(_furniture(view)), panel)


def _finite(value: object) -> float:
    number = float(value)  # type: ignore[arg-type]  # whatever JSON held; the caller names what was wrong
    if not math.isfinite(number):
        message = f"{value!r} is not finite"
        raise ValueError(message)
    return number


def _extent(pings: PingBatch, zones: Sequence[Zone]) -> Box:
    finite = np.isfinite(pings.lon) & np.isfinite(pings.lat)
    if finite.any():
        lon, lat = pings.lon[finite], pings.lat[finite]
        box = (float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max()))
    elif zones:
        west, south, east, north = (float(v) for v in shapely.total_bounds([zone.geometry for zone in zones]))
        box = (west, south, east, north)
    else:
        box = (114.0, 30.3, 114.6, 30.8)
    margin_lon, margin_lat = 0.03 * (box[2] - box[0]) + 0.001, 0.03 * (box[3] - box[1]) + 0.001
    return box[0] - margin_lon, box[1] - margin_lat, box[2] + margin_lon, box[3] + margin_lat


def _is_valid_during(zone: Zone, pings: PingBatch) -> bool:
    """Say whether the zone was valid at any time of the replay; without pings every zone is shown."""
    if not len(pings):
        return True
    begun = zone.valid_from_ms is None or zone.valid_from_ms <= int(pings.time_ms.max())
    return begun and (zone.valid_to_ms is None or zone.valid_to_ms > int(pings.time_ms.min()))


def _shapes(document: Mapping[str, Any], what: str) -> list[tuple[Mapping[str, Any], BaseGeometry]]:
    found = []
    for number, feature in enumerate(document.get("features", ())):
        try:
            found.append((feature.get("properties") or {}, shape(feature["geometry"])))
        except (AttributeError, KeyError, TypeError, ValueError, shapely.errors.ShapelyError) as error:
            place = f"$.features[{number}].geometry"
            raise InputError([Fault(f"base map ({what})", place, str(error), "GeoJSON", "malformed")]) from error
    return found


def _water_layer(water: Mapping[str, Any], view: View) -> Iterator[str]:
    """Draw all water as one shape: a river shows no bank where another one joins it."""
    drawn = shapely.union_all([view.cut(geometry) for _, geometry in _shapes(water, "water")])
    if path := svg.path(drawn):
        yield f'<path d="{path}" fill-rule="evenodd" fill="#b9d7e6" stroke="#8fbdd3" stroke-width="0.8"/>\n'


def _road_layer(roads: Mapping[str, Any], view: View) -> Iterator[str]:
    """Draw every class twice, casing first, so that crossings look joined."""
    by_class: dict[str, list[str]] = {name: [] for name in reversed(_ROAD_WIDTHS)}
    for properties, geometry in _shapes(roads, "roads"):
        name = properties.get("class")
        by_class[name if name in by_class else "main"].append(svg.path(view.cut(geometry)))
    drawn = [(_ROAD_WIDTHS[name], "".join(paths), name) for name, paths in by_class.items() if any(paths)]
    common = 'fill="none" stroke-linejoin="round" stroke-linecap="round"'
    for width, path, _ in drawn:
        yield f'<path d="{path}" {common} stroke="#c9c2b4" stroke-width="{svg.px(width + 1.4)}"/>\n'
    for width, path, name in drawn:
        dash = ' stroke-dasharray="5 4"' if name == "tunnel" else ""
        colour = "#fdf3d0" if name in {"expressway", "ring"} else "#ffffff"
        yield f'<path d="{path}" {common} stroke="{colour}" stroke-width="{svg.px(width)}"{dash}/>\n'


def _zone_layer(zones: Sequence[Zone], view: View) -> Iterator[str]:
    """Draw large areas first and faintly, narrow corridors last and strongly; venues are dots."""
    cut = [(zone, view.cut(zone.geometry)) for zone in zones]
    for zone, geometry in sorted(cut, key=lambda pair: (-pair[1].area, pair[0].zone_id)):
        colour = _COLOURS[zone.kind]
        title = svg.safe(_both_names(zone))
        if zone.kind is ZoneKind.VENUE:
            x, y = geometry.centroid.coords[0] if not geometry.is_empty else (-9.0, -9.0)
            if svg.inside_map((x, y, x, y)):
                yield svg.circle(x, y, 2.6, f'fill="{colour}"', title)
        elif path := svg.path(geometry):
            # A fill over half the city would tint everything below it; its border says enough.
            style = (
                'fill="none" stroke-width="1.2" stroke-dasharray="7 4" stroke-opacity="0.7"'
                if _is_large(geometry)
                else f'fill="{colour}" fill-opacity="0.24" stroke-width="1.6" stroke-opacity="0.85"'
            )
            yield (
                f'<path d="{path}" fill-rule="evenodd" stroke="{colour}" stroke-linejoin="round" '
                f"{style}><title>{title}</title></path>\n"
            )


def _is_large(drawn: BaseGeometry) -> bool:
    return float(drawn.area) > 0.05 * MAP_W * MAP_H


def _both_names(zone: Zone) -> str:
    return f"{zone.name} · {zone.name_en}" if zone.name_en else zone.name


def _track_layer(pings: PingBatch, warned: set[int], view: View) -> Iterator[str]:
    """Draw the ways between pings: everybody thin, those who were warned above and stronger."""
    plain: list[str] = []
    strong: list[str] = []
    points = 0
    for user, line in _tracks(pings, warned, view):
        points += len(line.coords)
        if points > _MOST_TRACK_POINTS:
            break
        (strong if user in warned else plain).append(svg.trace(line.coords))
    common = f'fill="none" stroke="{_TRACK}" stroke-linejoin="round" stroke-linecap="round"'
    if plain:
        yield f'<path d="{"".join(plain)}" {common} stroke-width="1" stroke-opacity="0.45"/>\n'
    if strong:
        yield f'<path d="{"".join(strong)}" {common} stroke-width="1.8" stroke-opacity="0.9"/>\n'


def _tracks(pings: PingBatch, warned: set[int], view: View) -> Iterator[tuple[int, shapely.LineString]]:
    """Yield the unbroken lines of every user in pixels, the warned users first, then by number."""
    known = pings.take(np.isfinite(pings.lon) & np.isfinite(pings.lat))
    others = ~np.isin(known.u7, sorted(warned))
    known = known.take(np.lexsort((known.time_ms, known.u7, others)))
    if len(known) < 2:
        return
    place = view.project(np.stack([known.lon, known.lat], axis=1))
    step_m = np.hypot(*np.diff(place, axis=0).T) * view.metres_per_px
    breaks = (np.diff(known.u7) != 0) | (np.diff(known.time_ms) > _TRACK_GAP_MS) | (step_m > _TRACK_JUMP_M)
    cuts = [0, *(np.flatnonzero(breaks) + 1).tolist(), len(known)]
    window = shapely.box(0, 0, MAP_W, MAP_H)
    for begin, end in itertools.pairwise(cuts):
        if end - begin > 1:
            line = shapely.simplify(shapely.LineString(place[begin:end]), 0.6)
            if line.length > 1.0 and line.intersects(window):
                yield int(known.u7[begin]), line


def _numbered(sent: Sequence[WarningMark], view: View) -> list[WarningMark]:
    """Pick the warnings to number: ahead of a border, each of another zone, and not on top of one another."""
    picked: list[WarningMark] = []
    for mark in sent:
        x, y = view.point(mark.lon, mark.lat)
        near = any(math.dist((x, y), view.point(other.lon, other.lat)) < 26 for other in picked)
        known = any(other.zone == mark.zone for other in picked)
        if mark.bearing_deg is not None and not known and not near:
            picked.append(mark)
    return picked[:_MOST_NUMBERED]


def _plain_marks(shown: Sequence[WarningMark], numbered: Sequence[WarningMark], view: View) -> Iterator[str]:
    listed = {id(mark) for mark in numbered}
    for mark in [mark for mark in shown if id(mark) not in listed][:_MOST_PLAIN_MARKS]:
        x, y = view.point(mark.lon, mark.lat)
        look = 'fill="#c5283d" stroke="#fff"' if mark.sent else f'fill="#fff" stroke="{_QUIET}"'
        yield svg.circle(x, y, 3.2 if mark.sent else 2.4, look, _story(mark))


def _numbered_marks(numbered: Sequence[WarningMark], view: View, labels: Labels) -> Iterator[str]:
    for mark in numbered:
        labels.block(*view.point(mark.lon, mark.lat), 10)
    for number, mark in enumerate(numbered, start=1):
        yield from _numbered_mark(number, mark, view, labels)


def _numbered_mark(number: int, mark: WarningMark, view: View, labels: Labels) -> Iterator[str]:
    x, y = view.point(mark.lon, mark.lat)
    if mark.bearing_deg is not None:
        turn = math.radians(mark.bearing_deg)
        reach = mark.distance_m / view.metres_per_px
        end_x, end_y = x + reach * math.sin(turn), y - reach * math.cos(turn)
        yield (
            f'<path d="M{svg.px(x)} {svg.px(y)}L{svg.px(end_x)} {svg.px(end_y)}" stroke="#c5283d" stroke-width="2.4" '
            'stroke-dasharray="1 4" stroke-linecap="round"/>\n'
        )
        yield svg.circle(end_x, end_y, 2.6, 'fill="#fff" stroke="#c5283d" stroke-width="1.6"')
    yield _badge(number, x, y, _story(mark))
    text = f"{mark.distance_m:.0f} m · {mark.eta_s:.0f} s"
    if spot := labels.place(text, x, y, size=12, gap=13):
        yield svg.text(text, *spot, Pen(12, colour="#8c1524", weight=700, halo=True))


def _badge(number: int, x: float, y: float, title: str) -> str:
    disc = svg.circle(x, y, 9, 'fill="#c5283d" stroke="#fff" stroke-width="1.6"')
    digits = svg.text(str(number), x, y + 4, Pen(11, colour="#fff", weight=700, anchor="middle"))
    return f"<g><title>{title}</title>{disc}{digits}</g>\n"


def _story(mark: WarningMark) -> str:
    fate = "sent" if mark.sent else "suppressed"
    return svg.safe(
        f"u7 {mark.u7:07d} · {mark.zone} · {mark.distance_m:.0f} m · {mark.eta_s:.0f} s · {mark.time} · {fate}"
    )


def _zone_names(zones: Sequence[Zone], numbered: Sequence[WarningMark], view: View, labels: Labels) -> Iterator[str]:
    """Name zones where there is room: those of the numbered warnings first, then by kind, venues last."""
    warned = {mark.zone for mark in numbered}
    kinds = list(_COLOURS)
    room = dict(_MOST_NAMES)
    for zone in sorted(zones, key=lambda z: (z.zone_id not in warned, kinds.index(z.kind), z.zone_id)):
        inside = view.cut(zone.geometry)
        if inside.is_empty or _is_large(inside) or not room[zone.kind]:
            continue
        x, y = shapely.point_on_surface(inside).coords[0]
        venue = zone.kind is ZoneKind.VENUE
        size = 9.5 if venue else 11.5
        if spot := labels.place(zone.name, x, y, size=size, gap=5):
            room[zone.kind] -= 1
            weight = 400 if venue else 600
            yield svg.text(zone.name, *spot, Pen(size, colour=_COLOURS[zone.kind], weight=weight, halo=True))


def _water_names(water: Mapping[str, Any], view: View, labels: Labels) -> Iterator[str]:
    for properties, geometry in _shapes(water, "water"):
        inside = view.cut(geometry)
        text = f"{properties.get('name', '')} {properties.get('name_en', '')}".strip()
        if text and inside.area > 900:
            x, y = shapely.point_on_surface(inside).coords[0]
            if spot := labels.place(text, x, y, size=12, gap=0):
                yield svg.text(text, *spot, Pen(12, colour="#3f7f9f", italic=True, halo=True))


def _furniture(view: View) -> Iterator[str]:
    """Draw the scale bar and the north arrow."""
    longest_m = 180 * view.metres_per_px
    power = 10.0 ** math.floor(math.log10(longest_m))
    length_m = max(step * power for step in (1, 2, 5) if step * power <= longest_m)
    length, y = length_m / view.metres_per_px, MAP_H - 22
    words = f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"
    yield (
        f'<rect x="14" y="{y - 22}" width="{svg.px(length + 24)}" height="34" rx="5" fill="#fff" '
        'fill-opacity="0.85"/>\n'
    )
    yield (
        f'<path d="M26 {y - 5}V{y}H{svg.px(26 + length)}V{y - 5}" fill="none" stroke="{INK}" stroke-width="1.6"/>\n'
        + svg.text(words, 26 + length / 2, y - 7, Pen(11, anchor="middle"))
    )
    x = MAP_W - 36
    yield (
        f'<circle cx="{x}" cy="44" r="26" fill="#fff" fill-opacity="0.85"/>'
        f'<path d="M{x} 24L{x + 8} 52L{x} 46L{x - 8} 52Z" fill="{INK}"/>\n'
        + svg.text("N 北", x, 66, Pen(10, weight=700, anchor="middle"))
    )


def _panel(zones: Sequence[Zone], shown: Sequence[WarningMark], numbered: Sequence[WarningMark]) -> Iterator[str]:
    names = {zone.zone_id: zone for zone in zones}
    yield svg.text("geo_engine", 0, 22, Pen(24, weight=700))
    yield svg.text("到边界之前的提醒 · warned before the border", 0, 44, Pen(13, colour=_QUIET))
    y = 78.0
    for draw, words in _legend():
        yield f'<g transform="translate(0 {svg.px(y - 4)})">{draw}</g>' + svg.text(words, 40, y, Pen(12.5))
        y += 24
    sent = sum(mark.sent for mark in shown)
    y += 20
    yield svg.text("提醒 Warnings", 0, y, Pen(15, weight=700))
    yield svg.text(f"{sent} 已发 sent · {len(shown) - sent} 未发 suppressed", 118, y, Pen(12, colour=_QUIET))
    for number, mark in enumerate(numbered, start=1):
        y += 47
        yield from _listed(number, mark, names.get(mark.zone), y)
    yield svg.text("示意图，不具法律效力 · illustrative, not legal advice", 0, MAP_H - 6, Pen(11, colour=_QUIET))


def _listed(number: int, mark: WarningMark, zone: Zone | None, y: float) -> Iterator[str]:
    facts = f"u7 {mark.u7:07d} · {mark.distance_m:.0f} m {mark.compass} · {mark.eta_s:.0f} s"
    yield _badge(number, 10, y - 11, _story(mark))
    yield svg.text(svg.fit(zone.name if zone else mark.zone, 13, _PANEL_W - 30), 30, y - 14, Pen(13, weight=600))
    if zone and zone.name_en:
        yield svg.text(svg.fit(zone.name_en, 10.5, _PANEL_W - 30), 30, y, Pen(10.5, colour=_QUIET))
    yield svg.text(facts, 30, y + 14, Pen(11.5, colour="#8c1524"))


def _legend() -> Iterator[tuple[str, str]]:
    for kind, words in _KIND_WORDS.items():
        colour = _COLOURS[kind]
        if kind is ZoneKind.VENUE:
            yield f'<circle cx="14" cy="0" r="3.4" fill="{colour}"/>', words
        else:
            look = f'fill="{colour}" fill-opacity="0.28" stroke="{colour}" stroke-width="1.6"'
            yield f'<rect x="0" y="-7" width="28" height="14" rx="2" {look}/>', words
    yield f'<path d="M0 0H28" stroke="{_TRACK}" stroke-width="1.8"/>', "行驶轨迹 track (5 s)"
    yield (
        '<path d="M14 0H38" stroke="#c5283d" stroke-width="2.4" stroke-dasharray="1 4" stroke-linecap="round" '
        'transform="translate(-8 0)"/><circle cx="5" cy="0" r="5" fill="#c5283d"/>'
        '<circle cx="30" cy="0" r="2.6" fill="#fff" stroke="#c5283d" stroke-width="1.6"/>',
        "提醒处与到边界的距离 warning, way to the border",
    )
    yield f'<circle cx="14" cy="0" r="2.4" fill="#fff" stroke="{_QUIET}"/>', "未发送 suppressed (with its reason)"


def _document(clipped: str, above: str, furniture: str, panel: str) -> str:
    size = f'width="{MAP_W}" height="{MAP_H}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" font-family="{_FONTS}">\n'
        "<title>geo_engine: warnings before the border (illustrative, not legal advice)</title>\n"
        f'<defs><clipPath id="map"><rect {size} rx="8"/></clipPath></defs>\n'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>\n'
        f'<g transform="translate({_MARGIN} {_MARGIN})"><g clip-path="url(#map)">\n'
        f'<rect {size} fill="#f3f0e8"/>\n{clipped}{above}{furniture}</g>\n'
        f'<rect {size} rx="8" fill="none" stroke="#b8b2a6"/></g>\n'
        f'<g transform="translate({MAP_W + 2 * _MARGIN} {_MARGIN})">\n{panel}</g>\n</svg>\n'
    )
