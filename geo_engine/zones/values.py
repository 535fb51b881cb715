"""The types of a zone's properties: each reads a JSON value and describes itself in JSON Schema, so the two agree."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from enum import StrEnum
from math import isfinite
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from geo_engine.zones.findings import describe

__all__ = [
    "PropertySpec",
    "Refusal",
    "ValueType",
    "choice",
    "did_you_mean",
    "list_of",
    "moment",
    "number",
    "object_of",
    "text",
    "timezone",
    "whole",
]


class Refusal(Exception):  # noqa: N818  # never leaves the package: it carries a fault to the place that knows where
    """A value is not accepted: what was found, what was expected, the short stable reason."""

    def __init__(self, found: str, expected: str, reason: str, *, path: str = "") -> None:
        super().__init__(found)
        self.found = found
        self.expected = expected
        self.reason = reason
        self.path = path


@dataclass(frozen=True, slots=True)
class ValueType:
    """How a property value is read and described.

    Attributes:
        read: returns the value as the engine uses it, or raises ``Refusal``.
        schema: the same rule as JSON Schema (draft 2020-12).
    """

    read: Callable[[object], object]
    schema: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class PropertySpec:
    """One row of a table of properties: what a property is called, what it holds, what it means."""

    name: str
    holds: ValueType
    meaning: str
    required: bool = False


# Control characters break the lines a fault is printed in; a lone surrogate cannot be written to a file or a socket.
_BAD_CHARACTER: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")

_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def text(max_length: int, *, pattern: str = "", form: str = "", example: str = "") -> ValueType:
    """A text that is not blank, at most ``max_length`` characters, matching ``pattern`` as a whole when given.

    Args:
        max_length: in characters.
        pattern: regular expression, in the dialect Python and JSON Schema share.
        form: ``pattern`` in words.
        example: a text that is accepted.
    """
    expected = f"text of 1 to {max_length} characters" + (f": {form}" if form else "")
    expected += f", e.g. {example}" if example else ""
    compiled = re.compile(pattern or r".*\S.*", re.DOTALL)

    def read(value: object) -> str:
        if not isinstance(value, str):
            raise Refusal(describe(value), expected, "wrong_type")
        if len(value) > max_length:
            found = f"{len(value)} characters"
            raise Refusal(found, expected, "text_too_long")
        if _BAD_CHARACTER.search(value):
            found = "a control character or half a character"
            raise Refusal(found, expected, "bad_character")
        if not compiled.fullmatch(value):
            raise Refusal(describe(value), expected, "bad_text")
        return value.strip()

    schema = {"type": "string", "minLength": 1, "maxLength": max_length}
    return ValueType(read, schema | ({"pattern": f"^{pattern}$"} if pattern else {"pattern": r"\S"}))


def choice(members: type[StrEnum]) -> ValueType:
    """One of the values of an enumeration."""
    values = [member.value for member in members]
    expected = "one of " + ", ".join(values)

    def read(value: object) -> StrEnum:
        if not isinstance(value, str):
            raise Refusal(describe(value), expected, "wrong_type")
        if value not in values:
            near = get_close_matches(value[:50].lower(), values, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise Refusal(describe(value), expected + hint, "unknown_value")
        return members(value)

    return ValueType(read, {"enum": values})


def number(unit: str, *, at_least: float, up_to: float) -> ValueType:
    """A number from ``at_least`` to ``up_to``."""
    expected = f"a number of {unit} from {at_least:g} to {up_to:g}"

    def read(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Refusal(describe(value), expected, "wrong_type")
        if isinstance(value, float) and not isfinite(value):
            raise Refusal(describe(value), expected, "not_finite")
        if not at_least <= value <= up_to:
            raise Refusal(describe(value), expected, "out_of_range")
        return float(value)

    return ValueType(read, {"type": "number", "minimum": at_least, "maximum": up_to})


def whole(unit: str, *, at_least: int, up_to: int) -> ValueType:
    """A whole number from ``at_least`` to ``up_to``."""
    expected = f"a whole number of {unit} from {at_least} to {up_to}"
    within = number(unit, at_least=at_least, up_to=up_to)

    def read(value: object) -> int:
        if isinstance(value, float) and isfinite(value) and not value.is_integer():
            raise Refusal(describe(value), expected, "not_whole")
        return int(float(str(within.read(value))))

    return ValueType(read, {"type": "integer", "minimum": at_least, "maximum": up_to})


def moment() -> ValueType:
    """A moment in RFC 3339 with its UTC offset, read as epoch milliseconds UTC."""
    expected = "RFC 3339 with an offset, e.g. 2026-11-20T07:00:00+08:00"

    def read(value: object) -> int:
        if not isinstance(value, str):
            raise Refusal(describe(value), expected, "wrong_type")
        if not _MOMENT.fullmatch(value):
            raise Refusal(describe(value), expected, "bad_time")
        try:
            instant = datetime.fromisoformat(value)
        except ValueError as error:
            raise Refusal(describe(value), f"{expected} ({error})", "bad_time") from error
        return (instant - _EPOCH) // timedelta(milliseconds=1)

    return ValueType(read, {"type": "string", "format": "date-time", "pattern": f"^{_MOMENT.pattern}$"})


def timezone() -> ValueType:
    """The IANA name of a time zone."""
    name = text(64)

    def read(value: object) -> str:
        found = str(name.read(value))
        try:
            return ZoneInfo(found).key
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            expected = "the IANA name of a time zone, e.g. Asia/Shanghai"
            raise Refusal(describe(value), expected, "unknown_timezone") from error

    return ValueType(read, name.schema)


def list_of(item: ValueType, *, up_to: int) -> ValueType:
    """An array of one to ``up_to`` different values."""
    expected = f"an array of 1 to {up_to} values"

    def read(value: object) -> tuple[object, ...]:
        if not isinstance(value, list | tuple):
            raise Refusal(describe(value), expected, "wrong_type")
        if not 1 <= len(value) <= up_to:
            raise Refusal(describe(value), expected, "wrong_length")
        return tuple(_read_item(item, row, entry) for row, entry in enumerate(value))

    return ValueType(read, {"type": "array", "items": item.schema, "minItems": 1, "maxItems": up_to})


def object_of(specs: Sequence[PropertySpec], what: str, *, may_be_empty: bool = True) -> ValueType:
    """An object with members of a table; a null counts as absent, and an unknown member is refused.

    Unlike a stray column of a zone, a member that is not understood would change what the others mean.

    Args:
        specs: the members.
        what: what one of them is called, e.g. ``condition``.
        may_be_empty: False = at least one member is not null.
    """
    known = {spec.name: spec for spec in specs}

    def read(value: object) -> dict[str, object]:
        if not isinstance(value, Mapping):
            raise Refusal(describe(value), f"an object of {what}s", "wrong_type")
        given = {name: entry for name, entry in value.items() if entry is not None}
        if not given and not may_be_empty:
            raise Refusal(describe(value), f"an object with at least one {what}", f"no_{what.replace(' ', '_')}")
        return {name: _read_member(known, name, entry, what) for name, entry in given.items()}

    nothing = {"type": "null"}
    schema: dict[str, object] = {
        "type": "object",
        "additionalProperties": nothing,
        "properties": {
            spec.name: {"description": spec.meaning, "anyOf": [spec.holds.schema, nothing]} for spec in specs
        },
    }
    return ValueType(read, schema if may_be_empty else schema | {"not": {"additionalProperties": nothing}})


def did_you_mean(name: object, known: Sequence[str]) -> str:
    """Return the known name nearest to a misspelt one, as a question; empty when none is near."""
    near = get_close_matches(str(name)[:50].lower(), known, n=1, cutoff=0.8)
    return f"{near[0]} (did you mean that?)" if near else ""


def _read_member(known: Mapping[str, PropertySpec], name: str, value: object, what: str) -> object:
    if name not in known:
        hint = did_you_mean(name, list(known)) or f"one of {', '.join(known)}"
        found = f"the unknown {what} {describe(name)}"
        raise Refusal(found, hint, f"unknown_{what.replace(' ', '_')}")
    try:
        return known[name].holds.read(value)
    except Refusal as refusal:
        path = f".{name}{refusal.path}"
        raise Refusal(refusal.found, refusal.expected, refusal.reason, path=path) from refusal


def _read_item(item: ValueType, row: int, value: object) -> object:
    try:
        return item.read(value)
    except Refusal as refusal:
        raise Refusal(refusal.found, refusal.expected, refusal.reason, path=f"[{row}]{refusal.path}") from refusal
