"""The member ``geometry`` of a zone to the shape the engine matches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import shapely

from geo_engine.geodesy.datum import Datum
from geo_engine.model import ZoneKind
from geo_engine.zones.coordinates import NESTING, Limits, Path, measure, read_positions
from geo_engine.zones.findings import Findings, describe
from geo_engine.zones.properties import ZoneProperties, report_repeated_names
from geo_engine.zones.shapes import build_area, build_circle, build_corridor, build_ring, move_border

__all__ = ["GeometryReader"]


@dataclass(frozen=True, slots=True)
class GeometryReader:
    """Reads geometries under one set of caps and one datum.

    Attributes:
        limits: caps, checked before a position is looked at.
        datum: datum of the coordinates.
    """

    limits: Limits
    datum: Datum

    def read(
        self, raw: object, path: str, findings: Findings, properties: ZoneProperties | None
    ) -> shapely.Geometry | None:
        """Return the shape, None after a fault.

        Args:
            raw: the member ``geometry`` of a feature.
            path: its JSON path.
            findings: takes faults and notes.
            properties: of the same feature; None when they are faulty: then coordinates are checked and nothing more.
        """
        if not isinstance(raw, Mapping):
            reason = "null_geometry" if raw is None else "not_a_geometry"
            findings.fault(path, describe(raw), "a geometry", reason)
            return None
        report_repeated_names(raw, path, findings)
        kind = raw.get("type")
        if not isinstance(kind, str) or kind not in NESTING:
            findings.fault(f"{path}.type", describe(kind), f"one of {', '.join(NESTING)}", "unsupported_geometry")
            return None
        if not self._fits(raw, path, findings):
            return None
        coordinates, place = raw.get("coordinates"), f"{path}.coordinates"
        if kind == "Point":
            return self._read_point(coordinates, place, findings, properties)
        if kind in ("LineString", "MultiLineString"):
            return self._read_lines(coordinates, place, findings, properties, many=kind == "MultiLineString")
        return self._read_area(coordinates, place, findings, properties, many=kind == "MultiPolygon")

    def _fits(self, raw: Mapping[str, object], path: str, findings: Findings) -> bool:
        size = measure(raw)
        is_line = raw["type"] in ("LineString", "MultiLineString")
        cap = min(self.limits.zone_vertices, self.limits.line_vertices) if is_line else self.limits.zone_vertices
        if size.vertices > cap:
            expected = f"at most {cap}" + (" in a line; split it" if is_line else "")
            findings.fault(path, f"{size.vertices} vertices", expected, "too_many_vertices")
            return False
        if size.rings > self.limits.zone_rings:
            findings.fault(path, f"{size.rings} rings", f"at most {self.limits.zone_rings}", "too_many_rings")
            return False
        return True

    def _read_point(
        self, raw: object, path: str, findings: Findings, properties: ZoneProperties | None
    ) -> shapely.Geometry | None:
        if isinstance(raw, list | tuple) and not raw:
            findings.fault(path, "an empty array", "a position [lon, lat]", "empty_coordinates")
            return None
        centre = read_positions([raw], path, findings, datum=self.datum, single=True)
        if centre is None or properties is None:
            return None
        _note_unused("width_m", properties.width_m, "a line", path, findings)
        _note_unused("boundary_road", properties.boundary, "an area", path, findings)
        if properties.radius_m is not None:
            return build_circle(centre, properties.radius_m, path, findings)
        if properties.kind is ZoneKind.VENUE:
            return shapely.Point(centre[0])
        findings.fault(path, "a Point without radius_m", "radius_m, or a venue", "missing_radius")
        return None

    def _read_lines(
        self, raw: object, path: str, findings: Findings, properties: ZoneProperties | None, *, many: bool
    ) -> shapely.Geometry | None:
        lines = self._read_paths(raw if many else [raw], path, findings, numbered=many)
        if lines is None:
            return None
        for row, line in enumerate(lines):
            if len(line) < 2:
                place = f"{path}[{row}]" if many else path
                findings.fault(place, "1 position", "at least 2 positions", "too_few_points")
                return None
        if properties is None:
            return None
        _note_unused("radius_m", properties.radius_m, "a point", path, findings)
        _note_unused("boundary_road", properties.boundary, "an area", path, findings)
        if properties.width_m is None:
            findings.fault(path, "a line without width_m", "width_m, the width of the corridor", "missing_width")
            return None
        return build_corridor(lines, properties.width_m, path, findings)

    def _read_area(
        self, raw: object, path: str, findings: Findings, properties: ZoneProperties | None, *, many: bool
    ) -> shapely.Geometry | None:
        parts = _entries(raw, path, findings)
        if parts is None:
            return None
        polygons: list[list[Path]] = []
        for row, part in enumerate(parts if many else [raw]):
            rings = self._read_rings(part, f"{path}[{row}]" if many else path, findings)
            if rings is None:
                return None
            polygons.append(rings)
        if properties is not None:
            _note_unused("width_m", properties.width_m, "a line", path, findings)
            _note_unused("radius_m", properties.radius_m, "a point", path, findings)
        area = build_area(polygons, path, findings)
        boundary = None if properties is None else properties.boundary
        if area is None or boundary is None:
            return area
        return move_border(area, boundary.width_m, path, findings, included=boundary.included)

    def _read_rings(self, raw: object, path: str, findings: Findings) -> list[Path] | None:
        rows = self._read_paths(raw, path, findings, numbered=True)
        if rows is None:
            return None
        rings = [build_ring(row, f"{path}[{number}]", findings) for number, row in enumerate(rows)]
        complete = [ring for ring in rings if ring is not None]
        return complete if len(complete) == len(rings) else None

    def _read_paths(self, raw: object, path: str, findings: Findings, *, numbered: bool) -> list[Path] | None:
        entries = _entries(raw, path, findings)
        if entries is None:
            return None
        paths = [
            read_positions(row, f"{path}[{number}]" if numbered else path, findings, datum=self.datum)
            for number, row in enumerate(entries)
        ]
        complete = [row for row in paths if row is not None]
        return complete if len(complete) == len(paths) else None


def _entries(raw: object, path: str, findings: Findings) -> Sequence[object] | None:
    if not isinstance(raw, list | tuple):
        findings.fault(path, describe(raw), "an array", "not_an_array")
        return None
    if not raw:
        findings.fault(path, "an empty array", "positions", "empty_coordinates")
        return None
    return raw


def _note_unused(name: str, value: object, holder: str, path: str, findings: Findings) -> None:
    if value is not None:
        findings.note(path, f"{name} on a shape that is not {holder}", f"no {name}; it is ignored", "unused_property")
