"""The map picture: well-formed, escaped, deterministic and small, whatever it is given."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest
import shapely

from api.example import data_dir, example_network
from api.picture import BaseMap, WarningMark, draw_replay
from geo_engine.errors import InputError
from geo_engine.model import PingBatch, ZoneKind
from geo_engine.simulate.traffic import simulate
from geo_engine.zones.zone import Zone

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '<script>alert("x")</script>&\x00\x1b]]>\ud800\'"'


def zone(zone_id: str = "z", name: str = "长江二桥货车禁行", kind: ZoneKind = ZoneKind.TRUCK_RESTRICTION) -> Zone:
    return Zone(zone_id, kind, name, shapely.box(114.30, 30.55, 114.31, 30.56), name_en=f"{name} in English")


def pings(users: int = 3, count: int = 20) -> PingBatch:
    step = np.tile(np.arange(count), users)
    user = np.repeat(np.arange(users), count)
    return PingBatch.from_columns(user, step * 5_000, 114.28 + step * 0.001, 30.552 + user * 0.003)


def row(**changes: object) -> dict[str, Any]:
    found: dict[str, Any] = {
        "u7": 1, "time": "2026-11-02T00:00:00.000Z", "zone": "z", "kind": "truck_restriction", "decision": "send",
        "reason": "approach", "distance_m": 420.4, "bearing_deg": 45.0, "compass": "NE", "eta_s": 27.2, "text": "",
        "lon": 114.29, "lat": 30.555,
    }  # fmt: skip
    return found | changes


def mark(**changes: object) -> WarningMark:
    return WarningMark.from_row(row(**changes))


def texts(picture: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(picture).iter(f"{SVG}text")]  # noqa: S314  # made here


def test_picture_is_well_formed_and_tells_distance_and_time() -> None:
    found = texts(draw_replay([zone()], pings(), [mark()]))
    assert "420 m · 27 s" in found
    assert "u7 0000001 · 420 m NE · 27 s" in found
    assert "示意图，不具法律效力 · illustrative, not legal advice" in found


def test_suppressed_warning_is_neither_numbered_nor_listed() -> None:
    found = texts(draw_replay([zone()], pings(), [mark(decision="suppress", reason="cooldown")]))
    assert "420 m · 27 s" not in found
    assert any("0 已发 sent · 1 未发 suppressed" in text for text in found)


def test_warning_inside_a_zone_has_no_way_to_the_border() -> None:
    found = texts(draw_replay([zone()], pings(), [mark(bearing_deg=None, distance_m=0, eta_s=0, compass="")]))
    assert "0 m · 0 s" not in found


@pytest.mark.parametrize("kind", list(ZoneKind))
def test_hostile_names_are_escaped(kind: ZoneKind) -> None:
    base = BaseMap(water={"features": [water(HOSTILE)]})
    hostile = mark(zone=HOSTILE, time=HOSTILE, compass=HOSTILE)
    picture = draw_replay([zone(HOSTILE, HOSTILE, kind)], pings(), [hostile], base=base)
    picture.encode("utf-8")
    root = ET.fromstring(picture)  # noqa: S314  # made here
    assert not list(root.iter(f"{SVG}script"))
    assert "<script" not in picture


def water(name: str) -> dict[str, Any]:
    ring = [[114.28, 30.54], [114.32, 30.54], [114.32, 30.58], [114.28, 30.58], [114.28, 30.54]]
    return {"properties": {"name": name}, "geometry": {"type": "Polygon", "coordinates": [ring]}}


def test_two_drawings_of_one_replay_are_the_same_bytes() -> None:
    marks = [mark(u7=1), mark(u7=2, lon=114.295), mark(u7=3, zone="y")]
    first = draw_replay([zone(), zone("y")], pings(), marks)
    shuffled = pings().take(np.random.default_rng(1).permutation(60))
    assert draw_replay([zone(), zone("y")], shuffled, marks[::-1]) == first


def test_nothing_at_all_is_still_a_picture() -> None:
    assert texts(draw_replay([], PingBatch.empty(), []))


def test_a_zone_that_was_over_before_the_replay_is_not_drawn() -> None:
    over = Zone("over", ZoneKind.CONSTRUCTION, "已完工", zone().geometry, valid_to_ms=0)
    assert "已完工" not in draw_replay([over], pings(), [])
    assert "已完工" in draw_replay([over], PingBatch.empty(), [])


def test_broken_positions_draw_nothing_and_break_nothing() -> None:
    broken = PingBatch.from_columns([1, 1, 1, 2], [0, 5_000, 10_000, 0], [np.nan, 114.3, np.inf, 114.31], [30.55] * 4)
    assert "nan" not in draw_replay([zone()], broken, []).lower()


def test_a_silent_stretch_is_not_drawn_as_a_way() -> None:
    lon = [114.300, 114.301, 114.302, 114.310, 114.311, 114.312]
    quiet = PingBatch.from_columns([1] * 6, [0, 5_000, 10_000, 300_000, 305_000, 310_000], lon, [30.55] * 6)
    steady = PingBatch.from_columns([1] * 6, np.arange(6) * 5_000, lon, [30.55] * 6)
    box = (114.29, 30.54, 114.32, 30.56)
    assert track(draw_replay([], quiet, [], box=box)).count("M") == 2
    assert track(draw_replay([], steady, [], box=box)).count("M") == 1


def track(picture: str) -> str:
    root = ET.fromstring(picture)  # noqa: S314  # made here
    return "".join(path.get("d", "") for path in root.iter(f"{SVG}path") if path.get("stroke-opacity") == "0.45")


def test_a_long_replay_of_many_users_stays_below_500_kb() -> None:
    long = simulate(example_network(), users=1_500, minutes=20, seed=1, start_ms=0)
    rng = np.random.default_rng(1)
    marks = [
        mark(u7=int(number), lon=float(114.2 + rng.random() / 5), lat=float(30.5 + rng.random() / 5))
        for number in range(2_000)
    ]
    layers = [json.loads((data_dir() / f"{name}.geojson").read_text(encoding="utf-8")) for name in ("water", "roads")]
    picture = draw_replay([zone()], long, marks, base=BaseMap(*layers))
    assert len(picture.encode()) < 500_000


@pytest.mark.parametrize(
    "changes", [{"lon": None}, {"lat": "north"}, {"distance_m": float("nan")}, {"u7": "x"}, {"bearing_deg": "NE"}]
)
def test_a_row_that_is_no_alert_is_named(changes: dict[str, object]) -> None:
    with pytest.raises(InputError, match="alerts line 3"):
        WarningMark.from_row(row(**changes), where="alerts line 3")


def test_a_base_map_that_is_no_geojson_is_named() -> None:
    with pytest.raises(InputError, match=r"base map \(water\) \$\.features\[0\]"):
        draw_replay([], pings(), [], base=BaseMap(water={"features": [{"geometry": {"type": "Circle"}}]}))
