"""``geo-engine run``: the whole service; without a WeChat account, a demonstration of it."""

from __future__ import annotations

import logging
import signal
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from api.console import Exit, err, fail_on_faults
from api.settings import Settings
from geo_engine.errors import ConfigurationError, Fault, InputError, StoreError

__all__ = ["run"]


def run(
    store: Annotated[str | None, typer.Option(help="Where decisions live: sqlite:///PATH, a path, or memory:.")] = None,
    zones: Annotated[Path | None, typer.Option(help="Zone file or folder; default: the example city.")] = None,
    *,
    port: Annotated[int | None, typer.Option(help="Port to listen on, 0 = any free one.")] = None,
    for_s: Annotated[float | None, typer.Option("--for", help="Stop after so many seconds.")] = None,
    users: Annotated[
        int | None, typer.Option(help="Simulated vehicles; default 200 without a WeChat account, else 0.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulated traffic.")] = 7,
    vehicles: Annotated[Path | None, typer.Option(help="JSON Lines of vehicle profiles to enrol.")] = None,
) -> None:
    """Run the service until Ctrl-C, SIGTERM or --for. Exit code 0 after everything due was delivered."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    given: dict[str, Any] = {"store": store, "zones": zones, "port": port}
    try:
        settings = Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        fail_on_faults(_setting_faults(error))
    stopping = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: stopping.set())
    # The service is imported here, so that --help and a wrong setting answer at once.
    from api.serving import Serving  # noqa: PLC0415

    try:
        with ExitStack() as stack:
            serving = Serving(settings, stack, users=users, seed=seed, vehicles=vehicles)
            serving.watch(stopping, for_s)
    except InputError as error:
        fail_on_faults(error.faults)
    except (ConfigurationError, StoreError, OSError) as error:
        err.print(f"[red]cannot run:[/red] {error}", highlight=False)
        raise typer.Exit(Exit.FAILED) from error
    if serving.errors():
        raise typer.Exit(Exit.FAILED)


def _setting_faults(error: ValidationError) -> list[Fault]:
    return [
        Fault(
            "GEO_ENGINE_" + "_".join(map(str, one["loc"])).upper() if one["loc"] else "settings",
            "",
            repr(one.get("input"))[:80],
            one["msg"],
            "bad_setting",
        )
        for one in error.errors(include_url=False)
    ]
