"""The HTTP side of the fake WeChat server: a thin layer over ``FakeWeChat``.

Under ``/cgi-bin/``, ``/sns/`` and ``/connect/`` it speaks as WeChat does (HTTP 200, errcode in the body); ``/_fake/``
is the tester's side (``fake_control``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlencode, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from geo_engine.wechat.fake import FakeWeChat, JsonObject
from geo_engine.wechat.fake_calls import FakeCalls
from geo_engine.wechat.fake_control import json_body
from geo_engine.wechat.fake_faults import FakeFault, FaultKind
from geo_engine.wechat.fake_model import FakeMedia
from geo_engine.wechat.fake_people import FakePeople
from geo_engine.wechat.fake_qr import code_picture

__all__ = ["fake_wechat_app"]

_Work = Callable[[Request, object], JsonObject | FakeMedia]
_MEDIA_TYPES: Final = {"image": "image/png", "voice": "audio/amr", "video": "video/mp4"}
_Endpoint = Callable[[Request], Awaitable[Response]]


class _BrokenResponse(Response):
    """Begins an answer and never ends it; the server then closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the ASGI signature
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})


def fake_wechat_app(account: FakeWeChat, people: FakePeople, control: list[Route]) -> Starlette:
    """Return the ASGI application that serves ``account``, with the tester's routes beside it."""
    calls = FakeCalls(account)
    wechat: dict[tuple[str, str], _Work] = {
        ("POST", "/cgi-bin/stable_token"): lambda _, body: account.stable_token(body),
        ("GET", "/cgi-bin/token"): lambda request, _: account.legacy_token(request.query_params),
        ("POST", "/cgi-bin/message/template/send"): lambda request, body: account.send_template(_token(request), body),
        ("POST", "/cgi-bin/message/custom/send"): lambda request, body: account.send_custom(_token(request), body),
        ("POST", "/cgi-bin/clear_quota"): lambda request, body: account.clear_quota(_token(request), body),
        ("POST", "/cgi-bin/openapi/quota/get"): lambda request, body: account.quota(_token(request), body),
        ("GET", "/sns/oauth2/access_token"): lambda request, _: account.oauth_token(request.query_params),
        ("POST", "/cgi-bin/qrcode/create"): lambda request, body: calls.create_code(_token(request), body),
        ("GET", "/cgi-bin/user/info"): lambda request, _: calls.user_info(_token(request), request.query_params),
        ("GET", "/cgi-bin/ticket/getticket"): lambda request, _: calls.page_ticket(
            _token(request), request.query_params
        ),
        ("GET", "/cgi-bin/getcallbackip"): lambda request, _: calls.addresses(_token(request)),
        ("GET", "/cgi-bin/get_api_domain_ip"): lambda request, _: calls.addresses(_token(request)),
        ("GET", "/cgi-bin/media/get"): lambda request, _: calls.media(_token(request), request.query_params),
    }
    doors = [
        Route(path, _wechat_door(account, people, work), methods=[method]) for (method, path), work in wechat.items()
    ]
    more = [
        Route("/cgi-bin/message/subscribe/bizsend", _subscribe_door(account, people), methods=["POST"]),
        Route("/cgi-bin/showqrcode", _picture_door(account)),
        Route("/connect/oauth2/authorize", _authorize_door(account)),
    ]
    return Starlette(routes=[*doors, *more, *control])


def _picture_door(account: FakeWeChat) -> _Endpoint:
    async def answer(request: Request) -> Response:
        code = account.code(request.query_params.get("ticket", ""))
        if code is None:
            return PlainTextResponse("no such QR code", status_code=404)
        return Response(code_picture(code), media_type="image/svg+xml")

    return answer


def _subscribe_door(account: FakeWeChat, people: FakePeople) -> _Endpoint:
    """Return the door of subscription notifications, which takes one call per person at a time."""
    door = _wechat_door(account, people, lambda request, body: account.send_subscription(_token(request), body))

    async def answer(request: Request) -> Response:
        body = await json_body(request)
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


def _wechat_door(account: FakeWeChat, people: FakePeople, work: _Work) -> _Endpoint:
    async def answer(request: Request) -> Response:
        body = await json_body(request)
        fault = account.faults.take(request.url.path)
        if fault is None:
            return _shown(work(request, body))
        if fault.kind is FaultKind.UNFOLLOW:
            open_id = str(body.get("touser")) if isinstance(body, dict) else ""
            await asyncio.to_thread(people.phone(open_id).leaves)
            return _shown(work(request, body))
        effect = work(request, body) if fault.taken else account.error(-1)
        return await _faulty(account, fault, effect)

    return answer


def _shown(answer: JsonObject | FakeMedia) -> Response:
    if isinstance(answer, FakeMedia):
        return Response(answer.content, media_type=_MEDIA_TYPES[answer.kind])
    return JSONResponse(answer)


async def _faulty(account: FakeWeChat, fault: FakeFault, effect: JsonObject | FakeMedia) -> Response:
    match fault.kind:
        case FaultKind.ERRCODE:
            return JSONResponse(account.error(fault.errcode))
        case FaultKind.HANG:
            await asyncio.sleep(fault.seconds)
            return _shown(effect)
        case FaultKind.HTTP_500:
            return PlainTextResponse("Internal Server Error", status_code=500)
        case FaultKind.HTML_200:
            return HTMLResponse("<html><body><h1>Gateway</h1></body></html>")
        case FaultKind.CLOSE:
            return _BrokenResponse()
        case _:
            return _shown(effect)


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
