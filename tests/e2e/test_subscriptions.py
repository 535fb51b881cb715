"""Subscription templates from the settings: what people accept in the chat carries their warnings."""

from __future__ import annotations

import re
import time
from pathlib import Path
from urllib.parse import urljoin

import pytest
import urllib3

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


def page_of(running: Running, open_id: str) -> str:
    """Open the page in the browser of a person's WeChat and return it."""
    running.wechat.phone(open_id).opens("any")
    cookies: dict[str, str] = {}
    address = f"{running.url}/bind"
    with urllib3.PoolManager(retries=False, timeout=10.0) as pool:
        for _ in range(6):
            headers = {"user-agent": "MicroMessenger/8.0.50"}
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
            answer = pool.request("GET", address, headers=headers, redirect=False)
            if answer.status == 200:
                return answer.data.decode()
            for cookie in answer.headers.getlist("set-cookie"):
                name, _, value = cookie.partition(";")[0].partition("=")
                cookies[name] = value
            address = urljoin(address, answer.headers["location"].partition("#")[0])
    message = f"the page sends on and on, lastly to {address}"
    raise AssertionError(message)


def test_the_page_of_the_service_offers_the_templates_of_the_settings(tmp_path: Path) -> None:
    values = {"wechat_one_time_templates": ONCE, "wechat_long_term_templates": FOR_GOOD}
    with a_running_service(tmp_path, FAKE, **values) as running:
        page = page_of(running, enrolled(running, "anna", 1))
        assert re.findall(r'wx-open-subscribe template="([^"]+)"', page) == ["once", "good,other"]


def test_the_page_of_a_service_without_templates_offers_nothing(tmp_path: Path) -> None:
    with a_running_service(tmp_path, FAKE) as running:
        page = page_of(running, enrolled(running, "anna", 1))
        assert "我的车辆与授权" in page
        assert "wx-open-subscribe" not in page


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
