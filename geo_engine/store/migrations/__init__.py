"""The revisions of the schema, run by Alembic inside the transaction of ``schema.upgrade``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from geo_engine.errors import StoreError

__all__ = ["FOLDER", "migrate", "name_of"]

FOLDER: Final = Path(__file__).resolve().parent


def name_of(version: int) -> str:
    """Return the revision of a version of the schema: ``0003`` for 3."""
    return f"{version:04d}"


def migrate(connection: Connection, target: int) -> None:
    """Run the revisions after the one the database says it has, up to a version.

    Args:
        connection: a writing transaction of the store; nothing is committed here.
        target: the version to reach.

    Raises:
        StoreError: Alembic is not installed.
    """
    try:
        from alembic import command  # noqa: PLC0415 (a second to import, and only an older store needs it)
        from alembic.config import Config  # noqa: PLC0415
    except ImportError as error:
        message = "found no Alembic to bring the schema up, expected one by: pip install 'geo-engine[service]'"
        raise StoreError(message) from error
    config = Config()
    # The value of an option is a template: a % in a folder's name would begin a word of it.
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, name_of(target))
