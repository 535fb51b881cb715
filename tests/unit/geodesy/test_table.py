"""Conversion by table: within 5 mm of the exact inverse everywhere, the same bits in every batch, bounded in memory."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo_engine.geodesy import table as table_module
from geo_engine.geodesy.datum import CHINA, Datum, from_wgs84, to_wgs84
from geo_engine.geodesy.measure import distance_m
from geo_engine.geodesy.table import DatumTable, DatumTables

VECTORS = Path(__file__).resolve().parents[3] / "../shared/data/vectors/gcj_vectors.json"
WEST, SOUTH, EAST, NORTH = CHINA
SHIFTED = (Datum.GCJ02, Datum.BD09)
NEAREST_M = 0.005

WUHAN = (114.2, 30.5, 114.4, 30.7)
# Where the shift is not smooth: the corners and sides of the rectangle, the root at 105 E.
ROUGH = (
    (WEST - 0.05, SOUTH - 0.05, WEST + 0.05, SOUTH + 0.05),
    (EAST - 0.05, NORTH - 0.05, EAST + 0.05, NORTH + 0.05),
    (EAST - 0.04, 29.95, EAST + 0.04, 30.05),
    (104.95, 30.0, 105.05, 30.1),
)


def scattered(box: tuple[float, float, float, float], count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.uniform(box[0], box[2], count), random.uniform(box[1], box[3], count)


def table_of(datum: Datum, *boxes: tuple[float, float, float, float], most_tiles: int = 512) -> DatumTable:
    return DatumTable(datum, np.array(boxes).reshape(-1, 4), most_tiles=most_tiles)


@pytest.mark.parametrize("datum", SHIFTED)
@pytest.mark.parametrize("box", [WUHAN, *ROUGH], ids=str)
def test_table_is_within_five_millimetres_of_the_exact_inverse(
    datum: Datum, box: tuple[float, float, float, float]
) -> None:
    lon, lat = scattered(box, 20_000)
    found = table_of(datum, box).to_wgs84(lon, lat)
    assert float(distance_m(*found, *to_wgs84(lon, lat, datum)).max()) <= NEAREST_M


@pytest.mark.parametrize("datum", SHIFTED)
def test_the_table_is_used_where_it_is_smooth(datum: Datum) -> None:
    lon, lat = scattered(WUHAN, 1_000)
    found_lon, found_lat = table_of(datum, WUHAN).to_wgs84(lon, lat)
    exact_lon, exact_lat = to_wgs84(lon, lat, datum)
    assert ((found_lon != exact_lon) | (found_lat != exact_lat)).mean() > 0.99


@pytest.mark.parametrize("datum", SHIFTED)
@pytest.mark.parametrize("lon", [WEST, EAST])
@pytest.mark.parametrize("lat", [SOUTH, 30.0, NORTH])
def test_a_position_at_the_border_is_converted_exactly(datum: Datum, lon: float, lat: float) -> None:
    there = tuple(np.atleast_1d(value) for value in from_wgs84(lon, lat, datum))
    table = table_of(datum, (lon - 0.1, lat - 0.1, lon + 0.1, lat + 0.1))
    found = table.to_wgs84(*there)
    assert [value.tolist() for value in found] == [value.tolist() for value in to_wgs84(*there, datum)]


@pytest.mark.parametrize("datum", SHIFTED)
def test_a_position_away_from_the_places_is_converted_exactly(datum: Datum) -> None:
    lon, lat = np.array([116.4, -104.99, 151.2, 0.0]), np.array([39.9, 39.7, -33.9, 90.0])
    found = table_of(datum, WUHAN).to_wgs84(lon, lat)
    assert [value.tolist() for value in found] == [value.tolist() for value in to_wgs84(lon, lat, datum)]


@pytest.mark.parametrize("datum", SHIFTED)
def test_a_position_converts_to_the_same_bits_alone_in_a_batch_and_in_another_order(datum: Datum) -> None:
    lon, lat = scattered((104.9, 29.9, 105.2, 30.2), 2_000)
    whole = table_of(datum, (104.95, 29.95, 105.1, 30.1))
    other = table_of(datum, (104.95, 29.95, 105.1, 30.1))
    batch = whole.to_wgs84(lon, lat)
    turned = other.to_wgs84(lon[::-1], lat[::-1])
    assert [column[::-1].tolist() for column in turned] == [column.tolist() for column in batch]
    for row in range(0, 2_000, 97):
        alone = other.to_wgs84(lon[row : row + 1], lat[row : row + 1])
        assert [float(column[0]) for column in alone] == [float(column[row]) for column in batch]


@pytest.mark.parametrize("datum", SHIFTED)
def test_kernel_and_columns_give_the_same_bits(datum: Datum, monkeypatch: pytest.MonkeyPatch) -> None:
    lon, lat = scattered((104.9, 29.9, 105.2, 30.2), 3_000)
    lon[:3], lat[1:4] = (math.nan, math.inf, -math.inf), math.nan
    by_kernel = table_of(datum, (104.95, 29.95, 105.1, 30.1)).to_wgs84(lon, lat)
    monkeypatch.setattr(table_module, "COMPILED", not table_module.COMPILED)
    in_columns = table_of(datum, (104.95, 29.95, 105.1, 30.1)).to_wgs84(lon, lat)
    for one, other in zip(by_kernel, in_columns, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("datum", SHIFTED)
@given(position=st.tuples(st.floats(allow_nan=True), st.floats(allow_nan=True)))
@settings(deadline=None, max_examples=200)
def test_any_pair_of_numbers_is_taken_and_what_is_not_finite_stays_so(
    datum: Datum, position: tuple[float, float]
) -> None:
    table = table_of(datum)
    lon, lat = table.to_wgs84(*(np.array([value]) for value in position))
    assert np.isfinite(lon).tolist() == [math.isfinite(position[0])]
    assert np.isfinite(lat).tolist() == [math.isfinite(position[1])]


def test_a_position_that_is_not_finite_stays_so_in_the_table() -> None:
    lon, lat = table_of(Datum.GCJ02, WUHAN).to_wgs84(
        np.array([math.nan, 114.3, 114.3]), np.array([30.6, math.inf, 30.6])
    )
    assert np.isfinite(lon).tolist() == [False, True, True]
    assert np.isfinite(lat).tolist() == [True, False, True]


def test_of_too_many_tiles_those_with_the_most_places_have_a_table() -> None:
    whole_country = (73.0, 18.0, 135.0, 53.0)
    table = table_of(Datum.GCJ02, whole_country, WUHAN, most_tiles=9)
    lon, lat = scattered(WUHAN, 100)
    assert (table.to_wgs84(lon, lat)[0] != to_wgs84(lon, lat, Datum.GCJ02)[0]).any()
    far_lon, far_lat = scattered((116.2, 39.8, 116.5, 40.0), 100)
    assert table.to_wgs84(far_lon, far_lat)[0].tolist() == to_wgs84(far_lon, far_lat, Datum.GCJ02)[0].tolist()


@pytest.mark.parametrize(
    "bounds", [[], [(math.nan,) * 4], [(-74.1, 40.6, -73.9, 40.8)]], ids=["none", "empty", "abroad"]
)
def test_without_a_place_in_china_everything_is_converted_exactly(bounds: list[tuple[float, ...]]) -> None:
    table = DatumTable(Datum.GCJ02, np.array(bounds).reshape(-1, 4))
    lon, lat = scattered(WUHAN, 10)
    assert table.to_wgs84(lon, lat)[0].tolist() == to_wgs84(lon, lat, Datum.GCJ02)[0].tolist()


@pytest.mark.parametrize("datum", Datum)
def test_every_datum_has_its_table_or_the_exact_way(datum: Datum) -> None:
    tables = DatumTables(np.array([WUHAN]), first=datum)
    lon, lat = scattered(WUHAN, 100)
    found = tables.to_wgs84(lon, lat, datum)
    assert float(distance_m(*found, *to_wgs84(lon, lat, datum)).max()) <= NEAREST_M


def vectors() -> list[dict[str, Any] | None]:
    if not VECTORS.exists():
        return [None]
    cases = json.loads(VECTORS.read_text(encoding="utf-8"))["vectors"]
    return [case for case in cases if case["op"] in {"gcj02>wgs84", "bd09>wgs84"}]


@pytest.mark.parametrize("case", vectors(), ids=lambda case: f"{case['op']}@{case['lon']}" if case else "")
def test_published_vector_is_met_within_its_tolerance_and_five_millimetres(case: dict[str, Any] | None) -> None:
    if case is None:
        pytest.skip("the shared test vectors are not beside this checkout")
    lon, lat = case["lon"], case["lat"]
    table = table_of(Datum(case["op"].split(">")[0]), (lon - 0.01, lat - 0.01, lon + 0.01, lat + 0.01))
    found_lon, found_lat = table.to_wgs84(np.array([lon]), np.array([lat]))
    assert float(distance_m(found_lon[0], found_lat[0], case["exp_lon"], case["exp_lat"])) <= case["tol_m"] + NEAREST_M
