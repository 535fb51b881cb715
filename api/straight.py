"""Routes whose requests go to their endpoint as they are, past the router: for the one that must cost least.

Finding the route among all others and preparing its request costs FastAPI twice what a push costs us.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import library_problem
from geo_engine.errors import GeoEngineError

__all__ = ["RawRoute", "Straight", "straight_ways"]

_Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]


class RawRoute(APIRoute):
    """A route whose endpoint gets the request as it is: FastAPI's own reading of it costs more than ours in all."""

    def get_route_handler(self) -> _Endpoint:
        """Return the endpoint itself."""
        endpoint: _Endpoint = self.endpoint
        return endpoint


def straight_ways(routers: Iterable[APIRouter]) -> dict[tuple[str, str], _Endpoint]:
    """Return the endpoints of raw routes without parameters in their path, by method and path."""
    raw = [route for router in routers for route in router.routes if isinstance(route, RawRoute)]
    return {
        (method, route.path): route.endpoint for route in raw if "{" not in route.path for method in route.methods or ()
    }


class Straight:
    """The middleware that hands requests of raw routes to their endpoints; all others go on to the router."""

    def __init__(self, app: ASGIApp, ways: dict[tuple[str, str], _Endpoint]) -> None:
        self._app = app
        self._ways = ways

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        endpoint = self._ways.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        try:
            response = await endpoint(Request(scope, receive, send))
        except GeoEngineError as error:
            response = library_problem(error)
        await response(scope, receive, send)
