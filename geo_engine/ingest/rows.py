"""One ping from plain values: the careful reader of a single row, which says what is wrong with it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

__all__ = [
    "OPTIONAL_FIELDS",
    "REQUIRED_FIELDS",
    "BadField",
    "Row",
    "epoch_ms",
    "iso_ms",
    "load_json",
    "read_row",
    "shown",
]

REQUIRED_FIELDS: Final = ("u7", "time", "lon", "lat")
OPTIONAL_FIELDS: Final = ("speed_mps", "heading_deg", "accuracy_m")

_INT64: Final = range(-(2**63), 2**63)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)

_EXPECTED: Final = {
    "u7": "a whole number 0..9999999",
    "time": "epoch milliseconds or ISO 8601 with a zone",
    "lon": "degrees as a number",
    "lat": "degrees as a number",
    "speed_mps": "metres per second as a number",
    "heading_deg": "degrees as a number",
    "accuracy_m": "metres as a number",
}

_EXPECTED_ROW: Final = "an object with " + ", ".join(REQUIRED_FIELDS)

Row = tuple[int, int, float, float, float, float, float]


class BadField(NamedTuple):
    """Why a row cannot be read: the first field that is wrong, what was given (None = nothing), what was expected."""

    name: str
    given: object
    expected: str


def read_row(fields: object, *, finite: bool = False) -> Row | BadField:
    """Read one ping from a dictionary of plain values; say what is wrong with it when it cannot be read.

    Args:
        fields: the row; anything but a dictionary is wrong.
        finite: refuse positions that are not finite.
    """
    if not isinstance(fields, dict):
        return BadField("", fields, _EXPECTED_ROW)
    values: list[Any] = []
    for name, read in _READERS.items():
        given = fields.get(name)
        if given is None and name in OPTIONAL_FIELDS:
            values.append(math.nan)
            continue
        value = read(given)
        if value is None or (finite and name in {"lon", "lat"} and not math.isfinite(value)):
            return BadField(name, given, _EXPECTED[name])
        values.append(value)
    u7, time_ms, lon, lat, speed_mps, heading_deg, accuracy_m = values
    return u7, time_ms, lon, lat, speed_mps, heading_deg, accuracy_m


def epoch_ms(text: str) -> int | None:
    """Return the epoch milliseconds of an ISO 8601 time with zone, rounded down; None when it is not one."""
    try:
        return iso_ms(text)
    except ValueError:
        return None


def iso_ms(text: str) -> int:
    """Return the epoch milliseconds of an ISO 8601 time with zone, rounded down.

    Raises:
        ValueError: it is not one.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        message = f"time without zone: {text}"
        raise ValueError(message)
    return (moment - _EPOCH) // _MILLISECOND


def load_json(text: str) -> object:
    """Parse JSON as Python does (NaN allowed), safe against integers of thousands of digits.

    Raises:
        ValueError: not JSON.
        RecursionError: nested too deeply.
    """
    document: object = json.loads(text, parse_int=_json_integer)
    return document


def shown(value: object, limit: int = 60) -> str:
    """Return ``value`` as a fault shows it: on one line, printable, shortened; text in quotes."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    text = " ".join((value if isinstance(value, str) else _brief(value))[:400].split())
    # Control characters and lone surrogates would harm the terminal or the log the fault is printed to.
    line = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
    line = line if len(line) <= limit else line[: limit - 1] + "…"
    return f'"{line}"' if isinstance(value, str) else line


def _json_integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= 25 else float(digits)


def _brief(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return f"an object of {len(value)} fields"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return str(value)


def _whole(value: object) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value in _INT64:
        return value
    return None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _moment(value: object) -> int | None:
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    return epoch_ms(value) if isinstance(value, str) else _whole(value)


_READERS: Final[dict[str, Callable[[object], float | None]]] = {
    "u7": _whole,
    "time": _moment,
    **dict.fromkeys((*REQUIRED_FIELDS[2:], *OPTIONAL_FIELDS), _number),
}
