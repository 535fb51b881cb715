"""``geo-engine db``: create the store's schema, or say whether this program can use it."""

from __future__ import annotations

from typing import Annotated

import typer

from geo_engine.errors import ConfigurationError, StoreError
from geo_engine.store.open import open_store
from geo_engine.store.schema import SCHEMA_VERSION

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="The store: create its schema, check it.")

_Store = Annotated[
    str,
    typer.Option(
        "--store", envvar="GEO_ENGINE_STORE", metavar="URL", help="sqlite:///path/to/file.db, or a path, or memory:"
    ),
]


@app.command()
def upgrade(store: _Store) -> None:
    """Create the schema in an empty store, or bring an older one up to date; a newer one is refused."""
    _open_and_close(store, create=True)


@app.command()
def check(store: _Store) -> None:
    """Say whether the store is there, writable and of the right version; change nothing."""
    _open_and_close(store, create=False)


def _open_and_close(url: str, *, create: bool) -> None:
    try:
        store = open_store(url, create=create)
        try:
            store.ready()
        finally:
            store.close()
    except ConfigurationError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    except StoreError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    typer.echo(f"store {url}: schema version {SCHEMA_VERSION}, ready")
