"""A meeting by QR code over real HTTP in safe mode: made in the chat, joined by who follows and by who does not yet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3

from api.bootstrap import Service
from geo_engine.wechat.fake_faults import FakeFault, FaultKind
from geo_engine.wechat.fake_server import FakeServer
from tests.e2e.running import a_running_service

pytestmark = [pytest.mark.network, pytest.mark.enable_socket]

LON, LAT = 114.30, 30.50


@dataclass
class World:
    """The service and the fake WeChat that pushes to it."""

    service: Service
    wechat: FakeServer

    def made(self, organiser: str, title: str) -> str:
        """Let somebody make a meeting and return what they were answered."""
        phone = self.wechat.phone(organiser)
        phone.says(f"开会 {title} 明天 9:00-10:00")
        self.wechat.expect(organiser, "会场在哪里", wait_s=10.0)
        phone.sends_place(LON, LAT, "江汉路1号")
        [told] = self.wechat.expect(organiser, "会议已创建", wait_s=10.0)
        return told.data["text"]

    def ticket(self, text: str) -> str:
        """Return the ticket of the QR code in an answer."""
        found = re.search(r"https?://\S+/cgi-bin/showqrcode\S+", text)
        assert found is not None, text
        assert found[0].startswith(self.wechat.url)
        return parse_qs(urlsplit(found[0]).query)["ticket"][0]

    def members(self, organiser: str) -> int:
        """Return how many are in the one meeting of somebody."""
        u7 = self.service.store.u7_of(self.wechat.phone(organiser).open_id)
        assert u7 is not None
        [meeting] = self.service.store.meetings.of(u7)
        return len(self.service.store.meetings.members(meeting.meeting_id))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_running_service(tmp_path) as running:
        yield World(running.service, running.wechat)


def test_a_code_is_made_once_shown_and_joined_by_who_follows_and_by_who_does_not_yet(world: World) -> None:
    wechat = world.wechat
    wechat.phone("anna").follows()
    text = world.made("anna", "周会")
    ticket = world.ticket(text)
    assert "扫描二维码" in text
    # It lives as long as the meeting, and names nobody.
    [code] = wechat.state.codes.all()
    assert code.scene.startswith("m.")
    assert code.lasts_s is not None
    assert 0 < code.lasts_s <= 2 * 86_400
    with urllib3.PoolManager(retries=False, timeout=5.0) as http:
        found = re.search(r"https?://\S+/cgi-bin/showqrcode\S+", text)
        assert found is not None
        picture = http.request("GET", found[0])
        assert (picture.status, picture.headers["content-type"]) == (200, "image/svg+xml")
        assert http.request("GET", found[0] + "x").status == 404

    # Ben does not follow yet: the scan makes him follow, and join.
    record = wechat.phone("ben").scans(ticket)
    assert record is not None
    assert record.kind == "subscribe"
    assert record.outcome in {"silent", "replied"}
    wechat.expect("ben", "您已加入：周会", wait_s=10.0)
    assert world.members("anna") == 2

    # Carla follows already: the same code is a SCAN.
    wechat.phone("carla").follows()
    record = wechat.phone("carla").scans(ticket)
    assert record is not None
    assert record.kind == "SCAN"
    wechat.expect("carla", "您已加入：周会", wait_s=10.0)
    assert world.members("anna") == 3

    # Who asks again gets the same code and no second call; who only takes part is not given it.
    wechat.phone("anna").says("我的会议")
    [again] = wechat.expect("anna", "您的会议", wait_s=10.0)
    assert world.ticket(again.data["text"]) == ticket
    assert len(wechat.state.codes.all()) == 1
    wechat.phone("ben").says("我的会议")
    [his] = wechat.expect("ben", "您的会议", wait_s=10.0)
    assert "showqrcode" not in his.data["text"]


def test_an_invented_scene_lets_nobody_in(world: World) -> None:
    wechat = world.wechat
    wechat.phone("anna").follows()
    world.made("anna", "周会")
    [code] = wechat.state.codes.all()
    forged = code.scene[:-1] + ("A" if code.scene[-1] != "A" else "B")
    made = wechat.state.codes.create(
        {"action_name": "QR_STR_SCENE", "action_info": {"scene": {"scene_str": forged}}}, wechat.state.now_ms()
    )
    assert not isinstance(made, int)
    wechat.phone("dora").scans(made.ticket)
    wechat.expect("dora", "没有这个会议", times=None, wait_s=10.0)
    assert world.members("anna") == 1


@pytest.mark.parametrize(
    "fault",
    [
        FakeFault(FaultKind.ERRCODE, 45009, times=None, path="qrcode/create"),
        FakeFault(FaultKind.HTTP_500, times=None, path="qrcode/create"),
    ],
)
def test_without_a_code_the_meeting_is_made_all_the_same_and_asked_for_again_later(
    world: World, fault: FakeFault
) -> None:
    wechat = world.wechat
    wechat.phone("anna").follows()
    wechat.state.faults.add(fault)
    text = world.made("anna", "周会")
    assert "showqrcode" not in text
    assert "会议码" in text
    wechat.state.faults.clear()
    wechat.phone("anna").says("我的会议")
    [again] = wechat.expect("anna", "您的会议", wait_s=10.0)
    world.ticket(again.data["text"])
