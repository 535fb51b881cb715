"""Raw routes: reached past the router, with the same errors as others; every other request goes the usual way."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from fastapi.testclient import TestClient

from api.app import make_app
from api.straight import RawRoute, straight_ways
from geo_engine.errors import StoreError


def a_router() -> APIRouter:
    router = APIRouter(route_class=RawRoute)

    @router.post("/raw")
    async def raw(request: Request) -> Response:
        return PlainTextResponse(await request.body())

    @router.post("/away")
    async def away(_request: Request) -> Response:
        message = "store: found it away, expected it open"
        raise StoreError(message)

    @router.get("/of/{name}")  # noqa: FAST003 - a raw route reads its request itself
    async def named(request: Request) -> Response:
        return PlainTextResponse(request.path_params["name"])

    return router


def test_only_raw_routes_without_parameters_are_reached_straight() -> None:
    usual = APIRouter()
    usual.add_api_route("/usual", lambda: "x")
    assert set(straight_ways([a_router(), usual])) == {("POST", "/raw"), ("POST", "/away")}


def test_a_raw_route_answers_fails_and_is_declared_as_any_other() -> None:
    app = make_app([a_router()])
    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.post("/raw", content=b"body").text == "body"
        assert client.get("/raw").status_code == 405
        assert client.get("/of/anne").text == "anne"
        assert client.get("/none").status_code == 404
        failed = client.post("/away")
        assert (failed.status_code, failed.headers["content-type"]) == (503, "application/problem+json")
        assert failed.headers["retry-after"] == "1"
        assert "/raw" in client.get("/openapi.json").json()["paths"]
