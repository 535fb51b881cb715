"""Whom a zone concerns: a condition that holds, one that does not, one whose field is unknown."""

from __future__ import annotations

import pytest

from geo_engine.model import Applicability, Vehicle, VehicleClass, VehicleKind
from geo_engine.zones.rule import EVERYONE, GOODS_KINDS, AppliesTo

YES, NO, MAYBE = Applicability.YES, Applicability.NO, Applicability.MAYBE
TRUCK = Vehicle(1, VehicleKind.GOODS, VehicleClass.HEAVY, 18.0, "鄂A12345")
UNKNOWN = Vehicle(2)


@pytest.mark.parametrize(
    ("rule", "truck", "unknown"),
    [
        (EVERYONE, YES, YES),
        (AppliesTo(kinds=GOODS_KINDS), YES, MAYBE),
        (AppliesTo(kinds=frozenset({VehicleKind.CAR})), NO, MAYBE),
        (AppliesTo(classes=frozenset({VehicleClass.HEAVY})), YES, MAYBE),
        (AppliesTo(classes=frozenset({VehicleClass.LIGHT})), NO, MAYBE),
        (AppliesTo(gross_weight_over_t=17.9), YES, MAYBE),
        (AppliesTo(gross_weight_over_t=18.0), NO, MAYBE),
        (AppliesTo(plate_prefixes=("湘", "鄂A")), YES, MAYBE),
        (AppliesTo(plate_prefixes=("湘",)), NO, MAYBE),
        (AppliesTo(plate_prefixes_except=("湘",)), YES, MAYBE),
        (AppliesTo(plate_prefixes_except=("鄂A",)), NO, MAYBE),
        (AppliesTo(gross_weight_over_t=4.5, plate_prefixes_except=("鄂A",)), NO, MAYBE),
        (AppliesTo(exempt=frozenset({"emergency"})), YES, YES),
    ],
)
def test_rule_judges_a_known_and_an_unknown_vehicle(
    rule: AppliesTo, truck: Applicability, unknown: Applicability
) -> None:
    assert rule.judge(TRUCK) is truck
    assert rule.judge(UNKNOWN) is unknown


def test_exempt_service_is_never_concerned() -> None:
    rule = AppliesTo(exempt=frozenset({"emergency"}))
    assert rule.judge(Vehicle(3, VehicleKind.GOODS, service="emergency")) is NO
    assert rule.judge(Vehicle(3, VehicleKind.GOODS, service="postal")) is YES
