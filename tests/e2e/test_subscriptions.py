"""Subscription templates from the settings: what people accept in the chat carries their warnings."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from api.clocks import wall_clock_ms
from geo_engine.model import Vehicle
from geo_engine.store.protocol import Person
from geo_engine.testing import an_alert
from geo_engine.wechat.fake import FakeSettings
from geo_engine.wechat.template import read_templates
from tests.e2e.running import Running, a_running_service

pytestmark = [pytest.mark.network, pytest.mark.enable_socket]

ONCE, FOR_GOOD = "once: thing1=zone, thing2=place", "good: thing1=zone, time2=period; other: thing1=zone"
FAKE = FakeSettings(subscriptions=(*read_templates(ONCE), *read_templates(FOR_GOOD)))


def warn(running: Running, open_id: str, number: int) -> None:
    """Let a decision about somebody wait in the outbox."""
    now_ms = wall_clock_ms()
    times = {"time_ms": now_ms, "visit_ms": now_ms, "expires_at_ms": now_ms + 600_000}
    u7 = running.service.store.u7_of(open_id)
    assert u7 is not None
    running.service.store.commit([an_alert(alert_id=f"{number:032x}", u7=u7, **times)], [], now_ms=now_ms)
    running.service.relay.notify()


def enrolled(running: Running, person: str, u7: int) -> str:
    """Write somebody into the store who has opened no window."""
    open_id = running.wechat.phone(person).open_id
    store = running.service.store
    store.put_people([Person(u7, open_id, Vehicle(u7))])
    store.set_consent(u7, "warnings", True, "v1", wall_clock_ms(), "test")
    return open_id


def test_an_acceptance_carries_one_warning_and_a_long_term_one_carries_all(tmp_path: Path) -> None:
    values = {"wechat_one_time_templates": ONCE, "wechat_long_term_templates": FOR_GOOD}
    with a_running_service(tmp_path, FAKE, **values) as running:
        once, good = enrolled(running, "once", 1), enrolled(running, "good", 2)
        running.wechat.phone(once).accepts("once")
        running.wechat.phone(good).accepts("good", for_good=True)
        store = running.service.store
        deadline = time.monotonic() + 10.0
        while not (store.reach(once).grants and store.reach(good).grants) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert [(one.template_id, one.left) for one in store.reach(once).grants] == [("once", 1)]
        assert [(one.template_id, one.left) for one in store.reach(good).grants] == [("good", None)]
        for number, open_id in enumerate((once, good, once, good)):
            warn(running, open_id, number)
            running.wechat.expect(open_id, times=1 + number // 2, wait_s=10.0)
        assert [one.channel for one in running.wechat.state.deliveries(once)] == ["subscription", "template"]
        assert [one.channel for one in running.wechat.state.deliveries(good)] == ["subscription"] * 2


def test_without_templates_an_acceptance_changes_nothing(tmp_path: Path) -> None:
    with a_running_service(tmp_path, FAKE) as running:
        once = enrolled(running, "once", 1)
        running.wechat.phone(once).accepts("once")
        warn(running, once, 1)
        running.wechat.expect(once, channel="template", wait_s=10.0)
