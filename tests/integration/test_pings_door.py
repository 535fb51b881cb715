"""``POST /v1/pings`` and the operator's routes, over ASGI with a store in memory and a recording channel."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import shapely
from fastapi.testclient import TestClient

from api.bootstrap import Enrolment, Service, bootstrap
from api.clocks import Clocks
from api.errors import PROBLEM
from api.settings import Settings
from geo_engine.model import PingBatch, Vehicle, VehicleKind
from geo_engine.store.protocol import Person
from geo_engine.testing import ManualClock, RecordingSender, noon_ms, straight_drive

ARROW = "application/vnd.apache.arrow.stream"
SHAPE = json.loads(shapely.to_geojson(shapely.box(114.30, 30.59, 114.31, 30.61)))
ZONES = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "id": "bridge",
            "properties": {"kind": "truck_restriction", "name": "长江二桥货车禁行"},
            "geometry": SHAPE,
        }
    ],
}


def enrolled(u7: int, open_id: str, vehicle: Vehicle) -> Enrolment:
    return Enrolment(Person(u7, open_id, vehicle), vehicle.consent_warnings, "test", "1")


TRUCK = enrolled(1, "o" + "a" * 27, Vehicle(u7=1, kind=VehicleKind.GOODS, consent_warnings=True))
SHY = enrolled(2, "o" + "b" * 27, Vehicle(u7=2, kind=VehicleKind.GOODS, consent_warnings=False))


class Door:
    """The service under test, its client, its clock and its channel."""

    def __init__(self, service: Service, clock: ManualClock, sender: RecordingSender) -> None:
        self.service, self.clock, self.sender = service, clock, sender
        self.client = TestClient(service.app, raise_server_exceptions=False)

    def post(self, rows: object, **headers: str) -> tuple[int, dict]:
        answer = self.client.post(
            "/v1/pings", content=json.dumps(rows), headers={"content-type": "application/json", **headers}
        )
        return answer.status_code, answer.json()


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    (tmp_path / "zones.geojson").write_text(json.dumps(ZONES), encoding="utf-8")
    clock, sender = ManualClock(noon_ms), RecordingSender()
    settings = Settings(store="memory:", zones=tmp_path, max_body_bytes=200_000)
    service = bootstrap(settings, sender, clocks=Clocks(clock, clock), people=[TRUCK, SHY])
    service.start()
    yield Door(service, clock, sender)
    service.stop(1.0)


def ping(u7: int = 1, **change: object) -> dict:
    return {"u7": u7, "time": noon_ms, "lon": 114.28, "lat": 30.6, **change}


def drive(door: Door, pings: PingBatch) -> None:
    for moment in np.unique(pings.time_ms).tolist():
        door.clock.now_ms = moment
        part = pings.take(pings.time_ms == moment)
        rows = [
            {"u7": int(u7), "time": moment, "lon": float(lon), "lat": float(lat)}
            for u7, lon, lat in zip(part.u7, part.lon, part.lat, strict=True)
        ]
        assert door.post(rows)[0] == 200


def test_driver_is_warned_through_the_channel_before_the_border(door: Door) -> None:
    drive(door, straight_drive(1, pings=22))
    door.service.ingest.stop()
    door.service.relay.stop(5.0)
    (message,) = door.sender.messages
    assert message.open_id == TRUCK.person.open_id
    assert message.alert.zone_id == "bridge"
    assert message.alert.distance_m > 0
    assert door.service.store.counts()["outbox.delivered"] == 1


def test_user_without_consent_is_not_even_judged(door: Door) -> None:
    status, answer = door.post([ping(2), ping(3)])
    assert (status, answer["accepted"], answer["rejected"]) == (200, 0, {"no_consent": 2})
    assert "agreed" in answer["rejects"][0]["expected"]


def test_bad_rows_are_named_and_the_good_one_is_accepted(door: Door) -> None:
    rows = [ping(), ping(lat=91), ping(time=5), ping(u7=10_000_000), {"u7": 1}, ping(), ping(lon="east")]
    status, answer = door.post(rows)
    assert status == 200
    assert answer["accepted"] == 1
    assert answer["rejected"] == {
        "malformed": 2,
        "duplicate": 1,
        "lat_out_of_range": 1,
        "time_out_of_range": 1,
        "u7_out_of_range": 1,
    }
    places = {reject["where"]: reject["reason"] for reject in answer["rejects"]}
    assert places["body row 2"] == "lat_out_of_range"


def test_arrow_stream_is_accepted_as_json_is(door: Door) -> None:
    table = pa.table({"u7": [1], "time": [noon_ms], "lon": [114.28], "lat": [30.6]})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    answer = door.client.post("/v1/pings", content=sink.getvalue(), headers={"content-type": ARROW})
    assert answer.json() == {"accepted": 1, "rejected": {}, "rejects": []}


def test_datum_of_the_positions_can_be_declared(door: Door) -> None:
    gcj = {"u7": 1, "time": noon_ms, "lon": 114.3055, "lat": 30.5985}
    answer = door.client.post("/v1/pings?datum=gcj02", json=[gcj])
    assert answer.json()["accepted"] == 1
    refused = door.client.post("/v1/pings?datum=mars", json=[gcj])
    assert refused.status_code == 400
    assert "wgs84" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b'{"u7": 1}', "application/json", 400),
        (b"[" * 50_000, "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"not arrow", ARROW, 400),
        (b"u7,time", "text/csv", 415),
        (b" " * 200_001, "application/json", 413),
    ],
)
def test_unusable_body_is_a_problem_document(door: Door, body: bytes, content_type: str, status: int) -> None:
    answer = door.client.post("/v1/pings", content=body, headers={"content-type": content_type})
    assert answer.status_code == status
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["status"] == status
    assert "expected" in answer.text


def test_empty_list_is_nothing_to_do_and_not_an_error(door: Door) -> None:
    assert door.post([]) == (200, {"accepted": 0, "rejected": {}, "rejects": []})


def test_route_that_does_not_exist_is_a_problem_document(door: Door) -> None:
    answer = door.client.get("/v1/nowhere")
    assert (answer.status_code, answer.headers["content-type"]) == (404, PROBLEM)


def test_health_readiness_and_metrics_tell_the_state(door: Door) -> None:
    door.post([ping(), ping(lat=91)])
    assert door.client.get("/healthz").text == "ok\n"
    assert door.client.get("/readyz").json() == {
        "ready": True,
        "parts": {"ingest": "ready", "store": "ready", "relay": "ready", "inbound": "ready"},
    }
    page = door.client.get("/metrics").text
    assert "geo_engine_pings_total 1.0" in page
    assert 'geo_engine_pings_rejected_total{reason="lat_out_of_range"} 1.0' in page


def test_stopped_worker_is_not_ready_and_refuses_with_retry_after(door: Door) -> None:
    door.service.ingest.stop()
    assert door.client.get("/readyz").status_code == 503
    answer = door.client.post("/v1/pings", json=[ping()])
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_openapi_declares_the_body_and_every_status_of_the_ping_route(door: Door) -> None:
    route = door.client.get("/openapi.json").json()["paths"]["/v1/pings"]["post"]
    assert set(route["requestBody"]["content"]) == {"application/json", ARROW}
    assert {"200", "400", "413", "415", "503"} <= set(route["responses"])


@pytest.mark.slow
def test_batch_of_ten_megabytes_is_judged_and_its_bad_rows_are_named(tmp_path: Path) -> None:
    (tmp_path / "zones.geojson").write_text(json.dumps(ZONES), encoding="utf-8")
    service = bootstrap(
        Settings(store="memory:", zones=tmp_path),
        RecordingSender(),
        clocks=Clocks(ManualClock(), ManualClock()),
        people=[TRUCK],
    )
    service.start()
    count = 190_000
    rows = [ping(time=noon_ms - (count - number) * 3) for number in range(count)]
    rows[500] = {"u7": 1}
    rows[900] = ping(lat=95)
    body = json.dumps(rows)
    assert len(body) > 10_000_000
    answer = TestClient(service.app).post("/v1/pings", content=body, headers={"content-type": "application/json"})
    service.stop(1.0)
    assert answer.status_code == 200
    assert answer.json()["accepted"] == count - 2
    assert answer.json()["rejected"] == {"malformed": 1, "lat_out_of_range": 1}
