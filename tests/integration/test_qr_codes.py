"""QR codes of an account: what is asked of WeChat, and what comes of its answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.chat.inviting import Inviter
from geo_engine.alerting.message import Outcome, SendResult
from geo_engine.model import Language
from geo_engine.testing import ManualClock
from geo_engine.wechat.client import LONGEST_QR_S, QrCode, WeChatApi
from geo_engine.wechat.conversation import Answer
from geo_engine.wechat.conversation.turn import Invitation
from geo_engine.wechat.fake import FakeSettings
from geo_engine.wechat.fake_faults import FakeFault, FaultKind
from geo_engine.wechat.fake_server import FakeServer, start_fake_wechat

pytestmark = [pytest.mark.network, pytest.mark.enable_socket]

FAKE = FakeSettings()
DAY_MS = 86_400_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def server(clock: ManualClock) -> Iterator[FakeServer]:
    with start_fake_wechat(clock=clock) as running:
        yield running


@pytest.fixture
def api(server: FakeServer) -> Iterator[WeChatApi]:
    with WeChatApi(FAKE.app_id, FAKE.app_secret, server.url, timeout_s=5.0) as made:
        yield made


def test_a_code_has_the_scene_and_the_life_that_were_asked_for(api: WeChatApi, server: FakeServer) -> None:
    made = api.create_qr_code("s" * 64, LONGEST_QR_S)
    [code] = server.state.codes.all()
    assert made == QrCode(code.ticket, code.text, LONGEST_QR_S)
    assert code.scene == "s" * 64


@pytest.mark.parametrize(("scene", "lasts_s"), [("", 60), ("s" * 65, 60), ("s", 0), ("s", LONGEST_QR_S + 1)])
def test_what_wechat_would_refuse_is_not_asked_for(
    api: WeChatApi, server: FakeServer, scene: str, lasts_s: int
) -> None:
    with pytest.raises(ValueError, match="QR code: found"):
        api.create_qr_code(scene, lasts_s)
    assert server.state.codes.all() == ()


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (FakeFault(FaultKind.ERRCODE, 45009, times=None, path="qrcode/create"), Outcome.STOP),
        (FakeFault(FaultKind.ERRCODE, 40001, times=None, path="qrcode/create"), Outcome.STOP),
        (FakeFault(FaultKind.HTML_200, path="qrcode/create"), Outcome.RETRY),
    ],
)
def test_a_refusal_is_a_result(api: WeChatApi, server: FakeServer, fault: FakeFault, outcome: Outcome) -> None:
    server.state.faults.add(fault)
    made = api.create_qr_code("s", 60)
    assert isinstance(made, SendResult)
    assert made.outcome is outcome


def test_one_refused_token_is_replaced_and_the_code_is_made(api: WeChatApi, server: FakeServer) -> None:
    server.state.faults.add(FakeFault(FaultKind.ERRCODE, 40001, path="qrcode/create"))
    assert isinstance(api.create_qr_code("s", 60), QrCode)


def test_a_code_is_made_once_while_it_lives_and_lives_thirty_days_at_most(
    api: WeChatApi, server: FakeServer, clock: ManualClock
) -> None:
    inviter = Inviter(api, "https://qr.example/", clock)
    invitation = Invitation("m.1", clock() + 40 * DAY_MS)
    link = inviter.link(invitation)
    assert link is not None
    assert link.startswith("https://qr.example/cgi-bin/showqrcode?ticket=gQ")
    assert "+" not in link
    assert "==" not in link
    clock.advance(29 * 86_400)
    assert inviter.link(invitation) == link
    clock.advance(86_400)
    assert inviter.link(invitation) not in (None, link)
    assert [code.lasts_s for code in server.state.codes.all()] == [30 * 86_400, 10 * 86_400]
    clock.advance(11 * 86_400)
    assert inviter.link(invitation) is None


def test_an_answer_without_an_invitation_or_without_a_code_stays_as_it_is(
    api: WeChatApi, server: FakeServer, clock: ManualClock
) -> None:
    inviter = Inviter(api, server.url, clock)
    assert inviter.completed(Answer("a"), Language.ZH) == "a"
    invited = Answer("a", invitation=Invitation("m.1", clock() + DAY_MS))
    server.state.faults.add(FakeFault(FaultKind.ERRCODE, -1, path="qrcode/create"))
    assert inviter.completed(invited, Language.ZH) == "a"
    assert inviter.completed(invited, Language.EN).startswith("a\nOthers join by scanning the QR code: http")
