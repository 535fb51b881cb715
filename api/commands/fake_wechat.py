"""``geo-engine fake-wechat``: a stand-in for WeChat on this machine, until it is told to stop."""

from __future__ import annotations

import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from geo_engine.errors import ConfigurationError
from geo_engine.geodesy.datum import Datum
from geo_engine.wechat.fake import CallbackTarget, FakeSettings, PushMode
from geo_engine.wechat.fake_server import FakeServer, start_fake_wechat
from geo_engine.wechat.fake_streams import FakeTrack
from geo_engine.wechat.template import DEFAULT_FIELDS, read_templates

__all__ = ["fake_wechat"]

_ACCOUNT, _PUSHES, _PEOPLE = "The account", "Pushes to the account's callback", "People"


def fake_wechat(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen at; 0 = any free one.")] = 8901,
    host: Annotated[
        str, typer.Option(help="Address on loopback to listen at; the server has no protection.")
    ] = "127.0.0.1",
    log: Annotated[Path | None, typer.Option(help="Append every delivery to this file, one JSON line each.")] = None,
    app_id: Annotated[str, typer.Option(help="Its app id.", rich_help_panel=_ACCOUNT)] = FakeSettings().app_id,
    app_secret: Annotated[
        str, typer.Option(help="Its secret; take none of a real account.", rich_help_panel=_ACCOUNT)
    ] = FakeSettings().app_secret,
    templates: Annotated[
        str,
        typer.Option(
            help='Template messages it may send, "ID: thing1=zone, time2=period; ID2: ...".', rich_help_panel=_ACCOUNT
        ),
    ] = f"geo-engine-restriction: {DEFAULT_FIELDS}",
    subscriptions: Annotated[
        str, typer.Option(help="Subscription templates, written the same way.", rich_help_panel=_ACCOUNT)
    ] = "",
    daily_limit: Annotated[
        int, typer.Option(min=0, help="Template messages a day, then 45009.", rich_help_panel=_ACCOUNT)
    ] = 100_000,
    minute_limit: Annotated[
        int,
        typer.Option(
            min=0, help="Calls of one sending interface a minute, then 45011; 0 = any number.", rich_help_panel=_ACCOUNT
        ),
    ] = 0,
    user_limit: Annotated[
        int,
        typer.Option(
            min=0, help="Messages to a person a minute, then 43117; 0 = any number.", rich_help_panel=_ACCOUNT
        ),
    ] = 0,
    open_door: Annotated[
        bool,
        typer.Option("--open/--closed", help="Whether every well-formed OpenID follows.", rich_help_panel=_ACCOUNT),
    ] = True,
    callback_url: Annotated[
        str | None, typer.Option(help="Where pushes are posted; none = nothing is pushed.", rich_help_panel=_PUSHES)
    ] = None,
    callback_token: Annotated[str, typer.Option(help="Token that signs them.", rich_help_panel=_PUSHES)] = "",
    callback_aes_key: Annotated[
        str, typer.Option(help="EncodingAESKey that seals them; none = plain mode.", rich_help_panel=_PUSHES)
    ] = "",
    callback_mode: Annotated[
        PushMode | None,
        typer.Option(help="How they are written; the default is safe with a key, else plain.", rich_help_panel=_PUSHES),
    ] = None,
    push_deadline: Annotated[
        float, typer.Option(min=0.1, help="Seconds the callback has to answer.", rich_help_panel=_PUSHES)
    ] = 5.0,
    push_tries: Annotated[
        int, typer.Option(min=1, max=10, help="Tries of a push in all.", rich_help_panel=_PUSHES)
    ] = 3,
    receipt_delay: Annotated[
        float, typer.Option(min=0.0, help="Seconds from a delivery to its receipt.", rich_help_panel=_PUSHES)
    ] = 0.2,
    receipt_copies: Annotated[
        int, typer.Option(min=0, max=100, help="How often each receipt is pushed.", rich_help_panel=_PUSHES)
    ] = 1,
    location_datum: Annotated[
        Datum, typer.Option(help="Datum of LOCATION events.", rich_help_panel=_PEOPLE)
    ] = Datum.WGS84,
    track: Annotated[
        Path | None,
        typer.Option(
            help="Let somebody report a position every 5 s along this track: CSV (time_s or time_ms, lon, lat; WGS-84) "
            "or a GeoJSON LineString.",
            rich_help_panel=_PEOPLE,
        ),
    ] = None,
    track_speed: Annotated[
        float, typer.Option(min=0.1, help="Metres per second, where the track has no times.", rich_help_panel=_PEOPLE)
    ] = 12.0,
    track_user: Annotated[
        str, typer.Option(help="Who that is: an OpenID, or a name that one is made of.", rich_help_panel=_PEOPLE)
    ] = "driver",
) -> None:
    """Run a fake WeChat server and show what each phone received; Ctrl-C ends it.

    Point the service at it with GEO_ENGINE_WECHAT_API_BASE, GEO_ENGINE_WECHAT_OAUTH_BASE and
    GEO_ENGINE_WECHAT_QR_BASE, all three its address. / shows the phones.

    A test makes things happen with POST /_fake/NAME and a JSON object:
    follow, unfollow, say, show, click, open, place, locate, scan, accept, refuse, revoke (what a person does),
    touch, phone, faults (what goes wrong), clock (virtual time), streams (positions along a track),
    callback (another address, key or mode), reset.

    It reads what came of it with GET /_fake/messages, /_fake/pushes, /_fake/codes, and asserts with
    /_fake/expect?openid=...&contains=...&times=1 (409 says what is not so).

    All of it is described in docs/fake-wechat.md.
    """
    # The handlers are set first: a stop that comes while the server starts is a clean stop too.
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = FakeSettings(
            app_id,
            app_secret,
            read_templates(templates),
            open_door,
            daily_limit,
            subscriptions=read_templates(subscriptions),
            receipt_delay_s=receipt_delay,
            receipt_copies=receipt_copies,
            push_deadline_s=push_deadline,
            push_tries=push_tries,
            location_datum=location_datum,
            minute_limit=minute_limit or None,
            user_limit=user_limit or None,
        )
        if callback_url:
            target = CallbackTarget(callback_url, callback_token, callback_aes_key, app_id, callback_mode)
            settings = replace(settings, callback=target)
        server = start_fake_wechat(port, host=host, settings=settings, log=log)
    except (OSError, ConfigurationError) as error:
        typer.echo(f"fake WeChat server at {host}:{port}: {error}", err=True)
        raise typer.Exit(1) from None
    with server:
        _greet(server, settings)
        _drive(server, track, track_speed, track_user)
        stop.wait()
    typer.echo(f"{len(server.state.deliveries())} messages delivered")


def _greet(server: FakeServer, settings: FakeSettings) -> None:
    typer.echo(f"fake WeChat server: {server.url}/ (messages as JSON: {server.url}/_fake/messages)")
    typer.echo(f"app id {settings.app_id}, app secret {settings.app_secret}")
    if settings.callback is not None:
        typer.echo(f"pushes to {settings.callback.url} in {settings.callback.pushes} mode")


def _drive(server: FakeServer, track: Path | None, speed_mps: float, person: str) -> None:
    """Let somebody move along a track; one that cannot be read ends the command."""
    if track is None:
        return
    try:
        found = FakeTrack.read(track.read_text(encoding="utf-8"), speed_mps=speed_mps)
        open_id = server.streams.start(person, found)
    except (OSError, UnicodeDecodeError, ConfigurationError) as error:
        typer.echo(f"{track}: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{open_id} moves along {track} for {found.lasts_ms / 1000:.0f} s")
