"""QR codes of the fake server: what may be asked for, how long they live, and the picture."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from geo_engine.wechat.fake_qr import FakeCode, FakeCodes, code_picture

NOW_MS = 1_793_678_400_000


def body(name: str = "QR_STR_SCENE", scene: Any = None, **more: Any) -> dict[str, Any]:
    return {"action_name": name, "action_info": {"scene": scene or {"scene_str": "m.1"}}, **more}


def test_a_temporary_code_lives_as_long_as_asked_and_a_minute_unless_said() -> None:
    codes = FakeCodes()
    for asked, lasts_s in (({"expire_seconds": 2_592_000}, 2_592_000), ({}, 60)):
        code = codes.create(body(**asked), NOW_MS)
        assert isinstance(code, FakeCode)
        assert (code.scene, code.lasts_s) == ("m.1", lasts_s)
        assert codes.live(code.ticket, NOW_MS + 1000 * lasts_s - 1) == code
        assert codes.live(code.ticket, NOW_MS + 1000 * lasts_s) is None
    assert len(codes.all()) == 2
    assert codes.live("other", NOW_MS) is None


def test_a_permanent_code_never_ends_and_there_are_a_hundred_thousand_of_them() -> None:
    codes = FakeCodes()
    code = codes.create(body("QR_LIMIT_SCENE", {"scene_id": 100_000}), NOW_MS)
    assert isinstance(code, FakeCode)
    assert codes.live(code.ticket, NOW_MS * 2) == code
    codes._permanent = 100_000
    assert codes.create(body("QR_LIMIT_STR_SCENE"), NOW_MS) == 45029


@pytest.mark.parametrize(
    ("asked", "errcode"),
    [
        (None, 47001),
        ({}, 40053),
        (body("QR_OTHER"), 40053),
        (body(scene={"scene_str": ""}), 40053),
        (body(scene={"scene_str": "s" * 65}), 40053),
        (body(scene={"scene_id": 1}), 40053),
        (body("QR_SCENE", {"scene_id": 0}), 40053),
        (body("QR_SCENE", {"scene_id": True}), 40053),
        (body("QR_LIMIT_SCENE", {"scene_id": 100_001}), 40053),
        (body(expire_seconds=2_592_001), 40053),
        (body(expire_seconds=0), 40053),
        (body(expire_seconds="60"), 40053),
    ],
)
def test_what_cannot_be_made_is_answered_with_its_errcode(asked: Any, errcode: int) -> None:
    codes = FakeCodes()
    assert codes.create(asked, NOW_MS) == errcode
    assert codes.all() == ()


def test_the_picture_says_what_a_scan_reports_whatever_it_is() -> None:
    root = ElementTree.fromstring(code_picture(FakeCode("t", "<m> & 1", None, None)))  # noqa: S314 - our own text
    assert "<m> & 1" in [element.text for element in root]
