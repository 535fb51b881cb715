"""The vehicle mix: seeded, mostly trucks, a few profiles incomplete."""

from __future__ import annotations

import numpy as np

from geo_engine.model import VehicleClass, VehicleKind
from geo_engine.simulate.fleet import FIRST_U7, Fleet


def fleet(seed: int = 1, users: int = 2_000) -> Fleet:
    return Fleet.draw(users, np.random.Generator(np.random.PCG64(seed)))


def test_the_same_seed_gives_the_same_vehicles() -> None:
    assert fleet(7).vehicles() == fleet(7).vehicles()


def test_another_seed_gives_other_vehicles() -> None:
    assert fleet(7).vehicles() != fleet(8).vehicles()


def test_numbers_follow_one_another() -> None:
    assert [vehicle.u7 for vehicle in fleet(users=50).vehicles()] == list(range(FIRST_U7, FIRST_U7 + 50))


def test_most_vehicles_are_trucks_but_not_all() -> None:
    kinds = [vehicle.kind for vehicle in fleet().vehicles()]
    trucks = sum(kind not in {VehicleKind.CAR, VehicleKind.COACH} for kind in kinds)
    assert 0.55 < trucks / len(kinds) < 0.75
    assert {VehicleKind.GOODS, VehicleKind.TRACTOR, VehicleKind.SPECIAL_WORK, VehicleKind.HAZMAT} <= set(kinds)


def test_truck_column_agrees_with_the_profiles() -> None:
    drawn = fleet(users=300)
    told = [vehicle.kind not in {VehicleKind.CAR, VehicleKind.COACH} for vehicle in drawn.vehicles()]
    assert drawn.truck.tolist() == told


def test_a_few_profiles_are_incomplete_and_a_few_people_have_not_agreed() -> None:
    vehicles = fleet().vehicles()
    assert 0.01 < np.mean([vehicle.plate is None for vehicle in vehicles]) < 0.06
    assert 0.01 < np.mean([vehicle.gross_weight_t is None for vehicle in vehicles]) < 0.06
    assert 0.01 < np.mean([not vehicle.consent_warnings for vehicle in vehicles]) < 0.06


def test_plates_come_from_wuhan_and_elsewhere() -> None:
    plates = [vehicle.plate for vehicle in fleet().vehicles() if vehicle.plate]
    at_home = np.mean([plate.startswith("鄂A") for plate in plates])
    assert 0.5 < at_home < 0.7
    assert all(len(plate) == 7 for plate in plates)


def test_size_class_fits_the_weight() -> None:
    for vehicle in fleet().vehicles():
        if vehicle.kind is VehicleKind.GOODS and vehicle.gross_weight_t is not None:
            assert (vehicle.gross_weight_t > 12.0) == (vehicle.size_class is VehicleClass.HEAVY)
