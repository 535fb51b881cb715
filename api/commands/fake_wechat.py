"""``geo-engine fake-wechat``: a stand-in for WeChat on this machine, until it is told to stop."""

from __future__ import annotations

import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from geo_engine.errors import ConfigurationError
from geo_engine.wechat.fake import CallbackTarget, FakeSettings
from geo_engine.wechat.fake_server import start_fake_wechat

__all__ = ["fake_wechat"]


def fake_wechat(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen at; 0 = any free one.")] = 8901,
    host: Annotated[
        str, typer.Option(help="Address to listen at; it has no protection, keep to loopback.")
    ] = "127.0.0.1",
    log: Annotated[Path | None, typer.Option(help="Append every delivery to this file, one JSON line each.")] = None,
    open_door: Annotated[
        bool, typer.Option("--open/--closed", help="Whether every well-formed OpenID follows the account.")
    ] = True,
    callback_url: Annotated[str | None, typer.Option(help="Where receipts are posted.")] = None,
    callback_token: Annotated[str, typer.Option(help="Token that signs the receipts.")] = "",
    callback_aes_key: Annotated[str, typer.Option(help="EncodingAESKey that seals the receipts; none = plain.")] = "",
) -> None:
    """Run a fake WeChat server and show what each phone received; Ctrl-C ends it."""
    settings = FakeSettings(open_door=open_door)
    if callback_url:
        target = CallbackTarget(callback_url, callback_token, callback_aes_key, settings.app_id)
        settings = replace(settings, callback=target)
    # The handlers are set first: a stop that comes while the server starts is a clean stop too.
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        server = start_fake_wechat(port, host=host, settings=settings, log=log)
    except (OSError, ConfigurationError) as error:
        typer.echo(f"fake WeChat server at {host}:{port}: {error}", err=True)
        raise typer.Exit(1) from None
    with server:
        typer.echo(f"fake WeChat server: {server.url}/ (messages as JSON: {server.url}/_fake/messages)")
        typer.echo(f"app id {settings.app_id}, app secret {settings.app_secret}")
        stop.wait()
    typer.echo(f"{len(server.state.deliveries())} messages delivered")
