"""What every import of a foreign zone format returns, and the zone features it is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from geo_engine.errors import Fault
from geo_engine.zones.document import read_zone_document

__all__ = ["ImportedZones", "keep_good_zones", "zone_feature"]


@dataclass(frozen=True, slots=True)
class ImportedZones:
    """A foreign file as a zone document.

    Attributes:
        document: a FeatureCollection in our format, ready to be written.
        faults: one for each rejected feature (or place in it), with the reason.
        notes: what could not be carried over as it stands.
    """

    document: dict[str, object]
    faults: tuple[Fault, ...] = ()
    notes: tuple[Fault, ...] = ()


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
