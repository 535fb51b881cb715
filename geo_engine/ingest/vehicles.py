"""Vehicle profiles: the vehicles file of a fleet (JSON Lines) and the named profiles of ``data/vehicles.json``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from geo_engine.errors import Fault, VehicleFileError
from geo_engine.ingest.rows import load_json, shown
from geo_engine.model import (
    U7_COUNT,
    BodyType,
    Energy,
    Language,
    Permit,
    PlateColour,
    Vehicle,
    VehicleClass,
    VehicleKind,
)
from geo_engine.zones.values import Refusal, moment, number, whole

__all__ = ["VehicleFile", "read_vehicle", "read_vehicles", "vehicle_profiles"]

_T = TypeVar("_T")
_E = TypeVar("_E", bound=StrEnum)

_LABEL: Final = "label"


@dataclass(frozen=True, slots=True)
class VehicleFile:
    """The vehicles of a file and what was wrong with it.

    Attributes:
        vehicles: one per u7, in the order of the file.
        faults: one per place that is wrong.
        consents: per u7 what the file says about consent, also when it says it unreadably (a no); a user about whom it
            says nothing is missing.
        open_ids: per u7 the WeChat OpenID, where the file gives one.
    """

    vehicles: tuple[Vehicle, ...]
    faults: tuple[Fault, ...]
    consents: Mapping[int, bool] = field(default_factory=dict)
    open_ids: Mapping[int, str] = field(default_factory=dict)


class _ValueRefusedError(Exception):
    """A value is not fit: what was expected and the stable name of the reason."""

    def __init__(self, expected: str, reason: str = "malformed") -> None:
        super().__init__(expected)
        self.expected = expected
        self.reason = reason


def read_vehicles(path: Path) -> VehicleFile:
    """Read a vehicles file: JSON Lines, one object per u7.

    Fields: ``u7`` (required), those of ``Vehicle`` (``class`` for the size class), ``language``, ``consent`` (true,
    false or ``{"warnings": true}``), ``open_id``; ``permits`` is an array of ``{"zone": id, "from": moment, "until":
    moment}``. A field that is missing or null is unknown; without ``consent`` the vehicle says that the user agreed,
    as a replay has it; the service goes by ``consents``.

    A line without a usable u7, and the second line of a u7, is left out with a fault. Any other bad value or unknown
    field is a fault too, but the vehicle stays: the bad value counts as unknown ("may apply to you"), a bad
    ``consent`` as a no.

    Raises:
        VehicleFileError: the file cannot be read at all.
    """
    vehicles: dict[int, Vehicle] = {}
    faults: list[Fault] = []
    consents: dict[int, bool] = {}
    open_ids: dict[int, str] = {}
    for row, line in enumerate(_text_of(path).split("\n"), start=1):
        if not line.strip():
            continue
        found = _Line(f"{path.name} line {row}", faults)
        vehicle = found.vehicle(line)
        if vehicle is None:
            continue
        if vehicle.u7 in vehicles:
            found.refuse("u7", vehicle.u7, "one line per u7; the first one counts", "duplicate_u7")
        else:
            vehicles[vehicle.u7] = vehicle
            if found.says_consent:
                consents[vehicle.u7] = vehicle.consent_warnings
            if found.open_id is not None:
                open_ids[vehicle.u7] = found.open_id
    return VehicleFile(tuple(vehicles.values()), tuple(faults), consents, open_ids)


def read_vehicle(fields: Mapping[str, object], where: str) -> VehicleFile:
    """Read one vehicle from fields as a line of a vehicles file has them, ``u7`` included.

    Args:
        fields: name to value; a field that is missing or None is unknown.
        where: what a fault calls the place.
    """
    faults: list[Fault] = []
    vehicle = _Line(where, faults).vehicle_of(dict(fields))
    return VehicleFile(() if vehicle is None else (vehicle,), tuple(faults))


def vehicle_profiles(path: Path) -> dict[str, Vehicle]:
    """Read named vehicle profiles: a JSON object of name to profile, the fields as in a vehicles file without ``u7``.

    ``label`` (an object of language to text) names a profile for people. The vehicles have u7 0 and agree to be
    warned; ``dataclasses.replace`` gives one to a user.

    Raises:
        VehicleFileError: the file cannot be read, or holds any fault: it is data of ours.
    """
    document = _json_of(_text_of(path), path.name)
    faults: list[Fault] = []
    profiles: dict[str, Vehicle] = {}
    for name, fields in document.items():
        line = _Line(f"{path.name} {name}", faults)
        if isinstance(fields, dict):
            profile = line.vehicle_of({key: value for key, value in fields.items() if key != _LABEL} | {"u7": 0})
            profiles |= {name: profile} if profile else {}
        else:
            line.refuse("", fields, "an object", "malformed")
    if faults:
        raise VehicleFileError(faults)
    return profiles


class _Line:
    """Reads one profile; every bad place becomes a fault in the list it was given."""

    def __init__(self, where: str, faults: list[Fault]) -> None:
        self._where = where
        self._faults = faults
        self.says_consent = False
        self.open_id: str | None = None

    def refuse(self, path: str, found: object, expected: str, reason: str) -> None:
        self._faults.append(Fault(self._where, path, shown(found), expected, reason))

    def vehicle(self, line: str) -> Vehicle | None:
        try:
            fields = load_json(line)
        except (ValueError, RecursionError):
            fields = line
        if not isinstance(fields, dict):
            self.refuse("", fields, "a JSON object on one line", "malformed")
            return None
        return self.vehicle_of(fields)

    def vehicle_of(self, fields: dict[str, object]) -> Vehicle | None:
        for name in [name for name in fields if name not in _FIELDS]:
            near = get_close_matches(name, _FIELDS, n=1)
            hint = f"{near[0]} (did you mean it?)" if near else f"one of {', '.join(_FIELDS)}"
            self.refuse(name, name, hint, "unknown_field")
        u7 = self._read("u7", _u7, fields)
        # Each reader returns what its field holds; the pairing is the table's.
        known: dict[str, Any] = {
            attribute: value
            for name, (attribute, read) in _OF_VEHICLE.items()
            if (value := self._read(name, read, fields)) is not None
        }
        self.open_id = self._read("open_id", _open_id, fields)
        self.says_consent = fields.get("consent") is not None
        # A consent nobody can read is a no.
        consent = self._read("consent", _consent, fields) or False
        if u7 is None:
            return None
        return Vehicle(u7, consent_warnings=consent, **known)

    def _read(self, name: str, read: Callable[[object], _T | None], fields: dict[str, object]) -> _T | None:
        given = fields.get(name)
        try:
            return read(given)
        except _ValueRefusedError as error:
            self.refuse(name, given, error.expected, error.reason)
            return None


def _u7(given: object) -> int:
    expected = f"a whole number 0..{U7_COUNT - 1}"
    if isinstance(given, bool) or not isinstance(given, int):
        raise _ValueRefusedError(expected)
    if not 0 <= given < U7_COUNT:
        raise _ValueRefusedError(expected, "u7_out_of_range")
    return given


def _member_of(kind: type[_E], given: object) -> _E | None:
    if given is None:
        return None
    names = [member.value for member in kind]
    if isinstance(given, str) and given in names:
        return kind(given)
    near = get_close_matches(given, names, n=1) if isinstance(given, str) else []
    raise _ValueRefusedError(f"{near[0]} (did you mean it?)" if near else f"one of {', '.join(names)}", "unknown_value")


def _number(unit: str, most: float, given: object) -> float | None:
    return None if given is None else _read_by(number(unit, at_least=_LEAST, up_to=most).read, f"{unit} above 0", given)


def _whole(highest: int, given: object) -> int | None:
    read = whole("", at_least=1, up_to=highest).read
    return None if given is None else _read_by(read, f"a whole number 1..{highest}", given)


def _read_by(read: Callable[[object], object], expected: str, given: object) -> Any:  # noqa: ANN401 - what it reads
    """Read a value as a zone file does, and say here what was expected."""
    try:
        return read(given)
    except Refusal as refusal:
        raise _ValueRefusedError(expected) from refusal


def _permits(given: object) -> tuple[Permit, ...]:
    if given is None:
        return ()
    if not isinstance(given, list) or not given or len(given) > _MOST_PERMITS:
        expected = f"an array of 1..{_MOST_PERMITS} permits"
        raise _ValueRefusedError(expected)
    return tuple(_permit(entry) for entry in given)


def _permit(given: object) -> Permit:
    expected = 'a permit {"zone": id, "from": moment, "until": later moment}, moments as 2026-11-20T07:00:00+08:00'
    if not isinstance(given, dict) or set(given) != {"zone", "from", "until"}:
        raise _ValueRefusedError(expected)
    zone_id = given["zone"]
    from_ms, until_ms = (_read_by(moment().read, expected, given[name]) for name in ("from", "until"))
    if not isinstance(zone_id, str) or not zone_id.strip() or from_ms >= until_ms:
        raise _ValueRefusedError(expected)
    return Permit(zone_id.strip(), from_ms, until_ms)


def _text(given: object) -> str | None:
    if given is None:
        return None
    if not isinstance(given, str) or not given.strip():
        expected = "a text"
        raise _ValueRefusedError(expected)
    return given.strip()


def _open_id(given: object) -> str | None:
    if given is None:
        return None
    if not isinstance(given, str) or re.fullmatch(r"[A-Za-z0-9_-]{28}", given) is None:
        expected = "a WeChat OpenID: 28 letters, digits, _ or -"
        raise _ValueRefusedError(expected)
    return given


def _consent(given: object) -> bool:
    agreed = given.get("warnings", False) if isinstance(given, dict) else True if given is None else given
    if not isinstance(agreed, bool):
        expected = 'true, false or {"warnings": true}'
        raise _ValueRefusedError(expected)
    return agreed


_MOST_PERMITS: Final = 100
_LEAST: Final = math.ulp(0.0)
"""The least number above 0."""
_metres = partial(_number, "metres", 10_000.0)
_tonnes = partial(_number, "tonnes", 100_000.0)

_OF_VEHICLE: Final[dict[str, tuple[str, Callable[[object], object]]]] = {
    "kind": ("kind", partial(_member_of, VehicleKind)),
    "class": ("size_class", partial(_member_of, VehicleClass)),
    "gross_weight_t": ("gross_weight_t", _tonnes),
    "plate": ("plate", _text),
    "service": ("service", _text),
    "language": ("language", partial(_member_of, Language)),
    "load_t": ("load_t", _tonnes),
    "axle_load_t": ("axle_load_t", _tonnes),
    "axle_count": ("axle_count", partial(_whole, 30)),
    "length_m": ("length_m", _metres),
    "width_m": ("width_m", _metres),
    "height_m": ("height_m", _metres),
    "seats": ("seats", partial(_whole, 300)),
    "plate_colour": ("plate_colour", partial(_member_of, PlateColour)),
    "energy": ("energy", partial(_member_of, Energy)),
    "emission_stage": ("emission_stage", partial(_whole, 6)),
    "body": ("body", partial(_member_of, BodyType)),
    "goods": ("goods", _text),
    "permits": ("permits", _permits),
}
"""For each field of a file: the field of ``Vehicle`` and what reads it."""

_FIELDS: Final = ("u7", *_OF_VEHICLE, "consent", "open_id")


def _text_of(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise _unreadable(str(path), error.strerror or "an unreadable file", "a file that can be read") from error
    except UnicodeDecodeError as error:
        raise _unreadable(path.name, f"a byte that is not UTF-8 at {error.start}", "UTF-8") from error


def _json_of(text: str, where: str) -> dict[str, object]:
    expected = "a JSON object of profiles"
    try:
        document = load_json(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable(where, shown(error), expected) from error
    if not isinstance(document, dict):
        raise _unreadable(where, shown(document), expected)
    return document


def _unreadable(where: str, found: str, expected: str) -> VehicleFileError:
    return VehicleFileError([Fault(where, "", found, expected, "unreadable")])
