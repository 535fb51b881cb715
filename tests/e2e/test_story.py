"""A driver's story over real HTTP in safe mode: from following the account to being forgotten, nothing left on disk."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from pyproj import Geod

from api.bootstrap import Enrolment
from api.chat.noting import PASSIVE
from api.clocks import wall_clock_ms
from geo_engine.meetings.scene import scene_of
from geo_engine.model import SuppressReason, Vehicle, VehicleKind
from geo_engine.people.consents import CONSENT_VERSION, Purpose
from geo_engine.store.messages import Direction, MessageFilter
from geo_engine.store.protocol import Person
from geo_engine.wechat.fake_xml import event
from tests.e2e.leftovers import cells_of, files_with, placed
from tests.e2e.phones import SECRET, Phone, World, a_world, answered, until

pytestmark = [pytest.mark.network, pytest.mark.enable_socket]

DRIVER, ANNA, BEN = ("o" + name * 5 + "12" for name in ("Story", "Annaa", "Bennn"))
PHONE, PLATE, BRAND = "13800138000", "鄂A7Z9Q1", "story-made-up"
FIRST_U7 = 41_870
"""Somebody who is there before: the numbers of the story are then like no other number in a table."""
BORDER_DEG, LAT_DEG = 114.2994, 30.500123
"""West border of the zone that is closed to trucks, and the parallel the driver drives along."""
EAST_M = 95_800.0
"""Metres in a degree of longitude there."""
WAITS_DEG = BORDER_DEG - 180.0 / EAST_M
"""Where the driver waits after the warning: nobody can be a kilometre further a second later."""
VENUE = (114.2731, 30.5117)
GEOD = Geod(ellps="WGS84")
BEIJING = ZoneInfo("Asia/Shanghai")


def feature(name: str, lon: float, kind: str, **more: Any) -> dict[str, Any]:
    """Return a square of 115 m in width round ``lon``, 30.5."""
    west, east, south, north = lon - 0.0006, lon + 0.0006, 30.499, 30.501
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "id": name,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"kind": kind, "name": name, **more},
    }


FEATURES = [
    feature("东湖货车禁行", 114.3, "truck_restriction", applies_to={"vehicle_kinds": ["goods"]}),
    feature("光谷门店", 114.29, "venue"),
]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    before = Enrolment(Person(FIRST_U7, "o" + "z" * 27, Vehicle(u7=FIRST_U7)), None, "test", "1")
    with a_world(tmp_path, FEATURES, [before]) as running:
        yield running


def test_a_driver_follows_is_warned_meets_others_mutes_leaves_and_is_forgotten(world: World) -> None:
    driver = Phone(world, DRIVER)
    follows_and_agrees(driver)
    binds_phone_and_truck_on_the_page(driver)
    is_warned_before_the_border(driver)
    asks(driver)
    anna, ben = Phone(world, ANNA), Phone(world, BEN)
    code = calls_a_meeting(driver)
    join(code, anna, ben)
    see_one_another(driver, anna, ben)
    hears_once_that_somebody_is_near(driver, anna)
    mutes_and_is_not_warned_again(driver)
    link = takes_the_data(driver)
    is_in_the_history(driver)
    leaves_and_is_forgotten(driver, link)
    the_others_stay(anna, ben)
    nothing_is_left_on_disk(driver)


def follows_and_agrees(driver: Phone) -> None:
    """Followers are greeted and asked by the answer to the push; nothing is agreed to or used before a yes."""
    store = driver.world.service.store
    driver.follows()
    [hello] = driver.replies
    assert "同意请回复" in hello
    assert f"{driver.world.url}/bind" in hello
    assert until(lambda: store.u7_of(DRIVER) is not None)
    assert driver.u7 == FIRST_U7 + 1
    assert store.consents(driver.u7) == []
    driver.is_at(114.2900, LAT_DEG)
    assert "没有同意定位" in driver.says("附近")
    assert "已记录您的同意" in driver.says("同意")
    assert [(one.purpose, one.granted) for one in store.consents(driver.u7)] == [(Purpose.WARNINGS.value, True)]
    # One welcome, not two: the account sent none of its own.
    assert not [text for text in driver.shows() if "欢迎" in text]


def binds_phone_and_truck_on_the_page(driver: Phone) -> None:
    """Who it is comes from WeChat's OAuth; a wrong code binds nothing, the one of the short message does."""
    store, codes = driver.world.service.store, driver.world.codes
    assert "我的车辆与授权" in driver.opens_page()
    driver.fills("phone", phone=PHONE)
    driver.fills("code", code=f"{(int(codes[PHONE]) + 1) % 1_000_000:06d}")
    assert store.phone_of(driver.u7) is None
    assert PHONE[-4:] in driver.fills("code", code=codes[PHONE])
    assert store.phone_of(driver.u7) == PHONE
    assert PLATE in driver.fills("vehicle", plate="鄂A·7Z9Q1", kind="goods", gross_weight_t="18")
    [truck] = store.vehicles_of(driver.u7)
    assert (truck.vehicle.plate, truck.vehicle.kind, truck.active) == (PLATE, VehicleKind.GOODS, True)
    # On the page the track may be kept as well; what was agreed to in the chat is ticked already.
    ticked = {Purpose.WARNINGS.value: "yes", Purpose.HISTORY.value: "yes"}
    driver.fills("consents", version=CONSENT_VERSION, **ticked)
    assert {one.purpose for one in store.consents(driver.u7) if one.granted} == set(ticked)


def is_warned_before_the_border(driver: Phone) -> None:
    """The answer's window carries the warning, so it costs no template message."""
    drives(driver, -260.0, speed_mps=20.0, steps=5)
    assert until(lambda: bool(warnings(driver)))
    [warning] = warnings(driver)
    assert warning.distance_m > 0.0
    assert warning.lon < BORDER_DEG
    assert until(lambda: warning.text in driver.shows())


def asks(driver: Phone) -> None:
    """By the position of the engine, and by a place sent from Tencent's map."""
    assert "光谷门店" in driver.says("附近")
    assert "东湖货车禁行" in driver.says("限行")
    assert "光谷门店 0米" in driver.sends_place(114.2900, 30.5000, "光谷")
    # In English from the next word on, and back.
    assert "Nearest to you" in [driver.says("English"), driver.says("nearest")][1]
    assert "离您最近" in [driver.says("中文"), driver.says("附近")][1]


def calls_a_meeting(driver: Phone) -> str:
    """A meeting that is open now; returned is its code."""
    now = datetime.fromtimestamp(wall_clock_ms() / 1000, BEIJING)
    window = f"{now:%H:%M}-{now + timedelta(hours=1):%H:%M}"
    assert "会场在哪里" in driver.says(f"开会 周会 {window}")
    made = driver.sends_place(*VENUE, "东湖会议室")
    assert "会议已创建" in made
    assert "东湖会议室" in made
    driver.says("共享位置")
    return re.findall(r"会议码：(\w{8})", made)[0]


def join(code: str, anna: Phone, ben: Phone) -> None:
    """By the code or by the QR code; a wrong code and a scene of somebody else's making join nobody."""
    for friend in (anna, ben):
        friend.follows()
        friend.says("同意")
    meeting = anna.world.service.store.meetings.by_code(code)
    assert meeting is not None
    assert "没有这个会议" in anna.says("加入 22222222")
    assert "没有这个会议" in ben.scans(scene_of(meeting.meeting_id, meeting.until_ms, b"k" * 32))
    assert "您已加入：周会" in anna.says(f"加入 {code}")
    assert "您已加入：周会" in ben.scans(scene_of(meeting.meeting_id, meeting.until_ms, SECRET.encode()))


def see_one_another(driver: Phone, *friends: Phone) -> None:
    """Distances are those of the ellipsoid, to the metre; before somebody shares they are not shown."""
    driver.is_at(WAITS_DEG, LAT_DEG)
    for number, friend in enumerate(friends):
        friend.is_at(114.2941 - 0.0271 * number, 30.5008 - 0.0083 * number)
    assert not metres_in(driver.says("同伴"))
    for friend in friends:
        friend.says("共享位置")
    # The service looks where members are every five seconds.
    assert until(lambda: len(metres_in(driver.says("同伴"))) == len(friends), 15.0)
    assert_metres(driver, "同伴", sorted(apart_m(driver, friend.positions[-1]) for friend in friends))
    assert_metres(driver, "会场", [apart_m(driver, VENUE)])
    for friend in friends:
        friend.is_at(*friend.positions[-1])
        assert_metres(friend, "会场", [apart_m(friend, VENUE)])


def hears_once_that_somebody_is_near(driver: Phone, anna: Phone) -> None:
    """Once per meeting, whichever way the position came, and nothing of who is far."""
    assert "300米" in driver.says("靠近提醒 300")
    driver.is_at(WAITS_DEG, LAT_DEG)
    anna.is_at(114.2946, 30.5006)
    assert until(lambda: bool(near_notices(driver)), 15.0)
    [notice] = near_notices(driver)
    assert abs(metres_in(notice)[0] - apart_m(driver, anna.positions[-1])) <= 1.0
    anna.sends_place(114.2949, 30.5006, "更近")
    anna.is_at(114.2950, 30.5005)
    chat = driver.world.service.chat
    assert chat is not None
    chat.rounds.once(wall_clock_ms())
    driver.says("帮助")  # what would have been sent before this answer is here now
    assert near_notices(driver) == [notice]


def takes_the_data(driver: Phone) -> str:
    """By a link nobody can guess; it holds who they are, what they said, where they were warned and whom they meet."""
    store, until_ms = driver.world.service.store, wall_clock_ms()
    assert until(lambda: bool(store.history(driver.u7, 0, until_ms))), "agreed to on the page"
    link = driver.says("我的数据").split()[-1]
    answer = driver.world.http.request("GET", link)
    assert answer.status == 200
    told = json.loads(answer.data)
    assert {DRIVER, PHONE, PLATE, "周会", "东湖货车禁行"} <= set(_texts(told))
    assert {one["zone_id"] for one in told["history"]} == {"东湖货车禁行"}
    assert "限行" in {one["message"]["text"] for one in told["messages"]}
    assert driver.world.http.request("GET", link[:-2] + "AA").status == 404
    return link


def mutes_and_is_not_warned_again(driver: Phone) -> None:
    """Driving through, out and in again: a second warning is due, as there is no cooldown, and is muted."""
    assert "东湖货车禁行" in driver.says("我的提醒")
    assert "不再提醒“东湖货车禁行”" in driver.says("不再提醒此区域")
    drives(driver, -120.0, speed_mps=45.0, steps=8)
    drives(driver, 150.0, speed_mps=-45.0, steps=4)
    assert len(warnings(driver)) == 1
    decided = driver.world.service.store.decisions(limit=100, u7=driver.u7)
    assert SuppressReason.MUTED.value in [one.alert.reason for one in decided if not one.alert.send]


def is_in_the_history(driver: Phone) -> None:
    """Every message both ways, once: who, when, what, why and how; where only of who agreed to that."""
    store = driver.world.service.store
    found = store.messages.search(MessageFilter(u7=driver.u7), limit=1_000)
    sent = [one for one in found if one.message.direction is Direction.OUT]
    # What the account sent, and the greeting in the answer to the push.
    assert len(sent) == len(driver.shows()) + len(driver.replies)
    assert [one.message.text for one in sent if one.message.channel == PASSIVE] == driver.replies
    [warning] = [one for one in sent if one.message.kind == "warning"]
    assert (warning.phone, warning.plate, warning.message.channel) == (PHONE, PLATE, "customer_service")
    assert (warning.message.zones, warning.message.outcome) == (("东湖货车禁行",), "accepted")
    assert warning.message.why.startswith("approach: ")
    assert warning.message.text in driver.shows()
    assert warning.message.lon is not None, "the track is kept, as was agreed to on the page"
    assert warning.message.lon < BORDER_DEG
    [asked] = store.messages.search(MessageFilter(u7=driver.u7, text="限行", direction=Direction.IN), limit=9)
    answers = [one.message for one in sent if one.message.cause == asked.message.key]
    assert [(one.kind, one.why, one.outcome) for one in answers] == [("answer", "answer to text", "accepted")]
    # The link to one's data is a key: it is in no record.
    assert not any("/bind/data/" in one.message.text for one in found)
    assert {one.message.kind for one in found} >= {"subscribe", "text", "location", "answer", "warning"}
    assert not any(one.message.kind == "ping" for one in found)


def leaves_and_is_forgotten(driver: Phone, link: str) -> None:
    """At once in the tables and in the engine; what WeChat still tells of them afterwards is not kept either."""
    service, u7 = driver.world.service, driver.u7
    words = [DRIVER, PHONE, PLATE]
    before = cells_of(driver.world.folder, u7, words)
    # What is looked for can be found, in the tables and as bytes.
    for cell in ("person.open_id", "phone.phone", "vehicle.plate", "decision.u7", "history.u7", "meeting.organiser"):
        assert cell in before
    for needles in ([DRIVER.encode()], [PHONE.encode()], [PLATE.encode()], placed(driver.positions)):
        assert files_with(driver.world.folder, needles)
    driver.leaves()
    assert until(lambda: service.store.u7_of(DRIVER) is None)
    late = {"MsgID": 77, "Status": "success"}
    pushes = driver.world.wechat.pushes
    assert pushes is not None
    answered(pushes.now(event(DRIVER, wall_clock_ms(), "TEMPLATESENDJOBFINISH", late)))
    driver.is_at(114.2911, LAT_DEG)
    answered(driver.wechat.opens("https://a.example"))
    assert until(lambda: service.store.inbox.counts()["waiting"] == 0)
    assert driver.world.http.request("GET", link).status == 404
    # All that stays of the messages is how many there were.
    assert service.store.messages.search(MessageFilter(u7=u7), limit=9) == []
    assert {kind for _, _, kind in service.store.messages.tally()} >= {"text", "warning", "unsubscribe"}
    lon, _lat, _time_ms = service.ingest.ask(lambda engine: engine.last_positions(np.array([u7]))).result(5.0)
    assert np.isnan(lon).all()
    # While an erasure is under way its own row names whom it is about; that row goes with its end, below.
    assert set(cells_of(driver.world.folder, u7, words)) <= {"erasure.u7", "erasure.open_id"}


def the_others_stay(anna: Phone, ben: Phone) -> None:
    """The meeting went with its organiser; whoever was in it keeps what is their own."""
    assert "没有会议" in anna.says("同伴")
    assert {"person.u7", "person.open_id"} <= set(cells_of(anna.world.folder, ben.u7, [BEN]))


def nothing_is_left_on_disk(driver: Phone) -> None:
    """Not as a cell, not as bytes of a deleted row, in no file of the service; the others are still in it."""
    world, u7 = driver.world, FIRST_U7 + 1
    world.stop()
    words = [DRIVER, PHONE, PLATE]
    assert cells_of(world.folder, u7, words) == []
    for word in words:
        assert (
            files_with(world.folder, [word.encode(), word.encode("utf-16-le"), json.dumps(word)[1:-1].encode()]) == []
        )
    assert files_with(world.folder, [f'"u7": {u7}'.encode(), f'"u7":{u7}'.encode()]) == []
    assert files_with(world.folder, placed(driver.positions)) == []
    assert files_with(world.folder, [ANNA.encode()])


# ---- what the steps are told with


def drives(driver: Phone, from_m: float, *, speed_mps: float, steps: int) -> None:
    """Drive east from so many metres east of the closed zone's border, a report each second."""
    for step in range(steps):
        driver.is_at(BORDER_DEG + (from_m + speed_mps * step) / EAST_M, LAT_DEG)


def warnings(driver: Phone) -> list[Any]:
    """Return what was decided to send to the driver about the closed zone."""
    decided = driver.world.service.store.decisions(limit=100, u7=driver.u7)
    return [one.alert for one in decided if one.alert.zone_id == "东湖货车禁行" and one.alert.send]


def near_notices(driver: Phone) -> list[str]:
    return [text for text in driver.shows() if "就在" in text]


def metres_in(text: str) -> list[float]:
    return sorted(float(found) for found in re.findall(r"(\d+)米", text))


def apart_m(one: Phone, place: tuple[float, float]) -> float:
    """Return the distance on the ellipsoid from where somebody last reported to be."""
    return float(GEOD.inv(*one.positions[-1], *place)[2])


def assert_metres(phone: Phone, question: str, wanted_m: list[float]) -> None:
    found = metres_in(phone.says(question))
    assert found == pytest.approx(wanted_m, abs=1.0), question


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(part)
