"""The HTTP side of the fake WeChat server: a thin layer over ``FakeWeChat``.

Under ``/cgi-bin/``, ``/sns/`` and ``/connect/`` it speaks as WeChat does (HTTP 200, errcode in the body); ``/_fake/``
is the tester's side.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from urllib.parse import urlencode, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from geo_engine.wechat.fake import FakeWeChat, JsonObject
from geo_engine.wechat.fake_faults import FakeFault, FaultKind
from geo_engine.wechat.fake_oauth import FakeVisitor
from geo_engine.wechat.fake_page import PAGE_POLICY, render_page

__all__ = ["fake_wechat_app"]

_Work = Callable[[Request, object], JsonObject]
_Endpoint = Callable[[Request], Awaitable[Response]]


class _BrokenResponse(Response):
    """Begins an answer and never ends it; the server then closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the ASGI signature
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})


def fake_wechat_app(account: FakeWeChat) -> Starlette:
    """Return the ASGI application that serves ``account``."""
    wechat: dict[tuple[str, str], _Work] = {
        ("POST", "/cgi-bin/stable_token"): lambda _, body: account.stable_token(body),
        ("GET", "/cgi-bin/token"): lambda request, _: account.legacy_token(request.query_params),
        ("POST", "/cgi-bin/message/template/send"): lambda request, body: account.send_template(_token(request), body),
        ("POST", "/cgi-bin/message/custom/send"): lambda request, body: account.send_custom(_token(request), body),
        ("POST", "/cgi-bin/clear_quota"): lambda request, body: account.clear_quota(_token(request), body),
        ("POST", "/cgi-bin/openapi/quota/get"): lambda request, body: account.quota(_token(request), body),
        ("GET", "/sns/oauth2/access_token"): lambda request, _: account.oauth_token(request.query_params),
    }
    routes = [Route(path, _wechat_door(account, work), methods=[method]) for (method, path), work in wechat.items()]
    routes.append(Route("/cgi-bin/message/subscribe/bizsend", _subscribe_door(account), methods=["POST"]))
    return Starlette(routes=[*routes, *_tester_routes(account)])


def _subscribe_door(account: FakeWeChat) -> _Endpoint:
    """Return the door of subscription notifications, which takes one call per person at a time."""
    door = _wechat_door(account, lambda request, body: account.send_subscription(_token(request), body))

    async def answer(request: Request) -> Response:
        body = await _json_body(request)
        open_id = str(body.get("touser")) if isinstance(body, dict) else ""
        if not account.begin_subscription(open_id):
            return JSONResponse(account.error(43108))
        try:
            await asyncio.sleep(account.settings.subscribe_s)
            return await door(request)
        finally:
            account.end_subscription(open_id)

    return answer


def _token(request: Request) -> str:
    return request.query_params.get("access_token", "")


async def _json_body(request: Request) -> object:
    """Return the body as JSON, None when it is none (which every WeChat door answers with its own errcode)."""
    try:
        body: object = json.loads(await request.body())
    except (ValueError, RecursionError):
        return None
    return body


def _wechat_door(account: FakeWeChat, work: _Work) -> _Endpoint:
    async def answer(request: Request) -> Response:
        body = await _json_body(request)
        fault = account.faults.take(request.url.path)
        if fault is None:
            return JSONResponse(work(request, body))
        effect = work(request, body) if fault.taken else account.error(-1)
        return await _faulty(account, fault, effect)

    return answer


async def _faulty(account: FakeWeChat, fault: FakeFault, effect: JsonObject) -> Response:
    match fault.kind:
        case FaultKind.ERRCODE:
            return JSONResponse(account.error(fault.errcode))
        case FaultKind.HANG:
            await asyncio.sleep(fault.seconds)
            return JSONResponse(effect)
        case FaultKind.HTTP_500:
            return PlainTextResponse("Internal Server Error", status_code=500)
        case FaultKind.HTML_200:
            return HTMLResponse("<html><body><h1>Gateway</h1></body></html>")
        case FaultKind.CLOSE:
            return _BrokenResponse()


def _tester_routes(account: FakeWeChat) -> list[Route]:
    async def page(_: Request) -> Response:
        text = render_page(account.deliveries(), (*account.settings.templates, *account.settings.subscriptions))
        return HTMLResponse(text, headers={"content-security-policy": PAGE_POLICY})

    async def messages(request: Request) -> Response:
        found = [delivery.to_json() for delivery in account.deliveries(request.query_params.get("openid"))]
        return JSONResponse({"count": len(found), "messages": found})

    async def reset(_: Request) -> Response:
        account.reset()
        return JSONResponse({"ok": True})

    return [
        Route("/", page),
        Route("/_fake/messages", messages),
        Route("/_fake/phone", _phone_door(account), methods=["POST"]),
        Route("/connect/oauth2/authorize", _authorize_door(account)),
        Route("/_fake/follow", _person_door(("openid",), account.follow), methods=["POST"]),
        Route("/_fake/unfollow", _person_door(("openid",), account.unfollow), methods=["POST"]),
        Route("/_fake/touch", _person_door(("openid", "trigger"), account.touch), methods=["POST"]),
        Route("/_fake/accept", _person_door(("openid", "template_id"), account.accept), methods=["POST"]),
        Route("/_fake/refuse", _person_door(("openid", "template_id"), account.refuse), methods=["POST"]),
        Route("/_fake/faults", _fault_door(account), methods=["GET", "POST", "DELETE"]),
        Route("/_fake/reset", reset, methods=["POST"]),
    ]


def _person_door(names: tuple[str, ...], change: Callable[..., None]) -> _Endpoint:
    """Return a door that calls ``change`` with the named texts, and ``for_good`` where it is said."""

    async def answer(request: Request) -> Response:
        body = await _json_body(request)
        values = [body.get(name) for name in names] if isinstance(body, dict) else []
        if len(values) != len(names) or not all(isinstance(value, str) for value in values):
            expected = ", ".join(f'"{name}": "..."' for name in names)
            return JSONResponse({"ok": False, "error": f"expected {{{expected}}}"}, status_code=400)
        more = {"for_good": True} if isinstance(body, dict) and body.get("for_good") is True else {}
        change(*values, **more)
        return JSONResponse({"ok": True})

    return answer


def _phone_door(account: FakeWeChat) -> _Endpoint:
    async def answer(request: Request) -> Response:
        body = await _json_body(request)
        open_id = body.get("openid") if isinstance(body, dict) else None
        if not isinstance(body, dict) or not isinstance(open_id, str):
            error = 'expected {"openid": "o...", "snapshot": false}'
            return JSONResponse({"ok": False, "error": error}, status_code=400)
        account.oauth.at_the_phone = FakeVisitor(open_id, body.get("snapshot") is True)
        return JSONResponse({"ok": True})

    return answer


def _authorize_door(account: FakeWeChat) -> _Endpoint:
    """Return the page that sends the browser back with a code, as whoever is at the phone."""

    async def answer(request: Request) -> Response:
        query, visitor = request.query_params, account.oauth.at_the_phone
        back = urlsplit(query.get("redirect_uri", ""))
        if visitor is None or back.scheme not in {"http", "https"} or query.get("scope") != "snsapi_base":
            text = "expected somebody at the phone (POST /_fake/phone), redirect_uri and scope=snsapi_base"
            return PlainTextResponse(text, status_code=400)
        code = account.oauth.issue(visitor, account.now_ms())
        given = urlencode({"code": code, "state": query.get("state", "")})
        asked = f"{back.query}&{given}" if back.query else given
        return RedirectResponse(back._replace(query=asked).geturl(), status_code=302)

    return answer


def _fault_door(account: FakeWeChat) -> _Endpoint:
    async def answer(request: Request) -> Response:
        if request.method == "DELETE":
            account.faults.clear()
        if request.method == "POST":
            try:
                account.faults.add(FakeFault.from_json(await _json_body(request)))
            except (TypeError, ValueError) as error:
                return JSONResponse({"ok": False, "error": str(error)}, status_code=400)
        return JSONResponse({"faults": [asdict(fault) for fault in account.faults.pending()]})

    return answer
