"""The values of OpenStreetMap ``*:conditional`` tags: ``no @ (07:30-19:00 AND weight>7.5); yes @ (Su)``.

Grammar (wiki.openstreetmap.org/wiki/Conditional_restrictions): clauses divided by ``;``, each a value and, after ``@``,
conditions joined by ``AND``. Parentheses may be left out round a single condition without ``;``. A value of lanes is
one value: ``yes|yes @ (Su)`` says both lanes on Sundays.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import Final

from geo_engine.zones.findings import TextError, describe

__all__ = [
    "Clause",
    "Comparison",
    "Condition",
    "ConditionalError",
    "Times",
    "Word",
    "format_conditional",
    "parse_conditional",
    "written_number",
]

MAX_CHARACTERS: Final = 1_000
_COMPARISON: Final = re.compile(r"([a-z_]+)\s*(<=|>=|<|>|=)\s*(\d+(?:\.\d+)?)\s*([a-z]*)", re.IGNORECASE)
_TIMES: Final = re.compile(r"\d{1,2}:\d\d|\b24\s*h\b|24/7|\b(Mo|Tu|We|Th|Fr|Sa|Su|PH|SH)\b|\b[A-Z][a-z]{2}\s+\d{1,2}\b")
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_:]*")
_AND: Final = re.compile(r"\s+AND\s+", re.IGNORECASE)
_ALL_DAY: Final = re.compile(r"\b24\s*h\b")


class ConditionalError(TextError):
    """A value that is not in the grammar."""


@dataclass(frozen=True, slots=True)
class Times:
    """A condition of time, as it is written."""

    text: str

    @property
    def schedule(self) -> str:
        """The opening_hours text: ``24 h``, which mappers write, is not in that grammar."""
        return _ALL_DAY.sub("00:00-24:00", self.text)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Comparison:
    """A condition on a measure of the vehicle, e.g. ``weight>7.5``; the unit is empty for the usual one."""

    measure: str
    operator: str
    number: float
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.measure}{self.operator}{written_number(self.number)}{' ' if self.unit else ''}{self.unit}"


@dataclass(frozen=True, slots=True)
class Word:
    """Any other condition: a kind of vehicle or of use (``hgv``, ``destination``), the weather (``wet``)."""

    text: str

    def __str__(self) -> str:
        return self.text


Condition = Times | Comparison | Word


@dataclass(frozen=True, slots=True)
class Clause:
    """One value and the conditions under which it holds; all must.

    Attributes:
        lanes: the value, lane by lane from the left; one entry when the tag is not about lanes, "" = nothing said.
        conditions: none = always.
    """

    lanes: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()

    @property
    def value(self) -> str:
        """The value as it is written."""
        return "|".join(self.lanes)


def written_number(number: float) -> str:
    """Return a finite number with every digit it has and no exponent, which tags do not know."""
    digits = f"{Decimal(repr(number)):f}"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def parse_conditional(text: str) -> tuple[Clause, ...]:
    """Read the value of a ``*:conditional`` tag; later clauses win over earlier ones.

    Raises:
        ConditionalError: it is not in the grammar.
    """
    if len(text) > MAX_CHARACTERS:
        found = f"{len(text)} characters"
        raise ConditionalError(found, f"at most {MAX_CHARACTERS}")
    return tuple(_clause(part) for part in _divided(text))


def format_conditional(clauses: tuple[Clause, ...]) -> str:
    """Write clauses in the usual form; reading that gives the same clauses."""
    return "; ".join(_written(clause) for clause in clauses)


def _written(clause: Clause) -> str:
    if not clause.conditions:
        return clause.value
    return f"{clause.value} @ ({' AND '.join(str(condition) for condition in clause.conditions)})"


def _divided(text: str) -> list[str]:
    """Divide at the ``;`` outside parentheses."""
    parts, depth, start = [], 0, 0
    for place, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if depth < 0:
            break
        if sign == ";" and depth == 0:
            parts.append(text[start:place])
            start = place + 1
    if depth != 0:
        raise ConditionalError(describe(text), "as many ( as )")
    parts.append(text[start:])
    return [part for part in parts if part.strip()] or [""]


def _clause(text: str) -> Clause:
    value, at, condition = text.partition("@")
    lanes = tuple(lane.strip() for lane in value.split("|"))
    if not any(lanes):
        raise ConditionalError(describe(text.strip()), "a value, then @ and a condition, e.g. no @ (07:00-19:00)")
    if not at and _TIMES.search(value):
        # The rest of opening hours whose parentheses were left out; which clause it belongs to is a guess.
        raise ConditionalError(describe(text.strip()), "times with ; in parentheses: no @ (Mo-Fr 07:00-09:00; Sa off)")
    return Clause(lanes, _conditions(condition.strip(), text) if at else ())


def _conditions(text: str, clause: str) -> tuple[Condition, ...]:
    inner = text[1:-1].strip() if text.startswith("(") and text.endswith(")") else text
    if not inner:
        raise ConditionalError(describe(clause.strip()), "a condition after @")
    return tuple(_condition(part.strip().removeprefix("(").removesuffix(")").strip()) for part in _AND.split(inner))


def _condition(text: str) -> Condition:
    comparison = _COMPARISON.fullmatch(text)
    if comparison and isfinite(float(comparison[3])):
        return Comparison(comparison[1].lower(), comparison[2], float(comparison[3]), comparison[4].lower())
    if _TIMES.search(text):
        return Times(" ".join(text.split()))
    if _WORD.fullmatch(text):
        return Word(text)
    raise ConditionalError(describe(text), "a time, a comparison such as weight>7.5, or a word such as destination")
