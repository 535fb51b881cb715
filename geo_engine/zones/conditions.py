"""The conditions inside ``applies_to``: one table, from which they are read and from which the JSON Schema is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from geo_engine.model import BodyType, Energy, PlateColour, VehicleClass, VehicleKind
from geo_engine.zones.rule import GOODS_KINDS, AppliesTo, Limit, Measure, TailParity
from geo_engine.zones.values import PropertySpec, ValueType, choice, list_of, number, object_of, text, whole

__all__ = ["APPLIES_TO", "APPLIES_TO_TYPE", "SERVICES", "applies_to_of"]

_PLATE: Final = list_of(
    text(
        8,
        pattern=r"[\u4e00-\u9fff]([A-Z0-9]+[挂学警港澳使领]?)?",
        form="a Chinese character, then capital letters and digits",
        example="鄂A",
    ),
    up_to=100,
)
"""The beginning of a plate, or all of it with the character some plates end in (鄂A1234挂)."""


def _words(example: str) -> ValueType:
    form = "lower-case letters, digits, _"
    return list_of(text(40, pattern="[a-z][a-z0-9_]*", form=form, example=example), up_to=50)


SERVICES: Final = _words("emergency")
"""Services by lower-case words, as the vehicle files have them."""

_TONNES: Final = number("tonnes", at_least=0.1, up_to=1_000)
_METRES: Final = number("metres", at_least=0.1, up_to=100)
_AXLES: Final = whole("axles", at_least=1, up_to=30)
_SEATS: Final = whole("seats", at_least=1, up_to=300)

_LIMITS: Final = {
    "gross_weight_at_most_t": (Measure.GROSS_WEIGHT, False, _TONNES, "permitted gross weight"),
    "load_over_t": (Measure.LOAD, True, _TONNES, "rated load"),
    "load_at_most_t": (Measure.LOAD, False, _TONNES, "rated load"),
    "axle_load_over_t": (Measure.AXLE_LOAD, True, _TONNES, "load of the heaviest axle"),
    "axle_load_at_most_t": (Measure.AXLE_LOAD, False, _TONNES, "load of the heaviest axle"),
    "axles_over": (Measure.AXLES, True, _AXLES, "number of axles"),
    "axles_at_most": (Measure.AXLES, False, _AXLES, "number of axles"),
    "length_over_m": (Measure.LENGTH, True, _METRES, "length"),
    "length_at_most_m": (Measure.LENGTH, False, _METRES, "length"),
    "width_over_m": (Measure.WIDTH, True, _METRES, "width"),
    "width_at_most_m": (Measure.WIDTH, False, _METRES, "width"),
    "height_over_m": (Measure.HEIGHT, True, _METRES, "height"),
    "height_at_most_m": (Measure.HEIGHT, False, _METRES, "height"),
    "seats_over": (Measure.SEATS, True, _SEATS, "number of seats"),
    "seats_at_most": (Measure.SEATS, False, _SEATS, "number of seats"),
}

_CONDITIONS: Final = (
    PropertySpec(
        "vehicle_kinds",
        list_of(choice(VehicleKind), up_to=len(VehicleKind)),
        "kinds of vehicle concerned; absent = every kind, in a truck_restriction every kind but car and coach",
    ),
    PropertySpec(
        "vehicle_classes",
        list_of(choice(VehicleClass), up_to=len(VehicleClass)),
        "national size classes concerned; absent = every class",
    ),
    PropertySpec("gross_weight_over_t", _TONNES, "concerned above this permitted gross weight"),
    *(
        PropertySpec(name, holds, f"concerned {'above' if above else 'up to'} this {what}")
        for name, (_, above, holds, what) in _LIMITS.items()
    ),
    PropertySpec("plate_prefixes", _PLATE, "concerned when the plate begins with one of these, e.g. 鄂A"),
    PropertySpec("plate_prefixes_except", _PLATE, "not concerned when the plate begins with one of these"),
    PropertySpec("plate_colours", list_of(choice(PlateColour), up_to=len(PlateColour)), "colours of plate concerned"),
    PropertySpec(
        "plate_tail_digits",
        list_of(whole("the last digit of a plate", at_least=0, up_to=9), up_to=10),
        "concerned when the last digit of the plate is one of these; letters are skipped",
    ),
    PropertySpec("energies", list_of(choice(Energy), up_to=len(Energy)), "energies concerned"),
    PropertySpec(
        "emission_stage_at_most",
        whole("the national emission stage", at_least=1, up_to=6),
        "concerned up to this emission stage, 3 = China III and older",
    ),
    PropertySpec("bodies", list_of(choice(BodyType), up_to=len(BodyType)), "bodies of goods vehicles concerned"),
    PropertySpec("goods", _words("hazmat"), "goods concerned; a hazmat vehicle carries hazmat"),
    PropertySpec("services", _words("sprinkler"), "concerned when it works for one of these services"),
)

_CASE: Final = object_of(_CONDITIONS, "condition", may_be_empty=False)
"""Without a condition it would hold for everybody: an exception that spares all, an alternative that asks nothing."""

APPLIES_TO: Final = (
    *_CONDITIONS,
    PropertySpec(
        "plate_tail_parity",
        choice(TailParity),
        "concerned by the last digit of the plate: not_as_date = odd ones on even dates and even ones on odd dates",
    ),
    PropertySpec(
        "any_of",
        list_of(_CASE, up_to=20),
        "alternatives: all conditions of one of them must hold as well",
    ),
    PropertySpec(
        "except",
        list_of(_CASE, up_to=20),
        "exceptions: not concerned when all conditions of one of them hold",
    ),
)
"""The conditions inside ``applies_to``; all given ones must hold."""

APPLIES_TO_TYPE: Final = object_of(APPLIES_TO, "condition")


def applies_to_of(conditions: Mapping[str, Any], *, exempt: frozenset[str], only_goods: bool) -> AppliesTo:
    """Return the rule that conditions as read by ``APPLIES_TO_TYPE`` stand for.

    Args:
        conditions: the conditions by name.
        exempt: services that are never concerned.
        only_goods: where no kind is named, every kind but cars and coaches is meant; where some alternatives name
            kinds, that is so of each that does not.
    """
    usual = {"vehicle_kinds": tuple(GOODS_KINDS)}
    if only_goods and "vehicle_kinds" not in conditions:
        choices = conditions.get("any_of", ())
        if any("vehicle_kinds" in choice for choice in choices):
            conditions = {**conditions, "any_of": tuple(usual | choice for choice in choices)}
        else:
            conditions = {**conditions, **usual}
    return _conditions(conditions, exempt)


def _conditions(conditions: Mapping[str, Any], exempt: frozenset[str] = frozenset()) -> AppliesTo:
    limits = [
        Limit(measure, float(conditions[name]), above)
        for name, (measure, above, _, _) in _LIMITS.items()
        if name in conditions
    ]
    return AppliesTo(
        kinds=frozenset(conditions.get("vehicle_kinds", ())),
        classes=frozenset(conditions.get("vehicle_classes", ())),
        gross_weight_over_t=conditions.get("gross_weight_over_t"),
        plate_prefixes=conditions.get("plate_prefixes", ()),
        plate_prefixes_except=conditions.get("plate_prefixes_except", ()),
        exempt=exempt,
        limits=tuple(limits),
        plate_colours=frozenset(conditions.get("plate_colours", ())),
        tail_digits=frozenset(conditions.get("plate_tail_digits", ())),
        tail_parity=conditions.get("plate_tail_parity"),
        energies=frozenset(conditions.get("energies", ())),
        emission_stage_at_most=conditions.get("emission_stage_at_most"),
        bodies=frozenset(conditions.get("bodies", ())),
        goods=frozenset(conditions.get("goods", ())),
        services=frozenset(conditions.get("services", ())),
        any_of=tuple(_conditions(part) for part in conditions.get("any_of", ())),
        unless=tuple(_conditions(part) for part in conditions.get("except", ())),
    )
