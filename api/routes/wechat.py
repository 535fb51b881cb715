"""``/wechat``: the account's callback. For now it answers the server check and takes receipts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from api.errors import problem
from geo_engine.store.protocol import Store
from geo_engine.wechat.callback import MAX_CALLBACK_BYTES, is_signed, parse_receipt

__all__ = ["wechat_router"]

_RESPONSES: dict[int | str, dict[str, str]] = {
    403: {"description": "Not signed by WeChat, or older than 300 s."},
    413: {"description": "Larger than any real push."},
}


def wechat_router(store: Store, token: str, clock: Callable[[], int]) -> APIRouter:
    """Return the callback of an account whose pushes are signed with ``token``."""
    router = APIRouter(tags=["wechat"])

    def unsigned(request: Request) -> Response | None:
        if is_signed(request.query_params, token, now_s=clock() / 1000.0):
            return None
        detail = "signature: found none that fits, expected one by the account's token, at most 300 s old"
        return problem(HTTPStatus.FORBIDDEN, detail)

    @router.get("/wechat", response_class=PlainTextResponse, responses=_RESPONSES)
    async def check(request: Request) -> Response:
        """Answer WeChat's check of the address."""
        return unsigned(request) or PlainTextResponse(request.query_params.get("echostr", ""))

    @router.post("/wechat", response_class=PlainTextResponse, responses=_RESPONSES)
    async def push(request: Request) -> Response:
        """Take a push: a receipt closes its attempt, anything else is acknowledged and left alone."""
        refusal = unsigned(request)
        if refusal is not None:
            return refusal
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > MAX_CALLBACK_BYTES:
                detail = f"body: found more than {MAX_CALLBACK_BYTES} bytes, expected a WeChat event"
                return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
        receipt = parse_receipt(bytes(body))
        if receipt is not None:
            await asyncio.to_thread(store.receipt, receipt.msg_id, receipt.status, clock())
        return PlainTextResponse("success")

    return router
