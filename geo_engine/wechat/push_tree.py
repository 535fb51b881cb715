"""A pushed document, XML or JSON, as one small tree, and the one error of a push that cannot be taken.

The XML side is expat with every DOCTYPE refused, so no entity can be declared; UTF-8 only, whatever the document
claims; depth and number of elements are limited and the caller caps the bytes. The JSON side (an account can be set to
push JSON) becomes the same tree, so that everything above reads one form.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Final, NoReturn
from xml.parsers import expat

from geo_engine.errors import GeoEngineError

__all__ = ["Element", "PushError", "PushReason", "parse_json", "parse_xml"]

_MAX_DEPTH: Final = 8
_MAX_ELEMENTS: Final = 2_000


class PushReason(StrEnum):
    """Why a push was not taken. Each is counted."""

    UNSIGNED = "unsigned"
    """Not signed with the account's token."""
    STALE = "stale"
    """Signed at a moment too far from now."""
    REPLAYED = "replayed"
    """A signature that was used already, on another message."""
    SEALED_WRONG = "sealed_wrong"
    """Sealed, and none of our keys opens it."""
    PLAIN = "plain"
    """Not sealed, and the setting does not allow that."""
    TOO_LARGE = "too_large"
    DOCTYPE = "doctype"
    NOT_READABLE = "not_readable"
    """Neither XML nor JSON in UTF-8, or nested without measure."""
    MALFORMED = "malformed"
    """A field is missing, given twice, or holds what it cannot."""
    NO_POSITION = "no_position"
    """A location without a place on the earth."""


class PushError(GeoEngineError):
    """A push that cannot be taken.

    Attributes:
        reason: for counting and for the status of the answer.
    """

    def __init__(self, reason: PushReason, message: str) -> None:
        """Keep the reason; the message says what was found and expected, without the sender's data."""
        super().__init__(message)
        self.reason = reason


class Element:
    """One element: a leaf with a text, or a branch with elements. Names are as pushed, case counts."""

    __slots__ = ("elements", "name", "parts")

    def __init__(self, name: str, text: str = "") -> None:
        """Start as a leaf."""
        self.name = name
        self.parts = [text] if text else []
        self.elements: list[Element] = []

    def all(self, name: str) -> list[Element]:
        """Return the elements of that name below this one, in their order."""
        return [element for element in self.elements if element.name == name]

    def one(self, name: str) -> Element | None:
        """Return the element of that name, None when there is none.

        Raises:
            PushError: there are several: a field given twice has no value.
        """
        found = self.all(name)
        if len(found) > 1:
            message = f"{name}: found it {len(found)} times, expected it once"
            raise PushError(PushReason.MALFORMED, message)
        return found[0] if found else None

    def text(self, name: str) -> str:
        """Return the text of a leaf as pushed, empty when it is absent.

        Raises:
            PushError: it is given twice or holds elements.
        """
        found = self.one(name)
        if found is None:
            return ""
        if found.elements:
            message = f"{name}: found elements, expected a text"
            raise PushError(PushReason.MALFORMED, message)
        return "".join(found.parts)

    def plain(self) -> object:
        """Return this as JSON knows it: a text, or a mapping in which what repeats is a list."""
        if not self.elements:
            return "".join(self.parts)
        fields: dict[str, list[object]] = {}
        for element in self.elements:
            fields.setdefault(element.name, []).append(element.plain())
        return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}


def parse_xml(body: bytes) -> Element:
    """Return the root of an XML document. About 10 us for an event.

    Raises:
        PushError: it has a DOCTYPE, is not well-formed UTF-8 XML below ``<xml>``, or is nested without measure.
    """
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    top = Element("")
    path = [top]
    count = 0

    def start(name: str, _attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if count > _MAX_ELEMENTS or len(path) > _MAX_DEPTH:
            _unmeasured()
        element = Element(name)
        path[-1].elements.append(element)
        path.append(element)

    def end(_name: str) -> None:
        path.pop()

    def data(text: str) -> None:
        path[-1].parts.append(text)

    def doctype(*_declaration: object) -> NoReturn:
        message = "body: found a DOCTYPE, expected none"
        raise PushError(PushReason.DOCTYPE, message)

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = data
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        message = f"body: found XML that breaks off or is not well-formed (line {error.lineno}), expected a push"
        raise PushError(PushReason.NOT_READABLE, message) from None
    root = top.elements[0]
    if root.name != "xml":
        message = "body: found another root element, expected <xml>"
        raise PushError(PushReason.NOT_READABLE, message)
    return root


def parse_json(body: bytes) -> Element:
    """Return a JSON object as the same tree; numbers stay the texts they are.

    Raises:
        PushError: it is not one object in UTF-8, names a field twice, or is nested without measure.
    """
    try:
        text = body.decode("utf-8-sig")
        value = json.loads(
            text, object_pairs_hook=_Pairs, parse_float=str, parse_int=str, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, _Pairs):
        message = "body: found no JSON object in UTF-8, expected a push"
        raise PushError(PushReason.NOT_READABLE, message)
    root = Element("xml")
    budget = [_MAX_ELEMENTS]
    for name, below in value.pairs:
        _grow(root, name, below, 1, budget)
    return root


class _Pairs:
    """The fields of a JSON object, repeated ones included."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        self.pairs = pairs


def _refuse_constant(name: str) -> NoReturn:
    message = f"found {name}, expected a number"
    raise ValueError(message)


def _grow(parent: Element, name: str, value: object, depth: int, budget: list[int]) -> None:
    """Add a JSON value below an element; a list becomes elements of one name."""
    budget[0] -= 1
    if budget[0] < 0 or depth > _MAX_DEPTH:
        _unmeasured()
    if isinstance(value, list):
        for one in value:
            _grow(parent, name, one, depth + 1, budget)
        return
    element = Element(_unicode(name), "" if isinstance(value, _Pairs) else _leaf(value))
    parent.elements.append(element)
    if isinstance(value, _Pairs):
        for below_name, below in value.pairs:
            _grow(element, below_name, below, depth + 1, budget)


def _leaf(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _unicode(str(value))


def _unicode(text: str) -> str:
    """Return a text that can be written down; JSON can escape half a character, which nothing can."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unmeasured() -> NoReturn:
    message = f"body: found more than {_MAX_ELEMENTS} elements or a depth over {_MAX_DEPTH}, expected a push"
    raise PushError(PushReason.NOT_READABLE, message)
