"""The tester's side of the fake WeChat server: ``/`` shows the phones, ``/_fake/`` makes things happen."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from geo_engine.errors import ConfigurationError
from geo_engine.geodesy.datum import Datum
from geo_engine.wechat.fake import FakeWeChat
from geo_engine.wechat.fake_clock import FakeClock
from geo_engine.wechat.fake_expect import Expected, wait_for
from geo_engine.wechat.fake_faults import FakeFault
from geo_engine.wechat.fake_model import CallbackTarget, JsonObject, PushMode
from geo_engine.wechat.fake_oauth import FakeVisitor
from geo_engine.wechat.fake_page import PAGE_POLICY, render_page
from geo_engine.wechat.fake_people import FakePeople
from geo_engine.wechat.fake_push import Pusher, PushRecord
from geo_engine.wechat.fake_streams import FakeStreams, FakeTrack

__all__ = ["ControlParts", "control_routes", "json_body"]

_Endpoint = Callable[[Request], Awaitable[Response]]
_LONGEST_WAIT_S: Final = 60.0


class _BadRequest(Exception):  # noqa: N818 - its text is the answer
    """A control call that cannot be understood."""


async def json_body(request: Request) -> object:
    """Return the body as JSON, None when it is none (which every WeChat door answers with its own errcode)."""
    try:
        body: object = json.loads(await request.body())
    except (ValueError, RecursionError):
        return None
    return body


@dataclass(frozen=True, slots=True)
class ControlParts:
    """What the tester's side works on; ``pusher`` is None without a callback, ``clock`` None when it is the test's."""

    account: FakeWeChat
    people: FakePeople
    streams: FakeStreams
    pusher: Pusher | None
    clock: FakeClock | None


def control_routes(parts: ControlParts) -> list[Route]:
    """Return the tester's routes."""
    account = parts.account

    async def page(_: Request) -> Response:
        records = () if parts.pusher is None else parts.pusher.records()
        last = {one.open_id: one for one in records}
        failed = [one for one in last.values() if one.outcome == "unavailable"]
        templates = (*account.settings.templates, *account.settings.subscriptions)
        text = render_page(account.deliveries(), templates, failed)
        return HTMLResponse(text, headers={"content-security-policy": PAGE_POLICY})

    async def messages(request: Request) -> Response:
        found = [delivery.to_json() for delivery in account.deliveries(request.query_params.get("openid"))]
        return JSONResponse({"count": len(found), "messages": found})

    async def pushes(request: Request) -> Response:
        records = () if parts.pusher is None else parts.pusher.records(request.query_params.get("openid"))
        return JSONResponse({"count": len(records), "pushes": [one.to_json() for one in records]})

    async def codes(_: Request) -> Response:
        return JSONResponse({"codes": [asdict(code) for code in account.codes.all()]})

    async def reset(_: Request) -> Response:
        account.reset()
        return JSONResponse({"ok": True})

    reads = {"messages": messages, "pushes": pushes, "codes": codes, "expect": _expect_door(account)}
    return [
        Route("/", page),
        *(Route(f"/_fake/{name}", door) for name, door in reads.items()),
        *(Route(f"/_fake/{name}", _act_door(act), methods=["POST"]) for name, act in _acts(parts).items()),
        Route("/_fake/faults", _fault_door(account), methods=["GET", "POST", "DELETE"]),
        Route("/_fake/clock", _clock_door(parts), methods=["GET", "POST"]),
        Route("/_fake/streams", _streams_door(parts), methods=["GET", "POST", "DELETE"]),
        Route("/_fake/callback", _callback_door(parts), methods=["GET", "POST"]),
        Route("/_fake/reset", reset, methods=["POST"]),
    ]


# ---- reading what a tester asks


class _Body:
    """The fields of a control call; what is missing or of another type is said."""

    def __init__(self, body: object) -> None:
        if not isinstance(body, Mapping):
            found = "found no JSON object, expected one"
            raise _BadRequest(found)
        self._body = body

    def text(self, name: str, default: str | None = None) -> str:
        return str(self._typed(name, default, str, "a text"))

    def flag(self, name: str) -> bool:
        return self._typed(name, False, bool, "true or false") is True

    def number(self, name: str, default: float | None = None) -> float:
        value = self._typed(name, default, (int, float), "a number")
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            found = f"{name}: found {value!r}, expected a number"
            raise _BadRequest(found)
        return value

    def datum(self) -> Datum | None:
        name = self.text("datum", "")
        if name and name not in set(Datum):
            found = f"datum: found {name!r}, expected one of {', '.join(Datum)}"
            raise _BadRequest(found)
        return Datum(name) if name else None

    def has(self, name: str) -> bool:
        return name in self._body

    def _typed(self, name: str, default: object, kind: type | tuple[type, ...], what: str) -> object:
        value = self._body.get(name, default)
        if value is None or not isinstance(value, kind):
            found = f"{name}: found {value!r}, expected {what}"
            raise _BadRequest(found)
        return value


_Act = Callable[[_Body], object]


def _acts(parts: ControlParts) -> dict[str, _Act]:
    """Return what people can be made to do, by the name of its call."""
    account = parts.account

    def of(body: _Body) -> str:
        return body.text("openid")

    def person(body: _Body) -> None:
        account.oauth.at_the_phone = FakeVisitor(of(body), body.flag("snapshot"))

    at = parts.people.phone
    return {
        "follow": lambda body: at(of(body)).follows(),
        "unfollow": lambda body: at(of(body)).leaves(),
        "scan": lambda body: at(of(body)).scans(body.text("ticket")),
        "say": lambda body: at(of(body)).says(body.text("text")),
        "show": lambda body: at(of(body)).shows(body.text("kind", "image")),
        "click": lambda body: at(of(body)).clicks(body.text("key")),
        "open": lambda body: at(of(body)).opens(body.text("url"), snapshot=body.flag("snapshot")),
        "place": lambda body: at(of(body)).sends_place(body.number("lon"), body.number("lat"), body.text("label", "")),
        "locate": lambda body: at(of(body)).is_at(
            body.number("lon"), body.number("lat"), accuracy_m=body.number("accuracy_m", 30.0), datum=body.datum()
        ),
        "accept": lambda body: at(of(body)).accepts(body.text("template_id"), for_good=body.flag("for_good")),
        "refuse": lambda body: at(of(body)).refuses(body.text("template_id")),
        "revoke": lambda body: at(of(body)).revokes_location(),
        "touch": lambda body: account.touch(of(body), body.text("trigger")),
        "phone": person,
    }


def _act_door(act: _Act) -> _Endpoint:
    """Return a door for something a person does; it answers when the account has answered the push."""

    async def answer(request: Request) -> Response:
        try:
            came = await asyncio.to_thread(act, _Body(await json_body(request)))
        except (_BadRequest, LookupError, ConfigurationError) as error:
            return _refused(str(error))
        pushed: JsonObject = {"push": came.to_json()} if isinstance(came, PushRecord) else {}
        return JSONResponse({"ok": True, **pushed})

    return answer


def _refused(why: str, status: int = 400) -> Response:
    return JSONResponse({"ok": False, "error": why}, status_code=status)


# ---- faults, clock, streams, callback, expectations


def _fault_door(account: FakeWeChat) -> _Endpoint:
    async def answer(request: Request) -> Response:
        if request.method == "DELETE":
            account.faults.clear()
        if request.method == "POST":
            try:
                account.faults.add(FakeFault.from_json(await json_body(request)))
            except (TypeError, ValueError) as error:
                return _refused(str(error))
        return JSONResponse({"faults": [asdict(fault) for fault in account.faults.pending()]})

    return answer


def _clock_door(parts: ControlParts) -> _Endpoint:
    def moved(body: _Body, clock: FakeClock) -> None:
        if body.has("stopped"):
            clock.stop() if body.flag("stopped") else clock.run()
        if body.has("now_ms"):
            clock.set(int(body.number("now_ms")))
        if body.has("advance_s"):
            clock.advance(body.number("advance_s"))
        parts.streams.run_due()

    async def answer(request: Request) -> Response:
        if request.method == "POST":
            if parts.clock is None:
                return _refused("the clock is the test's own, move it there", 409)
            try:
                await asyncio.to_thread(moved, _Body(await json_body(request)), parts.clock)
            except _BadRequest as error:
                return _refused(str(error))
        return JSONResponse({"now_ms": parts.account.now_ms()})

    return answer


def _streams_door(parts: ControlParts) -> _Endpoint:
    def start(body: _Body) -> None:
        speed = body.number("speed_mps") if body.has("speed_mps") else None
        track = FakeTrack.read(body.text("track"), speed_mps=speed)
        parts.streams.start(
            body.text("openid"),
            track,
            datum=body.datum(),
            accuracy_m=body.number("accuracy_m", 30.0),
            every_s=body.number("every_s", 5.0),
        )

    async def answer(request: Request) -> Response:
        if request.method == "DELETE":
            parts.streams.stop(request.query_params.get("openid"))
        if request.method == "POST":
            try:
                start(_Body(await json_body(request)))
            except (_BadRequest, ConfigurationError) as error:
                return _refused(str(error))
        return JSONResponse({"moving": parts.streams.moving(), "pushed": parts.streams.pushed})

    return answer


def _callback_door(parts: ControlParts) -> _Endpoint:
    def changed(body: _Body, target: CallbackTarget) -> CallbackTarget:
        texts = {name: body.text(name) for name in ("url", "token", "aes_key") if body.has(name)}
        mode = {"mode": PushMode(body.text("mode"))} if body.has("mode") else {}
        return replace(target, **texts, **mode)  # type: ignore[arg-type]  # the fields are named here

    async def answer(request: Request) -> Response:
        pusher = parts.pusher
        if pusher is None:
            return _refused("there is no callback, start the server with one", 409)
        if request.method == "POST":
            try:
                pusher.retarget(changed(_Body(await json_body(request)), pusher.target))
            except (_BadRequest, ConfigurationError, ValueError) as error:
                return _refused(str(error))
        answers = await asyncio.to_thread(pusher.check)
        found = {"url": pusher.target.url, "mode": pusher.target.pushes.value, "answers_check": answers}
        return JSONResponse({**found, "posted": pusher.posted, "failed": pusher.failed})

    return answer


def _expect_door(account: FakeWeChat) -> _Endpoint:
    def number(query: Mapping[str, str], name: str, default: float) -> float:
        try:
            value = float(query.get(name, default))
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            found = f"{name}: found {query[name]!r}, expected a number"
            raise _BadRequest(found)
        return value

    def expected(query: Mapping[str, str]) -> Expected:
        if not query.get("openid"):
            found = "openid: found none, expected whose phone"
            raise _BadRequest(found)
        times = None if query.get("times") == "some" else int(number(query, "times", 1))
        until = int(number(query, "until_ms", 0)) or None
        text, channel = query.get("contains", ""), query.get("channel", "")
        return Expected(query["openid"], text, times, channel, int(number(query, "from_ms", 0)), until)

    async def answer(request: Request) -> Response:
        query = request.query_params
        try:
            wanted, wait_s = expected(query), min(number(query, "wait_s", 0.0), _LONGEST_WAIT_S)
        except _BadRequest as error:
            return _refused(str(error))
        problem = await asyncio.to_thread(wait_for, wanted, account.deliveries, wait_s)
        if problem:
            return _refused(problem, 409)
        return JSONResponse({"ok": True, "messages": [one.to_json() for one in wanted.found(account.deliveries())]})

    return answer
