"""``POST /v1/pings``: batches of pings in, an answer when their decisions are on disk."""

from __future__ import annotations

import asyncio
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from api.errors import PROBLEM, fault_row, problem
from api.workers.ingest import Busy, IngestWorker, Judged
from geo_engine.geodesy.datum import Datum, to_wgs84
from geo_engine.geodesy.table import DatumTables
from geo_engine.ingest.decode import Decoded, decode_arrow, decode_json
from geo_engine.model import RejectReason

__all__ = ["no_pings_router", "pings_router"]

ARROW: Final = "application/vnd.apache.arrow.stream"
JSON: Final = "application/json"
_SHOWN: Final = 20
_LARGE_BODY: Final = 256 * 1024
_MOST_ROWS: Final = 1_000_000

_EXPECTED: Final = {
    RejectReason.MALFORMED: "a ping with u7, time, lon and lat",
    RejectReason.U7_OUT_OF_RANGE: "u7 in 0 .. 9999999",
    RejectReason.LON_OUT_OF_RANGE: "lon in -180 .. 180",
    RejectReason.LAT_OUT_OF_RANGE: "lat in -90 .. 90",
    RejectReason.NOT_FINITE: "finite lon and lat",
    RejectReason.TIME_OUT_OF_RANGE: "a time between the years 2000 and 2100",
    RejectReason.FUTURE: "a time that is not ahead of the server's clock",
    RejectReason.DUPLICATE: "one ping per user and time",
    RejectReason.LATE: "a time after the user's last ping",
    RejectReason.SPEED_JUMP: "a place the user could have reached",
    RejectReason.INACCURATE: "a position that is not vaguer than the limit",
    RejectReason.NO_CONSENT: "a user who agreed to be located",
}

_PING: Final = {
    "type": "object",
    "required": ["u7", "time", "lon", "lat"],
    "properties": {
        "u7": {"type": "integer", "minimum": 0, "maximum": 9_999_999},
        "time": {"oneOf": [{"type": "integer", "description": "epoch ms"}, {"type": "string", "format": "date-time"}]},
        "lon": {"type": "number", "minimum": -180, "maximum": 180},
        "lat": {"type": "number", "minimum": -90, "maximum": 90},
        "speed_mps": {"type": "number"},
        "heading_deg": {"type": "number", "description": "clockwise from true north"},
        "accuracy_m": {"type": "number", "description": "radius of 68 % confidence"},
    },
}
_ANSWER: Final = {
    "type": "object",
    "required": ["accepted", "rejected", "rejects"],
    "properties": {
        "accepted": {"type": "integer"},
        "rejected": {"type": "object", "additionalProperties": {"type": "integer"}},
        "rejects": {"type": "array", "items": {"type": "object"}, "description": f"the first {_SHOWN} rejects"},
    },
}


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {PROBLEM: {"schema": {"type": "object"}}}}


# The route reads the raw body for speed, so what it takes and answers is declared by hand.
_OPENAPI: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": "datum",
            "in": "query",
            "schema": {"type": "string", "enum": [datum.value for datum in Datum]},
            "description": "datum of the positions; the service's setting when absent",
        }
    ],
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": {"type": "array", "items": _PING}},
            ARROW: {"schema": {"type": "string", "format": "binary"}},
        },
    },
}
_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "Judged; the decisions are on disk.", "content": {JSON: {"schema": _ANSWER}}},
    400: _problem(
        "Not readable as a batch of at most a million pings, a compressed Arrow stream, or an unknown datum."
    ),
    413: _problem("The body is larger than the limit."),
    415: _problem("Neither JSON nor an Arrow stream."),
    503: _problem("Too many pings wait, or the store is away; see Retry-After."),
}


def pings_router(
    ingest: IngestWorker, *, max_body_bytes: int, datum: Datum, tables: DatumTables | None = None
) -> APIRouter:
    """Return the route of ping batches.

    Args:
        ingest: judges them.
        max_body_bytes: a larger body is refused.
        datum: datum of the positions where a request names none.
        tables: convert positions by table, within 5 mm; None = exactly.
    """
    convert = to_wgs84 if tables is None else tables.to_wgs84
    router = APIRouter(tags=["pings"])

    @router.post("/v1/pings", responses=_RESPONSES, openapi_extra=_OPENAPI, response_class=JSONResponse)
    async def post_pings(request: Request) -> Response:
        """Judge a batch of pings: a JSON list or an Arrow IPC stream. One bad ping never costs the others."""
        named = request.query_params.get("datum", datum.value)
        if named not in list(Datum):
            expected = ", ".join(Datum)
            return problem(HTTPStatus.BAD_REQUEST, f"datum: found {named!r}, expected one of {expected}")
        content_type = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
        decode = {JSON: decode_json, ARROW: decode_arrow}.get(content_type)
        if decode is None:
            detail = f"Content-Type: found {content_type!r}, expected {JSON} or {ARROW}"
            return problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
        body = await _capped_body(request, max_body_bytes)
        if body is None:
            detail = f"body: found more than {max_body_bytes} bytes, expected at most that; send smaller batches"
            return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
        work = partial(decode, body, datum=Datum(named), max_rows=_MOST_ROWS, convert=convert)
        # An Arrow body tells by its size nothing about its rows, so it never holds up the event loop.
        large = decode is decode_arrow or len(body) > _LARGE_BODY
        decoded = await asyncio.to_thread(work) if large else work()
        try:
            judged = await asyncio.wrap_future(ingest.submit(decoded.batch))
        except Busy:
            detail = "too many pings wait to be judged, expected you to come back in a second"
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": "1"})
        return JSONResponse(_answer(decoded, judged))

    return router


def no_pings_router() -> APIRouter:
    """Return the route of a process that has no engine: it says where pings belong."""
    router = APIRouter(tags=["pings"])

    @router.post("/v1/pings", responses={503: {"description": "Not the process of the engine."}})
    async def post_pings() -> Response:
        """Refuse pings."""
        detail = "this process is a door, which judges no pings, expected them at the process of the engine"
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, detail)

    return router


async def _capped_body(request: Request, limit: int) -> bytes | None:
    """Read the body, or return None as soon as it is larger than ``limit``."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            return None
        parts.append(part)
    return b"".join(parts)


def _answer(decoded: Decoded, judged: Judged) -> dict[str, Any]:
    rejected = dict(decoded.rejected)
    for reason, count in judged.counts().items():
        rejected[reason] = rejected.get(reason, 0) + count
    rejects: list[dict[str, Any]] = [fault_row(fault) for fault in decoded.faults[:_SHOWN]]
    for row, reason in zip(judged.row[:_SHOWN].tolist(), judged.reason[:_SHOWN], strict=True):
        place = {"where": f"body row {int(decoded.row[row])}", "u7": int(decoded.batch.u7[row])}
        rejects.append({**place, "expected": _EXPECTED[reason], "reason": reason.value})
    return {"accepted": judged.accepted, "rejected": rejected, "rejects": rejects[:_SHOWN]}
