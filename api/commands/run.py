"""``geo-engine run``: the whole service; without a WeChat account, a demonstration of it."""

from __future__ import annotations

import errno
import logging
import signal
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from api.console import Exit, fail, fail_on_faults
from api.settings import Role, Settings
from geo_engine.errors import ConfigurationError, Fault, InputError, StoreError

__all__ = ["run"]


def run(
    store: Annotated[
        str | None,
        typer.Option(help="Where decisions live: sqlite:///PATH, a path, postgresql+psycopg://..., or memory:."),
    ] = None,
    zones: Annotated[Path | None, typer.Option(help="Zone file or folder; default: the example city.")] = None,
    roads: Annotated[
        Path | None,
        typer.Option(help="Roads drivers follow, GeoJSON or .osm.pbf; default: none, or the example city's."),
    ] = None,
    *,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Port to listen on, 0 = any free one.")] = None,
    for_s: Annotated[float | None, typer.Option("--for", min=0.0, help="Stop after so many seconds.")] = None,
    users: Annotated[
        int | None,
        typer.Option(min=0, max=100_000, help="Simulated vehicles; default 200 without a WeChat account, else 0."),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the simulated traffic; default: the time.")] = None,
    vehicles: Annotated[
        Path | None, typer.Option(help="JSON Lines of people to enrol: vehicle, open_id, consent (absent = no).")
    ] = None,
    door: Annotated[
        bool,
        typer.Option(
            "--door", help="Stand beside a running engine on its store: take pushes, show pages, send; judge no pings."
        ),
    ] = False,
) -> None:
    """Run the service until Ctrl-C, SIGTERM or --for. Exit code 0 after everything due was delivered."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # The first start of a version compiles for a minute: who waits should read why.
    logging.getLogger("api.bootstrap").setLevel(logging.INFO)
    given: dict[str, Any] = {"store": store, "zones": zones, "roads": roads, "port": port}
    given["role"] = Role.DOOR if door else None
    try:
        settings = Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        fail_on_faults(_setting_faults(error))
    only_engine = {"--zones": zones, "--roads": roads, "--users": users, "--seed": seed, "--vehicles": vehicles}
    if settings.role is Role.DOOR and any(value is not None for value in only_engine.values()):
        found = ", ".join(name for name, value in only_engine.items() if value is not None)
        fail_on_faults([Fault("options", "", f"{found} of a door", "them at the process of the engine", "bad_option")])
    stopping = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: stopping.set())
    # The service is imported here, so that --help and a wrong setting answer at once.
    from api.serving import Demo, DoorServing, Serving  # noqa: PLC0415 - see above

    demo = Demo(users, int(time.time_ns() // 10**9) % 10**6 if seed is None else seed, vehicles)
    try:
        with ExitStack() as stack:
            is_door = settings.role is Role.DOOR
            serving = DoorServing(settings, stack) if is_door else Serving(settings, stack, demo)
            serving.watch(stopping, for_s)
    except InputError as error:
        fail_on_faults(error.faults)
    except (ConfigurationError, StoreError) as error:
        fail(f"cannot run: {error}")
    except OSError as error:
        hint = "; choose another port with --port" if error.errno == errno.EADDRINUSE else ""
        fail(f"cannot run: {error}{hint}")
    if serving.errors():
        raise typer.Exit(Exit.FAILED)


def _setting_faults(error: ValidationError) -> list[Fault]:
    faults = []
    for one in error.errors(include_url=False):
        # A rule over several settings names what it found itself.
        expected = one["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
        if not one["loc"]:
            faults.append(Fault("settings", "", "what cannot work together", expected, "bad_setting"))
            continue
        name = "GEO_ENGINE_" + "_".join(map(str, one["loc"])).upper()
        faults.append(Fault(name, "", repr(one["input"])[:80], expected, "bad_setting"))
    return faults
