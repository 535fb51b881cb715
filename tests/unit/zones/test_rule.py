"""Whom a zone concerns: a condition that holds, one that does not, one whose field is unknown."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo_engine.model import (
    Applicability,
    BodyType,
    Energy,
    PlateColour,
    Vehicle,
    VehicleClass,
    VehicleKind,
)
from geo_engine.zones.applicability import ApplicabilityMatrix
from geo_engine.zones.rule import EVERYONE, GOODS_KINDS, AppliesTo, Limit, Measure, TailParity, plate_tail_digit

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


FULL = Vehicle(
    1,
    VehicleKind.GOODS,
    VehicleClass.HEAVY,
    18.0,
    "鄂A1234B",
    load_t=10.0,
    axle_load_t=9.0,
    axle_count=3,
    length_m=9.0,
    width_m=2.5,
    height_m=3.5,
    seats=2,
    plate_colour=PlateColour.YELLOW,
    energy=Energy.DIESEL,
    emission_stage=4,
    body=BodyType.VAN,
    goods="general",
)


@pytest.mark.parametrize(
    ("rule", "full", "unknown"),
    [
        (AppliesTo(limits=(Limit(Measure.HEIGHT, 3.4),)), YES, MAYBE),
        (AppliesTo(limits=(Limit(Measure.HEIGHT, 3.5),)), NO, MAYBE),
        (AppliesTo(limits=(Limit(Measure.SEATS, 2, above=False),)), YES, MAYBE),
        (AppliesTo(limits=(Limit(Measure.AXLES, 2, above=False), Limit(Measure.LOAD, 1.0))), NO, MAYBE),
        (AppliesTo(plate_colours=frozenset({PlateColour.YELLOW})), YES, MAYBE),
        (AppliesTo(plate_colours=frozenset({PlateColour.GREEN})), NO, MAYBE),
        (AppliesTo(tail_digits=frozenset({4})), YES, MAYBE),
        (AppliesTo(tail_digits=frozenset({3})), NO, MAYBE),
        (AppliesTo(energies=frozenset({Energy.DIESEL}), emission_stage_at_most=4), YES, MAYBE),
        (AppliesTo(energies=frozenset({Energy.DIESEL}), emission_stage_at_most=3), NO, MAYBE),
        (AppliesTo(bodies=frozenset({BodyType.VAN})), YES, MAYBE),
        (AppliesTo(goods=frozenset({"hazmat"})), NO, MAYBE),
        (AppliesTo(services=frozenset({"sprinkler"})), NO, NO),
        (AppliesTo(any_of=(AppliesTo(gross_weight_over_t=20.0), AppliesTo(emission_stage_at_most=4))), YES, MAYBE),
        (AppliesTo(any_of=(AppliesTo(gross_weight_over_t=20.0), AppliesTo(emission_stage_at_most=3))), NO, MAYBE),
        (AppliesTo(unless=(AppliesTo(energies=frozenset({Energy.ELECTRIC})),)), YES, MAYBE),
        (AppliesTo(unless=(AppliesTo(energies=frozenset({Energy.DIESEL})),)), NO, MAYBE),
    ],
)
def test_each_condition_judges_a_known_and_an_unknown_vehicle(
    rule: AppliesTo, full: Applicability, unknown: Applicability
) -> None:
    assert rule.judge(FULL) is full
    assert rule.judge(UNKNOWN) is unknown


def test_doubt_gives_way_to_certainty() -> None:
    doubt = AppliesTo(energies=frozenset({Energy.DIESEL}))
    no, yes = AppliesTo(kinds=frozenset({VehicleKind.CAR})), AppliesTo(kinds=frozenset({VehicleKind.GOODS}))
    truck = Vehicle(1, VehicleKind.GOODS)
    assert replace(doubt, kinds=no.kinds).judge(truck) is NO
    assert AppliesTo(any_of=(doubt, yes)).judge(truck) is YES
    assert AppliesTo(any_of=(doubt, no)).judge(truck) is MAYBE
    assert AppliesTo(unless=(doubt, yes)).judge(truck) is NO
    assert AppliesTo(unless=(doubt, no)).judge(truck) is MAYBE


def test_hazmat_vehicle_carries_hazmat_unless_it_is_known_to_be_empty() -> None:
    rule, tanker = AppliesTo(goods=frozenset({"hazmat"})), Vehicle(1, VehicleKind.HAZMAT)
    assert rule.judge(tanker) is YES
    assert rule.judge(replace(tanker, goods="empty")) is NO


@pytest.mark.parametrize(
    ("kind", "goods", "asked", "judged"),
    [
        (VehicleKind.HAZMAT, "汽油 5 吨", "hazmat", MAYBE),
        (VehicleKind.HAZMAT, "gasoline", "hazmat", MAYBE),
        (VehicleKind.HAZMAT, "hazmat", "hazmat", YES),
        (VehicleKind.HAZMAT, "gasoline", "construction_waste", NO),
        (VehicleKind.GOODS, "gravel", "hazmat", NO),
        (VehicleKind.GOODS, None, "hazmat", MAYBE),
    ],
)
def test_goods_of_a_hazmat_vehicle_by_another_name_may_be_dangerous(
    kind: VehicleKind, goods: str | None, asked: str, judged: Applicability
) -> None:
    assert AppliesTo(goods=frozenset({asked})).judge(Vehicle(1, kind, goods=goods)) is judged


@pytest.mark.parametrize("plate", [None, "鄂A12343", "鄂A12344", "鄂ABCDEF"])
def test_rule_whose_digits_are_never_meant_on_a_date_concerns_no_plate_on_it(plate: str | None) -> None:
    rule = AppliesTo(tail_parity=TailParity.AS_DATE, tail_digits=frozenset({1, 3}))
    assert rule.on_dates(odd=False).judge(Vehicle(1, plate=plate)) is NO
    assert rule.on_dates(odd=True).judge(Vehicle(1, plate=None)) is MAYBE
    assert rule.on_dates(odd=True).judge(Vehicle(1, plate="鄂A12343")) is YES


@pytest.mark.parametrize(
    ("plate", "digit"), [("鄂A12345", 5), ("鄂A1234B", 4), ("鄂AD12340", 0), ("鄂ABCDEF", None), (None, None)]
)
def test_last_digit_of_a_plate_skips_letters(plate: str | None, digit: int | None) -> None:
    assert plate_tail_digit(plate) == digit


@pytest.mark.parametrize(
    ("parity", "odd_date", "concerned"),
    [
        (TailParity.NOT_AS_DATE, True, [0, 2, 4, 6, 8]),
        (TailParity.NOT_AS_DATE, False, [1, 3, 5, 7, 9]),
        (TailParity.AS_DATE, True, [1, 3, 5, 7, 9]),
        (TailParity.AS_DATE, False, [0, 2, 4, 6, 8]),
    ],
)
def test_plates_by_date_are_a_rule_of_digits_on_each_kind_of_date(
    parity: TailParity, odd_date: bool, concerned: list[int]
) -> None:
    rule = AppliesTo(tail_parity=parity).on_dates(odd=odd_date)
    judged = [rule.judge(Vehicle(1, plate=f"鄂A1234{digit}")) for digit in range(10)]
    assert [digit for digit, found in enumerate(judged) if found is YES] == concerned
    only_three = AppliesTo(tail_parity=parity, tail_digits=frozenset({3})).on_dates(odd=odd_date)
    assert (only_three.judge(Vehicle(1, plate="鄂A12343")) is YES) is (3 in concerned)


_VEHICLES = st.builds(
    Vehicle,
    st.just(1),
    st.none() | st.sampled_from(list(VehicleKind)),
    st.none() | st.sampled_from(list(VehicleClass)),
    st.none() | st.sampled_from([1.0, 3.5, 12.0, 12.1]),
    st.none() | st.sampled_from(["鄂A12345", "鄂B1234C", "湘A1"]),
    st.none() | st.sampled_from(["emergency", "sprinkler", "post"]),
    height_m=st.none() | st.sampled_from([2.0, 3.0, 3.1]),
    plate_colour=st.none() | st.sampled_from(list(PlateColour)),
    energy=st.none() | st.sampled_from(list(Energy)),
    emission_stage=st.none() | st.integers(1, 6),
    goods=st.none() | st.sampled_from(["hazmat", "general"]),
)
_SIMPLE = st.builds(
    AppliesTo,
    st.sampled_from([frozenset(), GOODS_KINDS]),
    st.sampled_from([frozenset(), frozenset({VehicleClass.HEAVY})]),
    st.sampled_from([None, 3.5, 12.0]),
    st.sampled_from([(), ("鄂",)]),
    st.sampled_from([(), ("鄂A1",)]),
    st.sampled_from([frozenset(), frozenset({"emergency"})]),
    limits=st.sampled_from([(), (Limit(Measure.HEIGHT, 3.0),), (Limit(Measure.HEIGHT, 3.0, above=False),)]),
    plate_colours=st.sampled_from([frozenset(), frozenset({PlateColour.BLUE})]),
    tail_digits=st.sampled_from([frozenset(), frozenset({5})]),
    energies=st.sampled_from([frozenset(), frozenset({Energy.DIESEL})]),
    emission_stage_at_most=st.sampled_from([None, 3]),
    goods=st.sampled_from([frozenset(), frozenset({"hazmat"})]),
    services=st.sampled_from([frozenset(), frozenset({"sprinkler"})]),
)
_RULES = st.builds(
    lambda rule, any_of, unless: replace(rule, any_of=tuple(any_of), unless=tuple(unless)),
    _SIMPLE,
    st.lists(_SIMPLE, max_size=2),
    st.lists(_SIMPLE, max_size=2),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_RULES, min_size=1, max_size=4), st.lists(_VEHICLES, min_size=1, max_size=8))
def test_row_of_a_vehicle_holds_what_each_rule_says_of_it(rules: list[AppliesTo], vehicles: list[Vehicle]) -> None:
    matrix = ApplicabilityMatrix(rules, Vehicle(u7=0))
    rows = [matrix.row_of(vehicle) for vehicle in vehicles]
    for row, vehicle in zip(rows, vehicles, strict=True):
        assert matrix.matrix[row].tolist() == [rule.judge(vehicle) for rule in rules]
