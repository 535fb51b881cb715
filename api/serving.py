"""The running service in the foreground: starts the parts, tells the terminal what happens, stops them in order."""

from __future__ import annotations

import gc
import socket
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import uvicorn
from pydantic import SecretStr
from rich.live import Live
from rich.text import Text

from api.bootstrap import Enrolment, Service, bootstrap
from api.clocks import wall_clock_ms
from api.console import note_faults, out
from api.demo import Driver, LeadTimes, demo_open_id
from api.door import Door, open_door
from api.example import example_network
from api.settings import CONSOLE_SMS, Settings
from geo_engine.alerting.message import Message, SendResult
from geo_engine.alerting.wording import rounded_m
from geo_engine.engine import Decisions
from geo_engine.errors import Fault, VehicleFileError
from geo_engine.ingest.vehicles import read_vehicles
from geo_engine.model import AlertReason, ZoneKind
from geo_engine.simulate.traffic import Traffic
from geo_engine.store.protocol import Person
from geo_engine.wechat.fake import CallbackTarget, FakeSettings
from geo_engine.wechat.fake_server import start_fake_wechat
from geo_engine.wechat.template import Template

__all__ = ["Demo", "DoorServing", "HttpServer", "Serving"]

_DEMO_USERS: Final = 200
_DEMO_TOKEN: Final = "demo-callback-token"  # noqa: S105 - of the fake server beside the service, on loopback
_DEMO_AES_KEY: Final = "demo" * 10 + "key"
_REFRESH_S: Final = 1.0
_PLAIN_REPORT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Demo:
    """What runs beside the service.

    Attributes:
        users: simulated vehicles, None = 200 without a WeChat account and none with one.
        seed: seed of their traffic.
        vehicles: file of people to enrol, None = nobody.
    """

    users: int | None
    seed: int
    vehicles: Path | None


class Serving:
    """One service in one process, with the demonstration beside it when there is no WeChat account."""

    def __init__(self, settings: Settings, stack: ExitStack, demo: Demo) -> None:
        """Start everything; ``stack`` stops it in the reverse order.

        Raises:
            InputError, ConfigurationError, StoreError, OSError: something cannot be started, with the reason.
        """
        self._pings = self._sent = self._inside = 0
        self._suppressed: Counter[str] = Counter()
        self.leads = LeadTimes(wall_clock_ms)
        self._driver: Driver | None = None
        users = demo.users if demo.users is not None else (0 if settings.has_account else _DEMO_USERS)
        traffic = _traffic(users, demo.seed) if users else None
        enrolments = _enrolments(traffic, demo.vehicles, invent_ids=not settings.has_account)
        self._server = HttpServer(settings)
        stack.callback(self._server.close)
        settings, messages_url = _with_account(settings, self._server.url, stack)
        self._service: Service = bootstrap(
            settings, people=enrolments, on_decisions=self._decided, on_delivered=self._delivered
        )
        stack.callback(self._stop, settings.drain_s)
        # Zones and packages stay for ever; looking through them for garbage would stop the pings for milliseconds.
        gc.collect()
        gc.freeze()
        self._service.start()
        self._server.start(self._service)
        self._greet(settings.store, messages_url)
        if traffic:
            out.print(f"simulating {users} vehicles, seed {demo.seed}, one ping per 5 s")
            self._driver = Driver(traffic, f"{self._server.url}/v1/pings", wall_clock_ms)
            self._driver.start()

    def errors(self) -> int:
        """Return how many things went wrong that should not have."""
        driver = self._driver.errors if self._driver else 0
        return driver + self._service.relay.counts()["errors"]

    def watch(self, stopping: threading.Event, for_s: float | None) -> None:
        """Keep the status line until told to stop or until ``for_s`` is over."""
        end = None if for_s is None else time.monotonic() + for_s
        report_at = time.monotonic() + _PLAIN_REPORT_S
        with Live(Text(""), console=out, refresh_per_second=2, transient=True) as live:
            before, since = 0, time.monotonic()
            while not stopping.is_set() and (end is None or time.monotonic() < end):
                stopping.wait(_REFRESH_S if end is None else max(min(_REFRESH_S, end - time.monotonic()), 0.0))
                now = time.monotonic()
                status = self._status((self._pings - before) / max(now - since, 1e-9))
                before, since = self._pings, now
                live.update(Text(status, style="bold"))
                if not out.is_terminal and now >= report_at:
                    out.print(status, highlight=False, soft_wrap=True)
                    report_at = now + _PLAIN_REPORT_S

    def _stop(self, drain_s: float) -> None:
        if self._driver and self._driver.is_alive():
            self._driver.stop()
        self._server.stop()
        self._service.stop(drain_s)
        self._farewell()

    def _decided(self, decisions: Decisions) -> None:
        self._pings += decisions.accepted
        self._inside = decisions.inside
        for (_, reason), count in decisions.alerts.counts().items():
            if isinstance(reason, AlertReason):
                self._sent += count
            else:
                self._suppressed[reason.value] += count
        self.leads.moved(decisions, self._service.zones)

    def _delivered(self, message: Message, _result: SendResult) -> None:
        self.leads.delivered_now(message)
        alert = message.alert
        where = "inside" if not alert.compass else f"{rounded_m(alert.distance_m)} m ahead, {alert.compass}"
        eta = f" · {round(alert.eta_s)} s" if alert.compass else ""
        line = f"u7 {alert.u7:07d} · {alert.zone_name} · {where}{eta} · sent"
        out.print(line, highlight=False, markup=False, soft_wrap=True)

    def _status(self, pings_per_s: float) -> str:
        suppressed = ", ".join(f"{reason} {count}" for reason, count in sorted(self._suppressed.items())) or "0"
        return f"{pings_per_s:,.0f} pings/s · inside {self._inside} · sent {self._sent} · suppressed {suppressed}"

    def _greet(self, store: str, messages_url: str | None) -> None:
        zones, continued = self._service.zones, self._service.continued
        out.print(f"geo_engine · {len(zones)} zones, revision {zones.revision} · {self._server.url} (/openapi.json)")
        out.print(f"store {store}" + (f" · continuing {continued} open visits" if continued else ""))
        if messages_url:
            out.print(f"fake WeChat, what every driver received: {messages_url}")

    def _farewell(self) -> None:
        out.print(
            f"pings judged {self._pings:,} · warnings sent {self._sent} · delivered {self.leads.delivered.total()}"
        )
        for kind in ZoneKind:
            if not self.leads.delivered[kind]:
                continue
            leads = sorted(self.leads.leads_s[kind])
            told, inside = self.leads.delivered[kind], self.leads.inside[kind]
            line = f"{kind.value}: delivered {told}, of these {inside} to drivers already inside"
            line += f" · ahead: {len(leads)} entered after the warning, {self.leads.late[kind]} before it"
            if leads:
                line += (
                    f" · lead time min {leads[0]:.1f} s, median {leads[len(leads) // 2]:.1f} s, max {leads[-1]:.1f} s"
                )
            out.print(line, highlight=False, soft_wrap=True)
        suppressed = ", ".join(f"{reason} {count}" for reason, count in sorted(self._suppressed.items())) or "none"
        out.print(f"suppressed: {suppressed}", highlight=False)
        out.print(f"errors: {self.errors()}", highlight=False)


class DoorServing:
    """A door in one process; see ``api.door``."""

    def __init__(self, settings: Settings, stack: ExitStack) -> None:
        """Start everything; ``stack`` stops it in the reverse order.

        Raises:
            ConfigurationError, StoreError, OSError: something cannot be started, with the reason.
        """
        self._server = HttpServer(settings)
        stack.callback(self._server.close)
        self._door = open_door(settings)
        stack.callback(self._stop, settings.drain_s)
        self._door.start()
        self._server.start(self._door)
        out.print(f"geo_engine · door {self._door.number} · {self._server.url}", highlight=False)
        out.print(f"store {settings.store}", highlight=False, soft_wrap=True)

    def errors(self) -> int:
        """Return how many things went wrong that should not have."""
        return self._door.relay.counts()["errors"]

    def watch(self, stopping: threading.Event, for_s: float | None) -> None:
        """Wait until told to stop or until ``for_s`` is over."""
        stopping.wait(for_s)

    def _stop(self, drain_s: float) -> None:
        self._server.stop()
        self._door.stop(drain_s)
        out.print(f"delivered {self._door.relay.counts()['accepted']} · errors: {self.errors()}", highlight=False)


class HttpServer:
    """uvicorn on a thread of its own, on a socket that is bound before anything else starts."""

    def __init__(self, settings: Settings) -> None:
        self._socket = socket.create_server((settings.host, settings.port))
        self.url = f"http://{settings.host}:{self._socket.getsockname()[1]}"
        self._drain_s = max(1, round(settings.drain_s))
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self, service: Service | Door) -> None:
        """Serve the service's application and return when it answers."""
        config = uvicorn.Config(
            service.app,
            log_level="warning",
            access_log=False,
            lifespan="off",
            # LOCATION comes every 5 s, which is when a connection would be closed by default.
            timeout_keep_alive=75,
            # A client that holds a half-sent body must not hold up the end of the service.
            timeout_graceful_shutdown=self._drain_s,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="http", daemon=True)
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                message = f"the HTTP server at {self.url} did not start"
                raise OSError(message)
            time.sleep(0.01)

    def stop(self) -> None:
        """Answer what was asked, then close the door."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _traffic(users: int, seed: int) -> Traffic:
    return Traffic(example_network(), users=users, seed=seed, start_ms=wall_clock_ms())


def _enrolments(traffic: Traffic | None, vehicles: Path | None, *, invent_ids: bool) -> list[Enrolment]:
    """Return the simulated drivers and the people of the file.

    With the fake server a person without an OpenID is given one; a real account can reach only a real OpenID.
    """
    found = [] if traffic is None else traffic.vehicles()
    enrolments = [
        Enrolment(Person(one.u7, demo_open_id(one.u7), one), one.consent_warnings, "simulation", "demo-1")
        for one in found
    ]
    if vehicles is None:
        return enrolments
    file = read_vehicles(vehicles)
    note_faults(file.faults)
    if not file.vehicles:
        raise VehicleFileError(file.faults or [Fault(str(vehicles), "", "no vehicle", "one per line", "no_vehicles")])
    for one in file.vehicles:
        open_id = file.open_ids.get(one.u7) or (demo_open_id(one.u7) if invent_ids else None)
        said = file.consents.get(one.u7)
        enrolments.append(Enrolment(Person(one.u7, open_id, one), said, f"file {vehicles.name}", "file-1"))
    return enrolments


def _template(settings: Settings) -> Template:
    return Template.parse(settings.wechat_template_id, settings.wechat_template_fields)


def _with_account(settings: Settings, url: str, stack: ExitStack) -> tuple[Settings, str | None]:
    """Return settings with an account: the configured one, or that of a fake server started for it."""
    if settings.has_account:
        return settings, None
    subscriptions = (*settings.one_time_templates, *settings.long_term_templates)
    fake = FakeSettings(templates=(_template(settings),), subscriptions=subscriptions)
    fake = replace(fake, callback=CallbackTarget(f"{url}/wechat", _DEMO_TOKEN, _DEMO_AES_KEY, fake.app_id))
    server = stack.enter_context(start_fake_wechat(settings=fake))
    account = {
        "wechat_app_id": fake.app_id,
        "wechat_app_secret": SecretStr(fake.app_secret),
        "wechat_api_base": server.url,
        "wechat_oauth_base": server.url,
        "wechat_qr_base": server.url,
        "public_url": settings.public_url or url,
        "sms_url": settings.sms_url or CONSOLE_SMS,
        "wechat_token": SecretStr(_DEMO_TOKEN),
        "wechat_aes_key": SecretStr(_DEMO_AES_KEY),
        "wechat_aes_key_previous": None,
    }
    return settings.model_copy(update=account), server.url
