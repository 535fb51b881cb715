"""What every import returns, the zone features it is made of, and the import of a zone file in our own format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from geo_engine.errors import Fault
from geo_engine.geodesy.datum import Datum
from geo_engine.zones.coordinates import convert_coordinates
from geo_engine.zones.document import read_zone_document

__all__ = ["ImportedZones", "in_wgs84", "keep_good_zones", "zone_feature", "zones_from_geojson"]


@dataclass(frozen=True, slots=True)
class ImportedZones:
    """A foreign file as a zone document.

    Attributes:
        document: a FeatureCollection in our format, ready to be written.
        faults: one for each rejected feature (or place in it), with the reason.
        notes: what could not be carried over as it stands.
    """

    document: dict[str, Any]
    faults: tuple[Fault, ...] = ()
    notes: tuple[Fault, ...] = ()


def in_wgs84(imported: ImportedZones, datum: Datum) -> ImportedZones:
    """Return the zones with their coordinates converted from ``datum`` to WGS-84."""
    if datum is Datum.WGS84:
        return imported
    features = [
        {**feature, "geometry": _converted(feature["geometry"], datum)} for feature in imported.document["features"]
    ]
    return replace(imported, document={"type": "FeatureCollection", "features": features})


def _converted(geometry: Mapping[str, Any], datum: Datum) -> dict[str, object]:
    return {"type": geometry["type"], "coordinates": convert_coordinates(geometry["coordinates"], datum)}


def zones_from_geojson(source: Any, *, where: str = "zones") -> ImportedZones:  # noqa: ANN401  # parsed JSON
    """Take the good zones of a zone file in our own format, their properties as written.

    Args:
        source: the parsed file.
        where: what to call it in faults.
    """
    document = read_zone_document(source, where=where)
    features = source["features"] if document.rows and source["type"] == "FeatureCollection" else [source]
    members = ("type", "id", "geometry", "properties")
    kept = [{name: features[row][name] for name in members if name in features[row]} for row in document.rows]
    collection: dict[str, object] = {"type": "FeatureCollection", "features": kept}
    return ImportedZones(collection, document.faults, document.notes)


def zone_feature(zone_id: object, geometry: object, properties: Mapping[str, object]) -> dict[str, object]:
    """Return a GeoJSON Feature in our format; properties that are None are left out."""
    kept = {name: value for name, value in properties.items() if value is not None}
    return {"type": "Feature", "id": zone_id, "geometry": geometry, "properties": kept}


def keep_good_zones(
    features: Sequence[Mapping[str, object] | None], faults: Sequence[Fault], notes: Sequence[Fault], *, where: str
) -> ImportedZones:
    """Return the features that pass the reading of our own format; the others become faults.

    Args:
        features: one entry for each feature of the foreign file, None where it was rejected already, so that the
            numbers in further faults are those of the file.
        faults: why those were rejected.
        notes: what could not be carried over.
        where: what to call the file.
    """
    document = read_zone_document({"type": "FeatureCollection", "features": features}, where=where)
    # What is None here has its fault; a feature made by an import is never "not a feature".
    further = [fault for fault in document.faults if fault.reason != "not_a_feature"]
    kept = [features[row] for row in document.rows]
    collection: dict[str, object] = {"type": "FeatureCollection", "features": kept}
    return ImportedZones(collection, (*faults, *further), (*notes, *document.notes))
