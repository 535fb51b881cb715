"""Reads JSON text that nobody vouches for: not UTF-8, cut off, nested too deep, repeated names, huge numbers."""

from __future__ import annotations

import json
from collections import Counter

from geo_engine.errors import Fault, ZoneDocumentError

__all__ = ["RepeatedNames", "read_json"]

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class RepeatedNames(dict[str, object]):
    """A JSON object in which a name occurs more than once; holds the last value, as every JSON reader does."""

    repeated: tuple[str, ...] = ()


def read_json(source: bytes | str, *, where: str, max_bytes: int, max_brackets: int) -> object:
    """Parse ``source``.

    ``NaN`` and ``Infinity`` are let through (as Python's reader does), so that the fault can name the feature that
    holds them. A byte order mark is skipped.

    Args:
        source: the whole text.
        where: what to call it in a fault.
        max_bytes: a longer text is refused unread.
        max_brackets: a text with more ``[`` is refused before it is parsed, because each opens an array.

    Raises:
        ZoneDocumentError: the text cannot be parsed; carries one fault.
    """
    if len(source) > max_bytes:
        raise _refusal(where, f"{len(source)} bytes", f"at most {max_bytes}", "document_too_large")
    text = source.removeprefix("\ufeff") if isinstance(source, str) else _decode(source, where)
    if not text.strip():
        raise _refusal(where, "an empty text", "a GeoJSON FeatureCollection", "empty_document")
    brackets = text.count("[")
    if brackets > max_brackets:
        raise _refusal(where, f"{brackets} arrays", f"at most {max_brackets}, one a position", "too_many_vertices")
    return _parse(text, where)


def _decode(source: bytes, where: str) -> str:
    try:
        return source.removeprefix(_BYTE_ORDER_MARK).decode("utf-8")
    except UnicodeDecodeError as error:
        offset = error.start + (len(_BYTE_ORDER_MARK) if source.startswith(_BYTE_ORDER_MARK) else 0)
        found = f"byte 0x{source[offset]:02x} at offset {offset}"
        hint = "; it looks like GBK; save the file as UTF-8" if _is_gbk(source) else ""
        raise _refusal(where, found, f"UTF-8 text{hint}", "not_utf8") from error


def _is_gbk(source: bytes) -> bool:
    try:
        source.decode("gb18030")
    except UnicodeDecodeError:
        return False
    return True


def _parse(text: str, where: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise _refusal(where, _say(error), "JSON", "not_json") from error
    except RecursionError as error:
        found = "arrays or objects nested hundreds deep"
        raise _refusal(where, found, "the nesting of GeoJSON", "nested_too_deep") from error
    except ValueError as error:
        found = "a whole number of thousands of digits"
        raise _refusal(where, found, "numbers of an ordinary length", "number_too_long") from error


def _say(error: json.JSONDecodeError) -> str:
    """Say what is wrong; the comma after the last value, which other languages allow, by its name."""
    text, closing = error.doc, error.doc[error.pos : error.pos + 1]
    before = text[: error.pos].rstrip()
    if before.endswith(",") and closing in ("}", "]"):
        comma = json.JSONDecodeError(f"a comma before {closing}", text, len(before) - 1)
        return f"{comma.msg} at line {comma.lineno} column {comma.colno}"
    return f"{error.msg} at line {error.lineno} column {error.colno}"


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    plain = dict(pairs)
    if len(plain) == len(pairs):
        return plain
    marked = RepeatedNames(plain)
    marked.repeated = tuple(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
    return marked


def _refusal(where: str, found: str, expected: str, reason: str) -> ZoneDocumentError:
    return ZoneDocumentError([Fault(where, "$", found, expected, reason)])
