"""The schema keeps every field of the values it stores."""

from __future__ import annotations

from dataclasses import fields

import pytest
from sqlalchemy import Table

from geo_engine.model import Alert, Visit
from geo_engine.store.lifecycle import OutboxRow
from geo_engine.store.schema import decision, metadata, outbox, visit


@pytest.mark.parametrize(
    ("table", "kind", "more"),
    [
        (decision, Alert, {"decision_id", "decided_ms"}),
        (visit, Visit, set()),
        (outbox, OutboxRow, set()),
    ],
)
def test_a_table_has_a_column_for_every_field(table: Table, kind: type, more: set[str]) -> None:
    assert {column.name for column in table.c} == {field.name for field in fields(kind)} | more


def test_every_table_has_a_primary_key() -> None:
    assert [table.name for table in metadata.tables.values() if not table.primary_key.columns] == []
