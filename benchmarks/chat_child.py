"""The server of the chat benchmark in a process of its own: the service, and beside it a route that does nothing.

``python -m benchmarks.chat_child ROLE STORE WECHAT CORE`` prints its port and serves until its input ends.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time

import uvicorn
from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from fastapi.routing import APIRoute

from api.bootstrap import Enrolment, Service, bootstrap
from api.door import Door, open_door
from api.settings import Role, Settings
from api.straight import RawRoute, Straight, straight_ways
from benchmarks.chat_load import AES_KEY, TOKEN, open_id
from geo_engine.model import Vehicle, VehicleKind
from geo_engine.store.open import open_store
from geo_engine.store.protocol import Person
from geo_engine.wechat.fake import FakeSettings

PEOPLE = 1_000


def empty_router(path: str, route_class: type[APIRoute]) -> APIRouter:
    """Return a route that reads the body and answers ``success``: what the server costs without us."""
    router = APIRouter(route_class=route_class)
    success = PlainTextResponse("success")

    @router.post(path)
    async def empty(request: Request) -> Response:
        await request.body()
        return success

    return router


def main(role: str, store: str, wechat: str, core: int) -> None:
    """Serve until the input ends."""
    os.sched_setaffinity(0, {core})
    account = FakeSettings()
    settings = Settings(
        store=store,
        role=Role(role),
        port=0,
        wechat_app_id=account.app_id,
        wechat_app_secret=account.app_secret,
        wechat_token=TOKEN,
        wechat_aes_key=AES_KEY,
        wechat_api_base=wechat,
        wechat_oauth_base=wechat,
        identity_secret="the secret of a benchmark",  # noqa: S106
    )
    people = [
        Enrolment(
            Person(number, open_id(number), Vehicle(number, kind=VehicleKind.GOODS)), True, "benchmark", "bench-1"
        )
        for number in range(PEOPLE)
    ]
    if settings.role is Role.DOOR:
        open_store(store).close()
        service: Service | Door = open_door(settings)
    else:
        service = bootstrap(settings, people=people)
    # A handler as any other of the application, and one that is reached past the router as the callback is.
    service.app.include_router(empty_router("/empty", APIRoute))
    service.app.add_middleware(Straight, ways=straight_ways([empty_router("/bare", RawRoute)]))
    service.start()
    with socket.create_server(("127.0.0.1", 0), backlog=2_048) as listener:
        config = uvicorn.Config(
            service.app, log_level="warning", access_log=False, lifespan="off", backlog=2_048, timeout_keep_alive=75
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        sys.stdin.read()
        server.should_exit = True
        thread.join()
    service.stop(0.0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
