"""Checked coordinates to the shapes the engine matches: areas, corridors along lines, circles round points.

Nothing is repaired: an invalid area is a fault that names the place, because a repair may change what it covers.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import shapely
from pyproj import Geod, Proj

from geo_engine.model import FloatColumn, IntColumn
from geo_engine.zones.coordinates import Path, unwrap
from geo_engine.zones.findings import Findings

__all__ = ["build_area", "build_circle", "build_corridor", "build_ring", "move_border"]

_GEOD: Final = Geod(ellps="WGS84")

_SAGITTA_M: Final = 0.05
_CIRCLE_VERTICES: Final = (32, 720)

_EARTH_RADIUS_M: Final = 6_371_000.0
_CHORD_ERROR_M: Final = 0.01
_STEP_M: Final = (50.0, 5_000.0)
_MAX_PIECES: Final = 20_000
_MAX_REACH_M: Final = 1_000_000.0

# GEOS needs seconds to buffer a line that crosses itself a thousand times. Measured: 3,000 far pairs 70 ms.
_MAX_FAR_PAIRS: Final = 3_000
_MAX_NEAR_PAIRS: Final = 30_000
_PAIRS_BATCH: Final = 128

_REASONS: Final = {
    "Self-intersection": "self_intersection",
    "Ring Self-intersection": "self_intersection",
    "Hole lies outside shell": "hole_outside_shell",
    "Holes are nested": "nested_holes",
    "Nested shells": "overlapping_polygons",
    "Interior is disconnected": "interior_disconnected",
    "Duplicate Rings": "duplicate_rings",
    "Too few points in geometry component": "too_few_points",
}


def build_ring(positions: Path, path: str, findings: Findings) -> Path | None:
    """Return the unwrapped ring, None after a fault: closed, at least four positions, not round a pole or the earth."""
    if len(positions) < 4:
        expected = "at least 4 positions, the last equal to the first"
        findings.fault(path, f"{len(positions)} positions", expected, "too_few_points")
        return None
    if (positions[0] != positions[-1]).any():
        found = f"a ring from {_show(positions[0])} to {_show(positions[-1])}"
        findings.fault(path, found, "the last position equal to the first", "unclosed_ring")
        return None
    ring = unwrap(positions)
    if ring[0, 0] != ring[-1, 0]:
        expected = "an area that leaves the pole out, or a Point with radius_m"
        findings.fault(path, "a ring round a pole", expected, "ring_around_pole")
        return None
    if np.ptp(ring[:, 0]) > 360.0:
        findings.fault(path, f"a ring {np.ptp(ring[:, 0])!s} degrees wide", "at most 360 degrees", "wider_than_earth")
        return None
    return ring


def build_area(polygons: list[list[Path]], path: str, findings: Findings) -> shapely.Geometry | None:
    """Return the Polygon or MultiPolygon of unwrapped rings (shell first), None after a fault.

    Either direction of a ring is accepted; exterior rings are returned counter-clockwise. Cost: ``is_valid``, which
    is why vertices are capped before.
    """
    parts = [_polygon(shell, holes) for shell, *holes in polygons]
    for number, part in enumerate(parts):
        if shapely.convex_hull(part).area == 0.0:
            place = f"{path}[{number}]" if len(parts) > 1 else path
            findings.fault(place, "a polygon without area", "a ring that encloses an area", "zero_area")
            return None
    return _valid(shapely.MultiPolygon(parts) if len(parts) > 1 else parts[0], path, findings)


def build_circle(centre: Path, radius_m: float, path: str, findings: Findings) -> shapely.Geometry | None:
    """Return the geodesic circle round ``centre`` (one position) as a polygon with its vertices on the circle.

    The chords stay within 0.05 m of the circle up to a radius of 5 km; 720 vertices are the most, so 2 m at 200 km.
    A circle over a pole is closed along the pole.
    """
    lon, lat = centre[0]
    half_angle = np.arccos(max(1.0 - _SAGITTA_M / radius_m, -1.0))
    count = int(np.clip(np.ceil(np.pi / half_angle), *_CIRCLE_VERTICES))
    azimuth = np.linspace(360.0, 0.0, count, endpoint=False)
    same = np.ones(count)
    east, north, _ = _GEOD.fwd(lon * same, lat * same, azimuth, radius_m * same)
    ring = np.stack([np.append(east, east[0]), np.append(north, north[0])], axis=1)
    return _valid(shapely.Polygon(_close_over_pole(unwrap(ring), north_side=lat > 0.0)), path, findings)


def build_corridor(lines: list[Path], width_m: float, path: str, findings: Findings) -> shapely.Geometry | None:
    """Return everything within ``width_m / 2`` of the lines (round ends), None after a fault.

    Lines are straight in lon/lat, so long segments are divided first (error below 0.01 m); the buffer is made by GEOS
    in an azimuthal equidistant projection round the middle of the lines and is exact to 1 % of the width up to
    1,000 km. Lines whose segments cross one another thousands of times are refused: GEOS would need seconds.
    """
    lines = _side_by_side([unwrap(line) for line in lines])
    whole = np.concatenate(lines)
    if not np.ptp(whole, axis=0).any():
        findings.fault(path, "a line without length", "at least two different positions", "zero_length")
        return None
    middle = (whole.min(axis=0) + whole.max(axis=0)) / 2.0
    plane = Proj(proj="aeqd", lat_0=middle[1], lon_0=middle[0], ellps="WGS84")
    flat = _flatten(lines, plane, width_m / 400.0)
    if flat is None:
        expected = f"a line within {_MAX_REACH_M / 1000:.0f} km of its middle and not much longer than that"
        findings.fault(path, "a line that is too long", expected, "line_too_long")
        return None
    half_m = width_m / 2.0
    if _too_intricate(flat, half_m):
        expected = "a line that stays clear of itself, or fewer vertices, or a smaller width_m"
        findings.fault(path, "a line that meets itself thousands of times", expected, "line_too_intricate")
        return None
    buffered = shapely.buffer(shapely.MultiLineString([shapely.LineString(line) for line in flat]), half_m)
    return _from_plane(buffered, plane, path, findings)


def move_border(
    area: shapely.Geometry, width_m: float, path: str, findings: Findings, *, included: bool
) -> shapely.Geometry | None:
    """Return an area drawn along the middle of its boundary road with that road taken in or left out.

    The road is a corridor of ``width_m`` along every ring; None after a fault, also when nothing is left.
    """
    rings = [ring for part in shapely.get_parts(area) for ring in (part.exterior, *part.interiors)]
    road = build_corridor([shapely.get_coordinates(ring) for ring in rings], width_m, path, findings)
    if road is None:
        return None
    moved = shapely.union(area, road) if included else shapely.difference(area, road)
    if moved.is_empty or moved.geom_type not in ("Polygon", "MultiPolygon"):
        found = "an area that lies within its boundary road"
        findings.fault(path, found, "a smaller boundary_width_m", "nothing_inside_boundary")
        return None
    return _valid(moved, path, findings)


def _valid(area: shapely.Geometry, path: str, findings: Findings) -> shapely.Geometry | None:
    explanation = shapely.is_valid_reason(area)
    if explanation == "Valid Geometry":
        return shapely.orient_polygons(area)
    kind, _, place = explanation.partition("[")
    found = f"{kind.lower()} at lon lat {place.rstrip(']')}" if place else kind.lower()
    expected = "a valid area (rings do not cross, holes lie inside, parts do not overlap)"
    findings.fault(path, found, expected, _REASONS.get(kind, "invalid_area"))
    return None


def _polygon(shell: Path, holes: list[Path]) -> shapely.Polygon:
    return shapely.Polygon(shell, [shapely.LinearRing(_beside(hole, shell)) for hole in holes])


def _beside(hole: Path, shell: Path) -> Path:
    """Move an unwrapped hole by whole turns to where its shell was unwrapped to."""
    middle = (shell[:, 0].min() + shell[:, 0].max()) / 2.0
    turns = np.round((middle - (hole[:, 0].min() + hole[:, 0].max()) / 2.0) / 360.0)
    moved: Path = hole + np.array([360.0 * turns, 0.0])
    return moved


def _side_by_side(lines: list[Path]) -> list[Path]:
    """Move the lines by whole turns next to the first one."""
    return [lines[0], *(_beside(line, lines[0]) for line in lines[1:])]


def _close_over_pole(ring: Path, *, north_side: bool) -> Path:
    """Return a ring that is closed: one that runs once round the earth is led along the pole it goes round."""
    if abs(ring[-1, 0] - ring[0, 0]) < 180.0:
        return ring
    pole = 90.0 if north_side else -90.0
    return np.concatenate([ring, [[ring[-1, 0], pole], [ring[0, 0], pole], ring[0]]])


def _flatten(lines: list[Path], plane: Proj, tolerance_m: float) -> list[Path] | None:
    """Return the lines in the plane, simplified to ``tolerance_m``; None when they are too long."""
    pieces = [_pieces(line) for line in lines]
    # Checked before a position is made: a hostile line could ask for thousands of millions.
    if sum(int(counts.sum()) for counts in pieces) > _MAX_PIECES:
        return None
    divided = [_divide(line, counts) for line, counts in zip(lines, pieces, strict=True)]
    flat = [np.stack(plane(*line.T), axis=1) for line in divided]
    if max(float(np.hypot(*line.T).max()) for line in flat) > _MAX_REACH_M:
        return None
    return [shapely.get_coordinates(shapely.LineString(line).simplify(tolerance_m)) for line in flat]


def _pieces(line: Path) -> IntColumn:
    """Return into how many pieces to cut each segment, so that a chord in the plane stays within 0.01 m of it.

    A parallel departs from the straight line over its ends by L^2 tan(lat) / 8R.
    """
    north_deg = np.abs(line[:, 1])
    steepest = np.tan(np.radians(np.clip(np.maximum(north_deg[:-1], north_deg[1:]), 0.1, 89.9)))
    step_m = np.clip(np.sqrt(8.0 * _EARTH_RADIUS_M * _CHORD_ERROR_M / steepest), *_STEP_M)
    east, north = np.radians(np.abs(np.diff(line, axis=0))).T
    widest = np.cos(np.radians(np.minimum(north_deg[:-1], north_deg[1:])))
    length_m = _EARTH_RADIUS_M * np.hypot(east * widest, north)
    pieces: IntColumn = np.maximum(1, np.ceil(length_m / step_m)).astype(np.int64)
    return pieces


def _divide(line: Path, pieces: IntColumn) -> Path:
    """Cut each segment into equal pieces."""
    knots = np.arange(len(line), dtype=np.float64)
    at = np.append(np.concatenate([row + np.arange(count) / count for row, count in enumerate(pieces)]), knots[-1])
    return np.stack([np.interp(at, knots, line[:, 0]), np.interp(at, knots, line[:, 1])], axis=1)


def _too_intricate(lines: list[Path], half_m: float) -> bool:
    """Say whether many segments lie within the width of one another, which makes a buffer slow.

    Neighbours along a bend are cheap, so pairs within two widths along the line have a cap of their own. Counts in
    batches and stops at the cap.
    """
    starts = np.concatenate([line[:-1] for line in lines])
    ends = np.concatenate([line[1:] for line in lines])
    run_m = np.concatenate([[0.0], np.cumsum(np.hypot(*(ends - starts).T))])
    low, high = np.minimum(starts, ends) - half_m, np.maximum(starts, ends) + half_m
    tree = shapely.STRtree(shapely.box(*low.T, *high.T))
    far = near = 0
    for first in range(0, len(starts), _PAIRS_BATCH):
        rows, others = tree.query(tree.geometries[first : first + _PAIRS_BATCH])
        rows = rows + first
        later = others > rows + 1
        apart: FloatColumn = run_m[others[later]] - run_m[rows[later] + 1]
        distant = int(np.count_nonzero(apart > 4.0 * half_m))
        far, near = far + distant, near + len(apart) - distant
        if far > _MAX_FAR_PAIRS or near > _MAX_NEAR_PAIRS:
            return True
    return False


def _from_plane(area: shapely.Geometry, plane: Proj, path: str, findings: Findings) -> shapely.Geometry | None:
    polygons = []
    for polygon in shapely.get_parts(area):
        rings = [_ring_from_plane(ring, plane) for ring in (polygon.exterior, *polygon.interiors)]
        if any(abs(ring[-1, 0] - ring[0, 0]) > 180.0 for ring in rings):
            findings.fault(path, "a corridor round a pole", "a line away from the poles", "ring_around_pole")
            return None
        polygons.append(_polygon(rings[0], rings[1:]))
    return _valid(polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(polygons), path, findings)


def _ring_from_plane(ring: shapely.LinearRing, plane: Proj) -> Path:
    x, y = shapely.get_coordinates(ring).T
    return unwrap(np.stack(plane(x, y, inverse=True), axis=1))


def _show(position: Path) -> str:
    return f"[{position[0]!s}, {position[1]!s}]"
