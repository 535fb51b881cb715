"""GCJ-02, BD-09 and CGCS2000 against published vectors, their own inverse and the border of the rectangle."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geo_engine.geodesy.datum import Datum, from_wgs84, to_wgs84
from geo_engine.geodesy.measure import distance_m
from tests.unit.wechat.vectors import rows

VECTORS = Path(__file__).resolve().parents[3] / "../shared/data/vectors/gcj_vectors.json"
WEST, SOUTH, EAST, NORTH = 72.004, 0.8293, 137.8347, 55.8271
SHIFTED = (Datum.GCJ02, Datum.BD09)

# One pair per datum from the public test suites of coordinate converters, so that a checkout alone proves the formula.
KNOWN = (
    (Datum.GCJ02, 121.5272106, 31.1774276, 121.531541859215, 31.17530398364597),
    (Datum.GCJ02, 113.912316, 22.543847, 113.9171764808363, 22.540796131694766),
    (Datum.GCJ02, 116.377817, 39.911954, 116.38404722455657, 39.91334545536069),
)

in_china = st.tuples(st.floats(WEST, EAST), st.floats(SOUTH, NORTH))


def vectors() -> list[dict[str, Any] | None]:
    if not VECTORS.exists():
        return [None]
    return list(json.loads(VECTORS.read_text(encoding="utf-8"))["vectors"])


@pytest.mark.parametrize("case", vectors(), ids=lambda case: f"{case['op']}@{case['lon']}" if case else "")
def test_published_vector_is_met_within_its_tolerance(case: dict[str, Any] | None) -> None:
    if case is None:
        pytest.skip("the shared test vectors are not beside this checkout")
    source, target = (Datum(name) for name in case["op"].split(">"))
    lon, lat = from_wgs84(*to_wgs84(case["lon"], case["lat"], source), target)
    assert float(distance_m(lon, lat, case["exp_lon"], case["exp_lat"])) <= max(case["tol_m"], 1e-6)


@pytest.mark.parametrize("case", rows("datum"))
def test_a_position_of_wechat_is_shifted_as_its_vector_says(case: dict[str, Any]) -> None:
    source, target = Datum(case["frm"]), Datum(case["to"])
    lon, lat = from_wgs84(*to_wgs84(case["lon"], case["lat"], source), target)
    assert float(distance_m(lon, lat, case["expect_lon"], case["expect_lat"])) <= case["tol_m"]


@pytest.mark.parametrize(("datum", "lon", "lat", "there_lon", "there_lat"), KNOWN)
def test_known_pair_is_met_both_ways(datum: Datum, lon: float, lat: float, there_lon: float, there_lat: float) -> None:
    assert float(distance_m(*from_wgs84(lon, lat, datum), there_lon, there_lat)) < 1e-6
    assert float(distance_m(*to_wgs84(there_lon, there_lat, datum), lon, lat)) < 1e-6


def test_wuhan_is_shifted_by_half_a_kilometre_to_the_east_southeast() -> None:
    lon, lat = from_wgs84(114.30, 30.59, Datum.GCJ02)
    assert 559.0 < float(distance_m(114.30, 30.59, lon, lat)) < 609.0
    assert float(lon) > 114.30
    assert float(lat) < 30.59


@pytest.mark.parametrize("datum", Datum)
@given(position=in_china)
@settings(deadline=None)  # the first CGCS2000 example opens the database of PROJ
@example(position=(105.0, 28.0))  # the formula holds a root of the distance to this meridian: slowest to converge
def test_every_position_in_china_survives_the_way_there_and_back(datum: Datum, position: tuple[float, float]) -> None:
    back = to_wgs84(*from_wgs84(*position, datum), datum)
    assert float(distance_m(*back, *position)) < 1e-5


@pytest.mark.parametrize("datum", SHIFTED)
@pytest.mark.parametrize("lon", [WEST, EAST])
@pytest.mark.parametrize("lat", [SOUTH, 30.0, NORTH])
def test_position_on_the_border_survives_the_way_there_and_back(datum: Datum, lon: float, lat: float) -> None:
    there = from_wgs84(lon, lat, datum)
    assert float(distance_m(*there, lon, lat)) > 10.0
    assert float(distance_m(*to_wgs84(*there, datum), lon, lat)) < 1e-6


@pytest.mark.parametrize("datum", SHIFTED)
@pytest.mark.parametrize(
    ("lon", "lat"),
    [
        (-104.9903, 39.7392),
        (153.0251, -27.4698),
        (183.0, 45.0),
        (0.0, 90.0),
        (100.0, -90.0),
        (71.95, 30.0),
        (9.2, 53.1),
    ],
)
def test_position_outside_china_is_left_as_it_is(datum: Datum, lon: float, lat: float) -> None:
    assert [float(value) for value in from_wgs84(lon, lat, datum)] == [lon, lat]
    assert [float(value) for value in to_wgs84(lon, lat, datum)] == [lon, lat]


def test_position_just_outside_the_border_is_not_shifted_but_may_come_back_shifted() -> None:
    lon, lat = EAST + 1e-4, 30.0
    assert [float(value) for value in from_wgs84(lon, lat, Datum.GCJ02)] == [lon, lat]
    assert float(distance_m(*to_wgs84(lon, lat, Datum.GCJ02), lon, lat)) < 740.0


def test_wgs84_is_returned_unchanged() -> None:
    assert [float(value) for value in to_wgs84(114.3, 30.6, Datum.WGS84)] == [114.3, 30.6]
    assert [float(value) for value in from_wgs84(114.3, 30.6, Datum.WGS84)] == [114.3, 30.6]


def test_cgcs2000_differs_by_less_than_a_metre() -> None:
    assert float(distance_m(*to_wgs84(114.3, 30.6, Datum.CGCS2000), 114.3, 30.6)) < 1.0
    assert float(distance_m(*from_wgs84(114.3, 30.6, Datum.CGCS2000), 114.3, 30.6)) < 1.0


@pytest.mark.parametrize("datum", Datum)
@pytest.mark.parametrize("unknown", [math.nan, math.inf])
def test_unknown_coordinate_stays_unknown_without_a_warning(datum: Datum, unknown: float) -> None:
    for convert in (to_wgs84, from_wgs84):
        lon, lat = convert([unknown, 114.3], [30.6, 30.6], datum)
        assert np.isfinite(lon).tolist() == [False, True]
        assert math.isfinite(lat[1])


@pytest.mark.parametrize("datum", SHIFTED)
def test_a_position_converts_to_the_same_bits_alone_and_in_a_batch(datum: Datum) -> None:
    lon = np.linspace(114.0, 114.6, 64)
    lat = np.linspace(30.3, 30.8, 64)
    batch_lon, batch_lat = to_wgs84(lon, lat, datum)
    alone = [to_wgs84(*row, datum) for row in zip(lon, lat, strict=True)]
    assert [float(there) for there, _ in alone] == batch_lon.tolist()
    assert [float(there) for _, there in alone] == batch_lat.tolist()


def test_input_columns_are_not_changed() -> None:
    lon, lat = np.array([114.3]), np.array([30.6])
    to_wgs84(lon, lat, Datum.BD09)
    assert (lon[0], lat[0]) == (114.3, 30.6)
