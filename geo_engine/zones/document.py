"""A zone document (GeoJSON, RFC 7946) to zones: the good features, and one fault for each place that is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import shapely

from geo_engine.errors import Fault, ZoneDocumentError
from geo_engine.geodesy.datum import Datum
from geo_engine.zones.calendar import NO_CALENDAR, DayCalendar
from geo_engine.zones.coordinates import DEFAULT_LIMITS, Limits, measure
from geo_engine.zones.findings import Findings, describe
from geo_engine.zones.geometry import GeometryReader
from geo_engine.zones.jsontext import read_json
from geo_engine.zones.properties import ZoneProperties, read_properties, report_repeated_names
from geo_engine.zones.zone import Zone

__all__ = ["ZoneDocument", "join_zone_documents", "parse_zone_json", "read_zone_document"]

_ACCEPTED_CRS: Final = ("CRS84", "EPSG:4326", "EPSG::4326", "EPSG:4490", "EPSG::4490")
_MAX_ID_CHARACTERS: Final = 100


@dataclass(frozen=True, slots=True)
class ZoneDocument:
    """What a zone document holds.

    Attributes:
        zones: the good zones in the order of the document.
        faults: one for each place that is wrong; the features they name are not among ``zones``.
        notes: what was accepted, but not as it stands (height dropped, unknown property).
        rows: for each zone the number of its feature in the document, from 0.
        where: what the source was called.
    """

    zones: tuple[Zone, ...]
    faults: tuple[Fault, ...] = ()
    notes: tuple[Fault, ...] = ()
    rows: tuple[int, ...] = ()
    where: str = "zones"


def read_zone_document(
    source: object,
    *,
    where: str = "zones",
    limits: Limits = DEFAULT_LIMITS,
    datum: Datum = Datum.WGS84,
    calendar: DayCalendar = NO_CALENDAR,
) -> ZoneDocument:
    """Read a FeatureCollection (or a single Feature) of zones. Never raises for what the source holds.

    Size, features and vertices are checked before any geometry is built. Nothing is repaired.

    Args:
        source: UTF-8 bytes, text, or the parsed JSON value.
        where: what to call the source in faults, e.g. its file name.
        limits: caps; the defaults suit a file of a whole city.
        datum: datum of the coordinates.
        calendar: holidays and make-up workdays, for zones whose schedule asks for them.
    """
    findings = Findings(where)
    try:
        value = parse_zone_json(source, where=where, limits=limits) if isinstance(source, bytes | str) else source
    except ZoneDocumentError as error:
        return ZoneDocument((), error.faults, where=where)
    features = _features(value, findings)
    if features is None or not _fits(features, findings, limits):
        return ZoneDocument((), tuple(findings.faults), tuple(findings.notes), where=where)
    single = isinstance(value, Mapping) and value.get("type") == "Feature"
    reader = _Reader(findings, GeometryReader(limits, datum), calendar)
    found = [
        (zone, row)
        for row, feature in enumerate(features)
        if (zone := reader.read(feature, row, "$" if single else f"$.features[{row}]")) is not None
    ]
    zones, rows = tuple(zone for zone, _ in found), tuple(row for _, row in found)
    _note_unknown_years(zones, calendar, findings)
    return ZoneDocument(zones, tuple(findings.faults), tuple(findings.notes), rows, where)


def parse_zone_json(source: bytes | str, *, where: str = "zones", limits: Limits = DEFAULT_LIMITS) -> object:
    """Parse the JSON of a zone document within ``limits``, without reading it as zones.

    Raises:
        ZoneDocumentError: it is too large, not UTF-8 or not JSON; carries one fault.
    """
    return read_json(source, where=where, max_bytes=limits.document_bytes, max_brackets=limits.document_brackets)


def join_zone_documents(documents: Iterable[ZoneDocument]) -> ZoneDocument:
    """Join documents into one; a zone whose id occurred in an earlier document is a fault and left out.

    ``rows`` of the result is empty, as it has no text of its own.
    """
    zones: dict[str, Zone] = {}
    sources: dict[str, str] = {}
    faults: list[Fault] = []
    notes: list[Fault] = []
    for document in documents:
        faults += document.faults
        notes += document.notes
        for zone, row in zip(document.zones, document.rows, strict=True):
            where = f"{document.where} feature {row} ({zone.zone_id})"
            if zone.zone_id in zones:
                found = f"the id {describe(zone.zone_id)} of {sources[zone.zone_id]}"
                faults.append(Fault(where, f"$.features[{row}].id", found, "an id of its own", "duplicate_id"))
            else:
                # Later listed beats earlier, over all documents in their order.
                listed = zone if zone.listed == len(zones) else replace(zone, listed=len(zones))
                zones[zone.zone_id], sources[zone.zone_id] = listed, where
    return ZoneDocument(tuple(zones.values()), tuple(faults), tuple(notes))


def _features(value: object, findings: Findings) -> Sequence[object] | None:
    if not isinstance(value, Mapping) or value.get("type") not in ("FeatureCollection", "Feature"):
        found = describe(value.get("type")) + " as type" if isinstance(value, Mapping) else describe(value)
        findings.fault("$", found, "a GeoJSON FeatureCollection", "not_a_feature_collection")
        return None
    report_repeated_names(value, "$", findings)
    if findings.faults or not _accepts_crs(value, findings):
        return None
    if value["type"] == "Feature":
        return [value]
    features = value.get("features")
    if not isinstance(features, list | tuple):
        findings.fault("$.features", describe(features), "an array of features", "not_an_array")
        return None
    if not features:
        findings.note("$.features", "no features", "at least one zone", "no_features")
    return features


def _accepts_crs(value: Mapping[str, object], findings: Findings) -> bool:
    """Check the member ``crs`` of old GeoJSON: in another system every coordinate would be misread."""
    crs = value.get("crs")
    if crs is None:
        return True
    properties = crs.get("properties") if isinstance(crs, Mapping) else None
    name = properties.get("name") if isinstance(properties, Mapping) else None
    if isinstance(name, str) and name.endswith(_ACCEPTED_CRS):
        return True
    found = describe(name) if name is not None else describe(crs)
    findings.fault("$.crs", found, "no crs member (WGS 84 lon, lat), or CRS84, EPSG:4326, EPSG:4490", "unknown_crs")
    return False


def _fits(features: Sequence[object], findings: Findings, limits: Limits) -> bool:
    if len(features) > limits.document_features:
        found = f"{len(features)} features"
        findings.fault("$.features", found, f"at most {limits.document_features}", "too_many_features")
        return False
    geometries = (feature.get("geometry") for feature in features if isinstance(feature, Mapping))
    vertices = sum(measure(geometry).vertices for geometry in geometries)
    if vertices > limits.document_vertices:
        found = f"{vertices} vertices"
        findings.fault("$.features", found, f"at most {limits.document_vertices}", "too_many_vertices")
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads features one by one and remembers the ids it has seen."""

    findings: Findings
    geometries: GeometryReader
    calendar: DayCalendar = NO_CALENDAR
    seen: dict[str, int] = field(default_factory=dict)

    def read(self, feature: object, row: int, path: str) -> Zone | None:
        """Return the zone of a feature, None after a fault."""
        findings = self.findings.at(f"feature {row}")
        if not isinstance(feature, Mapping) or feature.get("type") != "Feature":
            findings.fault(path, describe(feature), "an object of type Feature", "not_a_feature")
            return None
        before = len(findings.faults)
        report_repeated_names(feature, path, findings)
        zone_id = self._identify(feature, row, path, findings)
        if zone_id is not None:
            findings = self.findings.at(f"feature {row} ({zone_id})")
        properties = read_properties(feature.get("properties"), f"{path}.properties", findings, self.calendar)
        geometry = self.geometries.read(feature.get("geometry"), f"{path}.geometry", findings, properties)
        if zone_id is None or properties is None or geometry is None or len(findings.faults) > before:
            return None
        return _zone(zone_id, row, properties, geometry, road=_is_line(feature))

    def _identify(self, feature: Mapping[str, object], row: int, path: str, findings: Findings) -> str | None:
        value, place = feature.get("id"), f"{path}.id"
        properties = feature.get("properties")
        if value is None and isinstance(properties, Mapping):
            value, place = properties.get("id"), f"{path}.properties.id"
        if value is None:
            findings.fault(f"{path}.id", "nothing", "an id, unique in the document", "missing_id")
            return None
        zone_id = _id_text(value)
        if zone_id is None:
            expected = f"text of 1 to {_MAX_ID_CHARACTERS} printable characters, or a whole number"
            findings.fault(place, describe(value), expected, "bad_id")
            return None
        first = self.seen.setdefault(zone_id, row)
        if first != row:
            found = f"the id {describe(zone_id)} of feature {first}"
            findings.fault(place, found, "an id of its own", "duplicate_id")
            return None
        return zone_id


def _id_text(value: object) -> str | None:
    """Return the id as text; a number becomes its digits, because GIS programs count features."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 2**63 else None
    if isinstance(value, str) and value.isprintable() and 0 < len(value.strip()) <= _MAX_ID_CHARACTERS:
        return value.strip()
    return None


def _is_line(feature: Mapping[str, object]) -> bool:
    geometry = feature.get("geometry")
    return isinstance(geometry, Mapping) and geometry.get("type") in ("LineString", "MultiLineString")


def _note_unknown_years(zones: Iterable[Zone], calendar: DayCalendar, findings: Findings) -> None:
    """Note from which year on the calendar says nothing about zones that ask for it: loudly, but once."""
    asking = [zone for zone in zones if zone.schedule.days is not None and zone.schedule.days.asks_calendar]
    if not asking:
        return
    example = f"the days of {describe(asking[0].zone_id)} and {len(asking) - 1} others"
    if not calendar.years:
        expected = "a day calendar; without one every holiday counts as an ordinary day"
        findings.note("", example, expected, "no_day_calendar")
        return
    last = max(calendar.years)
    gaps = sorted(set(range(min(calendar.years), last)) - calendar.years)
    missing = ", ".join([*map(str, gaps), f"{last + 1} and later"])
    expected = f"a day calendar of {missing}: its holidays count as ordinary days"
    findings.note("", example, expected, "unknown_year")


def _zone(zone_id: str, row: int, properties: ZoneProperties, geometry: shapely.Geometry, *, road: bool) -> Zone:
    return Zone(
        zone_id=zone_id,
        kind=properties.kind,
        name=properties.name,
        geometry=geometry,
        applies_to=properties.applies_to,
        schedule=properties.schedule,
        valid_from_ms=properties.valid_from_ms,
        valid_to_ms=properties.valid_to_ms,
        enforced_from_ms=properties.enforced_from_ms,
        severity=properties.severity,
        advice=properties.advice,
        name_en=properties.name_en,
        effect=properties.effect,
        road=road,
        listed=row,
        level=properties.level,
        exception_to=properties.exception_to,
        dwell_s=properties.dwell_s,
    )
