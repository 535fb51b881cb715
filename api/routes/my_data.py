"""The file of everything that is known about a person, for who holds the link the chat gave them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastapi import APIRouter, Response

__all__ = ["my_data_router"]

_VOID: Final = "此链接已失效。 This link is not valid any more.\n"


def my_data_router(path: str, file: Callable[[str], bytes | None]) -> APIRouter:
    """Return the route.

    Args:
        path: below which links lie.
        file: returns the JSON of a link, None when it is not valid (any more).
    """
    router = APIRouter()

    @router.get(f"{path}/{{token}}", include_in_schema=False)
    def my_data(token: str) -> Response:
        found = file(token)
        headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}
        if found is None:
            return Response(
                "此链接已失效。 This link is not valid any more.\n", 404, headers, "text/plain; charset=utf-8"
            )
        headers["Content-Disposition"] = 'attachment; filename="my-data.json"'
        return Response(found, 200, headers, "application/json")

    return router
