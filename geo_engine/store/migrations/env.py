"""What Alembic runs around the revisions: they use the caller's connection, inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from alembic import context
from alembic.runtime.migration import MigrationContext, MigrationInfo

from geo_engine.store.schema import schema_version


def _note(ctx: MigrationContext, step: MigrationInfo, heads: Collection[Any], run_args: Mapping[str, Any]) -> None:
    """Keep the number that every release looks at, also one older than Alembic here."""
    del step, run_args
    assert ctx.connection is not None  # noqa: S101 - only without a database, which nothing here asks for
    ctx.connection.execute(schema_version.update().values(version=max(int(head) for head in heads)))


context.configure(connection=context.config.attributes["connection"], on_version_apply=_note)
context.run_migrations()
