"""Tracks of other programs become pings; self-made samples in their formats."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from geo_engine.errors import PingFileError
from geo_engine.ingest.convert import PNEUMA_START, TrackFormat, convert_track
from geo_engine.ingest.rows import iso_ms

SHARED = Path(__file__).resolve().parents[3] / "../shared/data/traj"


def envirocar(*features: object, **properties: object) -> str:
    return json.dumps({"type": "FeatureCollection", "properties": properties, "features": features})


def feature(**phenomenons: object) -> dict[str, object]:
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [9.2, 53.1, 4.0]},
        "properties": {"time": "2020-03-25T16:31:52Z", "phenomenons": phenomenons},
    }


def saved(folder: Path, text: str, name: str = "track.json") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_envirocar_speed_heading_and_time_are_taken(tmp_path: Path) -> None:
    measured = {"GPS Speed": {"value": 36.0, "unit": "km/h"}, "GPS Bearing": {"value": 90.0, "unit": "deg"}}
    found = convert_track(saved(tmp_path, envirocar(feature(**measured), id="abc")), TrackFormat.ENVIROCAR, first_u7=5)
    assert (found.batch.u7.tolist(), found.tracks) == ([5], {"abc": 5})
    assert found.batch.time_ms.tolist() == [iso_ms("2020-03-25T16:31:52Z")]
    assert (found.batch.lon.tolist(), found.batch.lat.tolist()) == ([9.2], [53.1])
    assert found.batch.speed_mps.tolist() == pytest.approx([10.0])
    assert found.batch.heading_deg.tolist() == [90.0]


@pytest.mark.parametrize(("unit", "accuracy"), [("m", 4.0), ("%", math.nan)])
def test_envirocar_accuracy_is_taken_in_metres_only(tmp_path: Path, unit: str, accuracy: float) -> None:
    text = envirocar(feature(**{"GPS Accuracy": {"value": 4.0, "unit": unit}}))
    found = convert_track(saved(tmp_path, text), TrackFormat.ENVIROCAR)
    assert found.batch.accuracy_m.tolist() == pytest.approx([accuracy], nan_ok=True)


@pytest.mark.parametrize(
    "bad", [None, {}, {"geometry": None}, {"geometry": {"coordinates": [1]}}, feature() | {"properties": {}}]
)
def test_bad_envirocar_point_is_named_and_the_others_are_kept(tmp_path: Path, bad: object) -> None:
    found = convert_track(saved(tmp_path, envirocar(feature(), bad, feature())), TrackFormat.ENVIROCAR)
    assert (len(found.batch), found.rejected) == (2, {"malformed": 1})
    assert found.faults[0].where == "track.json point 2"


def test_barefoot_points_are_numbered_by_their_id(tmp_path: Path) -> None:
    points = [
        {"point": "POINT(11.5 48.1)", "time": "2014-09-10 06:54:07+0200", "id": "b"},
        {"point": "point ( 11.6 -48.2 )", "time": "2014-09-10 06:54:08+0200", "id": "a"},
        {"point": "LINESTRING(0 0, 1 1)", "time": "2014-09-10 06:54:09+0200", "id": "a"},
        {"point": "POINT(1.2.3 4)", "time": "2014-09-10 06:54:09+0200", "id": "a"},
        {"point": "POINT(11.6 48.2)", "time": "2014-09-10 06:54:09", "id": "a"},
        None,
        {"point": "POINT(11.5 48.1)", "time": "2014-09-10 06:54:10+0200", "id": "b"},
    ]
    found = convert_track(saved(tmp_path, json.dumps(points)), TrackFormat.BAREFOOT)
    assert (found.batch.u7.tolist(), found.tracks) == ([1, 2, 1], {"b": 1, "a": 2})
    assert found.batch.time_ms[0] == iso_ms("2014-09-10T04:54:07Z")
    assert found.batch.lat.tolist() == [48.1, -48.2, 48.1]
    assert found.rejected == {"malformed": 4}


PNEUMA = (
    "track_id,lon,lat,speed,time\n128,23.7,37.9,36.0,1970-01-01 00:00:00.000\n157,23.8,38.0,,1970-01-01 00:00:01.500\n"
)


def test_pneuma_time_counts_from_the_start_given(tmp_path: Path) -> None:
    found = convert_track(saved(tmp_path, PNEUMA, "p.csv"), TrackFormat.PNEUMA, first_u7=0, start_ms=1_000)
    assert found.batch.time_ms.tolist() == [1_000, 2_500]
    assert (found.batch.u7.tolist(), found.tracks) == ([0, 1], {"128": 0, "157": 1})
    assert found.batch.speed_mps.tolist() == pytest.approx([10.0, math.nan], nan_ok=True)


def test_pneuma_starts_on_its_own_day_by_default(tmp_path: Path) -> None:
    found = convert_track(saved(tmp_path, PNEUMA, "p.csv"), TrackFormat.PNEUMA)
    assert found.batch.time_ms[0] == iso_ms(PNEUMA_START)


def test_bad_pneuma_line_is_named_and_the_others_are_kept(tmp_path: Path) -> None:
    bad = "1,east,1,1,1970-01-01 00:00:00\n1,1,1,1,soon\n1,1\n\n1,nan,1,1,1970-01-01 00:00:00\n"
    found = convert_track(saved(tmp_path, PNEUMA + bad, "p.csv"), TrackFormat.PNEUMA)
    assert (len(found.batch), found.rejected) == (2, {"malformed": 4})
    assert [fault.where for fault in found.faults] == [f"p.csv line {number}" for number in (4, 5, 6, 8)]


@pytest.mark.parametrize("source", TrackFormat)
@pytest.mark.parametrize("text", ["", "{", "17", '{"features": 3}', "[" * 100_000, "a,b\n1,2\n"])
def test_file_of_another_format_is_refused_with_a_fault(tmp_path: Path, source: TrackFormat, text: str) -> None:
    with pytest.raises(PingFileError) as caught:
        convert_track(saved(tmp_path, text), source)
    assert caught.value.faults[0].where == "track.json"


def test_missing_file_is_refused_with_a_fault(tmp_path: Path) -> None:
    with pytest.raises(PingFileError):
        convert_track(tmp_path / "nowhere.json", TrackFormat.BAREFOOT)


@pytest.mark.parametrize(
    ("source", "name", "pings", "users"),
    [
        (TrackFormat.ENVIROCAR, "envirocar_track_1.json", 368, 1),
        (TrackFormat.BAREFOOT, "barefoot_x0001-001.json", 1194, 1),
        (TrackFormat.PNEUMA, "pneuma_sparsify_1hz.csv", 23_293, 50),
    ],
)
def test_real_recording_is_converted_whole(source: TrackFormat, name: str, pings: int, users: int) -> None:
    path = SHARED / name
    if not path.exists():
        pytest.skip("the shared recordings are not beside this checkout")
    found = convert_track(path, source)
    assert (len(found.batch), found.rejected) == (pings, {})
    assert list(found.tracks.values()) == list(range(1, users + 1))
