"""Places by position and by name."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from pyproj import Geod

from geo_engine.answers.places import Place, PlaceBook
from geo_engine.model import Language, ZoneKind
from geo_engine.testing import box_zone
from geo_engine.zones.zone import Zone
from geo_engine.zones.zoneset import ZoneSet

GEOD = Geod(ellps="WGS84")
HANKOU = Place("hk", "汉口门店", 114.27, 30.60, "Hankou Store")
WUCHANG = Place("wc", "武昌门店", 114.31, 30.53)
FUEL = Place("fuel", "江汉加油站", 114.28, 30.59, "Jianghan Fuel")
BOOK = PlaceBook([HANKOU, WUCHANG, FUEL])


def ids(found: list) -> list[str]:
    return [one.place.place_id for one in found]


@pytest.mark.parametrize("seed", range(5))
def test_the_nearest_are_those_of_a_loop_over_all_in_metres_of_pyproj(seed: int) -> None:
    drawn = np.random.default_rng(seed)
    lon, lat = 114.3 + drawn.normal(0.0, 0.1, 200), 30.6 + drawn.normal(0.0, 0.1, 200)
    book = PlaceBook(Place(f"{row:03d}", f"店{row}", float(lon[row]), float(lat[row])) for row in range(200))
    metres = GEOD.inv(np.full(200, 114.3), np.full(200, 30.6), lon, lat)[2]
    found = book.nearest(114.3, 30.6, 5)
    assert ids(found) == [f"{row:03d}" for row in np.argsort(metres)[:5]]
    assert np.allclose([one.way.distance_m for one in found], np.sort(metres)[:5], atol=1.0)


def test_nothing_is_found_where_nothing_is_near_or_nothing_is_asked_for() -> None:
    assert ids(BOOK.nearest(114.27, 30.60, 3, within_m=100.0)) == ["hk"]
    assert BOOK.nearest(100.0, 20.0, 3, within_m=5_000.0) == []
    assert BOOK.nearest(114.27, 30.60, 0) == []
    assert PlaceBook([]).nearest(114.27, 30.60, 3) == []


def test_a_wanted_name_leaves_the_others_out_in_either_language() -> None:
    assert ids(BOOK.nearest(114.27, 30.60, 3, wanted="加油站")) == ["fuel"]
    assert ids(BOOK.nearest(114.27, 30.60, 3, wanted="FUEL")) == ["fuel"]
    assert ids(BOOK.nearest(114.27, 30.60, 3, wanted="门店")) == ["hk", "wc"]
    assert BOOK.nearest(114.27, 30.60, 3, wanted="医院") == []
    assert BOOK.nearest(114.27, 30.60, 3, wanted="武昌", within_m=100.0) == []


def test_a_name_means_one_place_or_none() -> None:
    assert BOOK.named("武昌") is WUCHANG
    assert BOOK.named("hankou store") is HANKOU
    assert BOOK.named("门店") is None
    assert BOOK.named("医院") is None
    assert BOOK.named("") is None


def test_an_exact_name_beats_longer_ones() -> None:
    book = PlaceBook([Place("a", "万达", 114.0, 30.0), Place("b", "万达广场", 114.1, 30.0)])
    assert book.named("万达") == Place("a", "万达", 114.0, 30.0)


def test_the_venues_of_a_zone_set_are_taken_and_its_restrictions_are_not() -> None:
    point = Zone("p", ZoneKind.VENUE, "点", shapely.Point(114.3, 30.6), name_en="Point")
    circle = Zone("c", ZoneKind.VENUE, "圆", shapely.Point(114.4, 30.6).buffer(0.001))
    over = Zone("o", ZoneKind.VENUE, "东", shapely.box(179.9, 0.0, 180.3, 0.1))
    book = PlaceBook.of_zones(ZoneSet.of([point, circle, over, box_zone("truck")]))
    assert len(book) == 3
    found = {one.place.place_id: one.place for one in book.nearest(114.3, 30.6, 9)}
    assert [found["c"].lon, found["c"].lat] == pytest.approx([114.4, 30.6])
    assert found["o"].lon == pytest.approx(-179.9)
    assert (found["p"].called(Language.EN), found["p"].called(Language.ZH)) == ("Point", "点")
    assert found["c"].called(Language.EN) == "圆"
