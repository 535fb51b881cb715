"""``/wechat``: the account's callback. Check, read, keep on disk, answer; the work is done afterwards."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from api.errors import PROBLEM, PUSH_STATUS, problem
from api.metrics import Metrics
from api.straight import RawRoute
from api.workers.inbox_journal import InboxJournal
from geo_engine.errors import StoreError
from geo_engine.store.inbox import NewInbound
from geo_engine.wechat.callback import MAX_CALLBACK_BYTES, Callback, Push, parse_query
from geo_engine.wechat.inbound import Inbound, Kind, to_payload
from geo_engine.wechat.push_tree import PushError, PushReason
from geo_engine.wechat.replies import NOTHING

__all__ = ["wechat_router"]

_SUCCESS: Final = PlainTextResponse(NOTHING)
"""One answer for all; sending it changes nothing in it."""

_GREETING_S: Final = 1.0
"""Keeping the push may have taken four of WeChat's five seconds."""


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {PROBLEM: {"schema": {"type": "object"}}}}


_STORE_AWAY: Final = _problem("It could not be kept in time; WeChat sends it again.")
_UNSIGNED: Final = _problem("Not signed by WeChat, older than 300 s, a used signature, or not sealed for this account.")
_CHECKED: Final[dict[int | str, dict[str, Any]]] = {403: _UNSIGNED}
_PUSHED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "On disk, or known already; to somebody who follows, with a greeting.",
        "content": {"text/plain": {"schema": {"const": "success"}}, "text/xml": {"schema": {"type": "string"}}},
    },
    400: _problem("Signed, but no push that can be read, or a DOCTYPE."),
    403: _UNSIGNED,
    413: _problem("Larger than any real push."),
    503: _STORE_AWAY,
}


def _parameters(*more: str) -> list[dict[str, Any]]:
    names = ("signature", "timestamp", "nonce", *more)
    return [
        {"name": name, "in": "query", "required": name in names[:3], "schema": {"type": "string"}} for name in names
    ]


# The routes read query and body themselves for speed, so what they take and answer is declared by hand.
_CHECK: Final[dict[str, Any]] = {"parameters": _parameters("echostr")}
_PUSH: Final[dict[str, Any]] = {
    "parameters": _parameters("openid", "encrypt_type", "msg_signature"),
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "maxLength": MAX_CALLBACK_BYTES}}
            for kind in ("text/xml", "application/json")
        },
    },
}


def wechat_router(
    callback: Callback,
    journal: InboxJournal,
    clock: Callable[[], int],
    metrics: Metrics,
    greets: Callable[[Inbound], str | None] | None = None,
) -> APIRouter:
    """Return the callback's routes.

    Args:
        callback: checks and reads pushes.
        journal: keeps them.
        clock: epoch milliseconds UTC by the time of day, which is what WeChat signs.
        metrics: counters.
        greets: says what the answer to a push that may be answered says, None = ``success``. It may read the store.
    """
    router = APIRouter(tags=["wechat"], route_class=RawRoute)

    # Looking a counter up by its label costs more than counting.
    by_kind = {kind: metrics.pushes.labels(kind.value) for kind in Kind}

    def refused(error: PushError) -> Response:
        metrics.pushes_refused.labels(error.reason.value).inc()
        return problem(PUSH_STATUS[error.reason], str(error))

    @router.get("/wechat", response_class=PlainTextResponse, responses=_CHECKED, openapi_extra=_CHECK)
    async def check(request: Request) -> Response:
        """Answer WeChat's check of the address."""
        query = parse_query(request.scope["query_string"])
        try:
            callback.check(query, clock())
        except PushError as error:
            return refused(error)
        return PlainTextResponse(query.get("echostr", ""))

    @router.post("/wechat", response_class=PlainTextResponse, responses=_PUSHED, openapi_extra=_PUSH)
    async def push(request: Request) -> Response:
        """Take a push: it is on disk, or known already, when the answer is ``success``."""
        began_s = time.perf_counter()
        query = parse_query(request.scope["query_string"])
        try:
            callback.check(query, clock())
            is_json = "json" in request.headers.get("content-type", "").lower()
            taken = callback.read(query, await _capped_body(request), is_json=is_json, now_ms=clock())
        except PushError as error:
            return refused(error)
        message = taken.message
        if callback.is_repeat(taken, clock()):
            metrics.pushes_repeated.inc()
            return await _answer(callback, taken, greets, clock)
        kept = NewInbound(message.key, message.openid, message.kind.value, message.time_s * 1000, to_payload(message))
        try:
            await journal.keep(kept)
        except StoreError:
            metrics.store_failures.inc()
            raise
        callback.taken(taken, clock())
        by_kind[message.kind].inc()
        answered = await _answer(callback, taken, greets, clock)
        metrics.push_seconds.observe(time.perf_counter() - began_s)
        return answered

    return router


async def _answer(
    callback: Callback, taken: Push, greets: Callable[[Inbound], str | None] | None, clock: Callable[[], int]
) -> Response:
    """Return ``success``, or a greeting: the one answer that is known without any work on the message."""
    if greets is None or taken.message.kind is not Kind.SUBSCRIBE:
        return _SUCCESS
    try:
        text = await asyncio.wait_for(asyncio.to_thread(greets, taken.message), _GREETING_S)
    except (StoreError, TimeoutError):
        return _SUCCESS
    if text is None:
        return _SUCCESS
    reply = callback.reply(taken, text, now_s=clock() // 1000, random16=secrets.token_bytes(16))
    return Response(reply, media_type="text/xml")


async def _capped_body(request: Request) -> bytes:
    """Read the body.

    Raises:
        PushError: it is larger than a push can be; what is left of it is not read.
    """
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_CALLBACK_BYTES:
            message = f"body: found more than {MAX_CALLBACK_BYTES} bytes, expected a push"
            raise PushError(PushReason.TOO_LARGE, message)
    return bytes(body)
