"""The command line ``geo-engine``: commands joined to their names. Each command imports what it needs itself."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Annotated, Any, Final

import typer

from api.console import Exit
from geo_engine.errors import GeoEngineError, InputError

__all__ = ["app", "main"]

# Command name -> (module, function or sub-application). Imported only when it is asked for: the service alone costs
# more than a second of imports, and `zones check` needs none of it.
_COMMANDS: Final = {
    "run": ("api.commands.run", "run"),
    "replay": ("api.commands.replay", "replay"),
    "simulate": ("api.commands.simulate", "simulate"),
    "draw": ("api.commands.draw", "draw"),
    "fake-wechat": ("api.commands.fake_wechat", "fake_wechat"),
}
_GROUPS: Final = {
    "zones": "api.commands.zones",
    "pings": "api.commands.pings",
    "db": "api.commands.db",
    "history": "api.commands.history",
}


def app(chosen: str | None = None) -> typer.Typer:
    """Return the command line; with ``chosen`` only that command is loaded."""
    cli = typer.Typer(name="geo-engine", help="Location tracking and alerting.", pretty_exceptions_enable=False)
    cli.callback(invoke_without_command=True)(_root)
    for name, (module, attribute) in _COMMANDS.items():
        if chosen in (None, name):
            command: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
            cli.command(name)(command)
    for name, module in _GROUPS.items():
        if chosen in (None, name):
            cli.add_typer(importlib.import_module(module).app, name=name)
    return cli


def _root(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        from geo_engine import __version__  # noqa: PLC0415 - costs the whole engine, for one option

        typer.echo(__version__)
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(Exit.USAGE)


def main() -> None:
    """Run the command line. What went wrong outside our control is one line, never a traceback."""
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    known = words[0] if words and words[0] in {*_COMMANDS, *_GROUPS} else None
    try:
        app(known)()
    except InputError as error:
        for fault in error.faults:
            typer.echo(str(fault), err=True)
        sys.exit(Exit.BAD_INPUT)
    except (GeoEngineError, OSError) as error:
        typer.echo(f"failed: {error}", err=True)
        sys.exit(Exit.FAILED)
    except KeyboardInterrupt:
        sys.exit(130)
