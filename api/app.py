"""The FastAPI application: routes joined to the parts they serve. Nothing is opened here."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI

from api.errors import install_error_handlers
from api.straight import Straight, straight_ways
from geo_engine import __version__

__all__ = ["make_app"]


def make_app(routers: Sequence[APIRouter]) -> FastAPI:
    """Return the application with the given routes; every error is a problem document.

    The usual pages on top of OpenAPI fetch their scripts from other hosts, which a closed network does not reach and
    a closed operation must not; ``/openapi.json`` is served alone.
    """
    app = FastAPI(title="geo_engine", version=__version__, docs_url=None, redoc_url=None)
    ways = straight_ways(routers)
    if ways:
        app.add_middleware(Straight, ways=ways)
    for router in routers:
        app.include_router(router)
    install_error_handlers(app)
    return app
