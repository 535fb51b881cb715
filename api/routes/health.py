"""``/healthz``, ``/readyz``, ``/metrics``: is it alive, can it work, what did it count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

__all__ = ["health_router"]

Check = Callable[[], str | None]


def health_router(checks: Mapping[str, Check], page: Callable[[], bytes]) -> APIRouter:
    """Return the operator's routes.

    Args:
        checks: per part of the service, why it is not ready (None = it is).
        page: makes the metrics page.
    """
    router = APIRouter(tags=["operation"])

    @router.get("/healthz", response_class=PlainTextResponse)
    async def healthz() -> str:
        """Say that the process answers."""
        return "ok\n"

    @router.get("/readyz", response_class=JSONResponse, responses={503: {"description": "A part is not ready."}})
    def readyz() -> JSONResponse:
        """Say which parts can work."""
        parts = {name: check() or "ready" for name, check in checks.items()}
        ready = all(state == "ready" for state in parts.values())
        return JSONResponse(
            {"ready": ready, "parts": parts}, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        )

    @router.get("/metrics", response_class=Response)
    def metrics() -> Response:
        """Return the counters for Prometheus."""
        return Response(page(), media_type=CONTENT_TYPE_LATEST)

    return router
