"""Errors as HTTP: RFC 9457 problem documents, and the one table from error to status."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from geo_engine.errors import Fault, GeoEngineError, InputError, StoreError
from geo_engine.wechat.push_tree import PushReason

__all__ = ["PROBLEM", "PUSH_STATUS", "fault_row", "install_error_handlers", "library_problem", "problem"]

PROBLEM: Final = "application/problem+json"
_STATUS: Final[tuple[tuple[type[GeoEngineError], HTTPStatus], ...]] = (
    (InputError, HTTPStatus.BAD_REQUEST),
    (StoreError, HTTPStatus.SERVICE_UNAVAILABLE),
    (GeoEngineError, HTTPStatus.INTERNAL_SERVER_ERROR),
)
PUSH_STATUS: Final[dict[PushReason, HTTPStatus]] = {
    PushReason.UNSIGNED: HTTPStatus.FORBIDDEN,
    PushReason.STALE: HTTPStatus.FORBIDDEN,
    PushReason.REPLAYED: HTTPStatus.FORBIDDEN,
    PushReason.SEALED_WRONG: HTTPStatus.FORBIDDEN,
    PushReason.PLAIN: HTTPStatus.FORBIDDEN,
    PushReason.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    PushReason.DOCTYPE: HTTPStatus.BAD_REQUEST,
    PushReason.NOT_READABLE: HTTPStatus.BAD_REQUEST,
    PushReason.MALFORMED: HTTPStatus.BAD_REQUEST,
    PushReason.NO_POSITION: HTTPStatus.BAD_REQUEST,
}
"""Status by the reason why a push of WeChat was not taken."""

_SHOWN_FAULTS: Final = 20


def fault_row(fault: Fault) -> dict[str, str]:
    """Return a fault as JSON."""
    return {
        "where": fault.where,
        "path": fault.path,
        "found": fault.found,
        "expected": fault.expected,
        "reason": fault.reason,
    }


def problem(
    status: int, detail: str, *, faults: Sequence[Fault] = (), headers: dict[str, str] | None = None
) -> JSONResponse:
    """Return a problem document; at most 20 faults are listed."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if faults:
        body["faults"] = [fault_row(fault) for fault in faults[:_SHOWN_FAULTS]]
    return JSONResponse(body, status, headers, PROBLEM)


def library_problem(error: GeoEngineError) -> JSONResponse:
    """Return the problem document of an error of the library."""
    status = next(code for kind, code in _STATUS if isinstance(error, kind))
    faults = error.faults if isinstance(error, InputError) else ()
    headers = {"Retry-After": "1"} if status is HTTPStatus.SERVICE_UNAVAILABLE else None
    return problem(status, str(error).splitlines()[0], faults=faults, headers=headers)


def install_error_handlers(app: FastAPI) -> None:
    """Answer every error of ``app`` as a problem document, never with a traceback."""

    async def library(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, GeoEngineError)  # noqa: S101 - the handler is registered for it
        return library_problem(error)

    async def protocol(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101 - the handler is registered for it
        return problem(error.status_code, str(error.detail), headers=dict(error.headers or {}))

    async def validation(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - the handler is registered for it
        faults = [
            Fault(
                str(one["loc"][0]),
                ".".join(map(str, one["loc"][1:])),
                repr(one.get("input"))[:80],
                one["msg"],
                one["type"],
            )
            for one in error.errors()
        ]
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(faults[0]), faults=faults)

    async def unexpected(_request: Request, _error: Exception) -> JSONResponse:
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "an unexpected error; it is in the log of the service")

    app.add_exception_handler(GeoEngineError, library)
    app.add_exception_handler(HTTPException, protocol)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(Exception, unexpected)
