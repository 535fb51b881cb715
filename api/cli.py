"""The command line ``geo-engine``: commands joined to their names. Each command imports what it needs itself."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any, Final

import typer

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
}


def app(chosen: str | None = None) -> typer.Typer:
    """Return the command line; with ``chosen`` only that command is loaded."""
    cli = typer.Typer(
        name="geo-engine", help="Location tracking and alerting.", no_args_is_help=True, pretty_exceptions_enable=False
    )
    cli.callback()(_version_option)
    for name, (module, attribute) in _COMMANDS.items():
        if chosen in (None, name):
            command: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
            cli.command(name)(command)
    for name, module in _GROUPS.items():
        if chosen in (None, name):
            cli.add_typer(importlib.import_module(module).app, name=name)
    return cli


def _version_option(
    *,
    version: bool = typer.Option(False, "--version", is_eager=True, help="Print the version and stop."),
) -> None:
    if version:
        from geo_engine import __version__  # noqa: PLC0415

        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line."""
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    known = words[0] if words and words[0] in {*_COMMANDS, *_GROUPS} else None
    app(known)()
