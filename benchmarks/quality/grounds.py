"""The zones of the simulated city: sections of streets, areas, and decoys that nobody drives into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import shapely
from shapely.ops import substring

from benchmarks.quality.streets import CITY, Streets
from geo_engine.model import FloatColumn, IntColumn

__all__ = ["Grounds", "Spans", "ZonePlan", "build_grounds", "spans_of"]

_HALF_WIDTH_M: Final = 20.0
_CLEAR_M: Final = 12.0  # a decoy lies at least so far from every street
_STRAIGHT_DEG: Final = 35.0


@dataclass(frozen=True, slots=True)
class ZonePlan:
    """How many zones of each sort are asked for; decoys that find no free place are left out.

    Attributes:
        sections: pieces of a street.
        areas: shapes over one junction or several.
        parallel: decoys along a street.
        behind: decoys straight ahead behind a junction where no street leads on.
    """

    sections: int = 40
    areas: int = 16
    parallel: int = 8
    behind: int = 24


@dataclass(frozen=True, slots=True)
class Grounds:
    """Zones in the frame of the city.

    Attributes:
        shapes: polygons in metres.
        sort: ``section``, ``area``, ``parallel`` or ``behind`` per zone.
    """

    shapes: tuple[shapely.Polygon, ...]
    sort: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of zones."""
        return len(self.shapes)

    def polygons(self) -> tuple[shapely.Polygon, ...]:
        """Return the zones in degrees."""
        return tuple(shapely.transform(shape, CITY.to_degrees) for shape in self.shapes)


@dataclass(frozen=True, slots=True)
class Spans:
    """Pieces of directed stretches inside zones, ordered by zone, then stretch, then begin.

    Attributes:
        zone: zone of each piece.
        stretch: its stretch.
        begin_m: metres into the stretch at which the zone is entered, 0 = it begins inside.
        end_m: metres into the stretch at which it is left.
    """

    zone: IntColumn
    stretch: IntColumn
    begin_m: FloatColumn
    end_m: FloatColumn


def build_grounds(streets: Streets, plan: ZonePlan, seed: int) -> Grounds:
    """Place zones and decoys; the same arguments give the same ones."""
    rng = np.random.default_rng([seed, 3])
    roads = shapely.union_all(streets.lines())
    sorts = {
        "section": list(_sections(streets, plan.sections, rng)),
        "area": list(_areas(streets, plan.areas, rng)),
        "parallel": _clear(_beside(streets, rng), roads, plan.parallel),
        "behind": _clear(_behind(streets, rng), roads, plan.behind),
    }
    shapes = tuple(shape for found in sorts.values() for shape in found)
    return Grounds(shapes, tuple(sort for sort, found in sorts.items() for _ in found))


def _clear(shapes: Iterator[shapely.Polygon], roads: shapely.Geometry, count: int) -> list[shapely.Polygon]:
    """Return the first ``count`` shapes that lie away from every street."""
    found: list[shapely.Polygon] = []
    for shape in shapes:
        if len(found) == count:
            break
        if shape.distance(roads) >= _CLEAR_M:
            found.append(shape)
    return found


def _sections(streets: Streets, count: int, rng: np.random.Generator) -> Iterator[shapely.Polygon]:
    for street in rng.permutation(len(streets) // 2)[:count].tolist():
        line = shapely.LineString(streets.line[2 * street])
        length_m = rng.uniform(60.0, 160.0)
        # The ends stay clear of the crossing streets.
        room_m = line.length - length_m - 4.0 * _HALF_WIDTH_M
        begin_m = 2.0 * _HALF_WIDTH_M + rng.uniform(0.25, 0.75) * max(room_m, 0.0)
        piece = substring(line, begin_m, begin_m + length_m)
        yield shapely.buffer(piece, _HALF_WIDTH_M, cap_style="flat")


def _areas(streets: Streets, count: int, rng: np.random.Generator) -> Iterator[shapely.Polygon]:
    """Draw stars of nine corners round junctions."""
    for junction in rng.permutation(len(streets.junctions))[:count]:
        angles = rng.uniform(0.0, 0.5, 9) + np.arange(9) * 2.0 * np.pi / 9
        radii = rng.uniform(0.6, 1.0, 9) * rng.uniform(120.0, 330.0)
        corners = streets.junctions[junction] + radii[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])
        yield shapely.Polygon(corners)


def _beside(streets: Streets, rng: np.random.Generator) -> Iterator[shapely.Polygon]:
    """Draw strips along streets, 22 to 40 m off."""
    for stretch in rng.permutation(len(streets)).tolist():
        line = shapely.LineString(streets.line[stretch])
        aside = shapely.offset_curve(line, rng.uniform(32.0, 50.0))
        begin = rng.uniform(0.15, 0.35)
        piece = substring(aside, begin, begin + rng.uniform(0.25, 0.5), normalized=True)
        yield shapely.buffer(piece, 10.0, cap_style="flat")


def _behind(streets: Streets, rng: np.random.Generator) -> Iterator[shapely.Polygon]:
    """Draw boxes straight ahead of arms from which no street leads straight on."""
    closed = np.abs(streets.turning_deg).min(axis=1) > _STRAIGHT_DEG
    for stretch in rng.permutation(np.flatnonzero(closed)).tolist():
        bend, end = streets.line[stretch, 1:]
        ahead = (end - bend) / np.hypot(*(end - bend))
        aside = np.array([-ahead[1], ahead[0]])
        near, far = rng.uniform(15.0, 40.0), rng.uniform(70.0, 140.0)
        half = rng.uniform(25.0, 60.0)
        yield _box(end + near * ahead, end + far * ahead, half * aside)


def _box(near: npt.NDArray[np.float64], far: npt.NDArray[np.float64], half: npt.NDArray[np.float64]) -> shapely.Polygon:
    return shapely.Polygon([near - half, near + half, far + half, far - half])


def spans_of(streets: Streets, shapes: tuple[shapely.Polygon, ...]) -> Spans:
    """Cut the stretches with the zones. Where a zone lies over a bend, its piece is one."""
    lines = [shapely.LineString(line) for line in streets.line]
    tree = shapely.STRtree(lines)
    rows = [
        (zone, int(stretch), begin_m, end_m)
        for zone, shape in enumerate(shapes)
        for stretch in np.sort(tree.query(shape, predicate="intersects"))
        for begin_m, end_m in _pieces(lines[stretch], shape)
    ]
    columns = np.array(rows).reshape(-1, 4).T
    return Spans(columns[0].astype(np.int64), columns[1].astype(np.int64), columns[2], columns[3])


def _pieces(line: shapely.LineString, shape: shapely.Polygon) -> list[tuple[float, float]]:
    """Return the pieces of a line inside a shape, in metres along it; a touch is none."""
    inside = shapely.line_merge(shapely.intersection(line, shape))
    parts = [part for part in shapely.get_parts(inside) if part.geom_type == "LineString"]
    ends = [sorted(line.project(shapely.Point(part.coords[end])) for end in (0, -1)) for part in parts]
    return sorted((begin_m, end_m) for begin_m, end_m in ends)
