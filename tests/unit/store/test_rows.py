"""The schema keeps every field of the values it stores."""

from __future__ import annotations

from dataclasses import fields

import pytest
from sqlalchemy import Table

from geo_engine.model import Alert, Vehicle, Visit
from geo_engine.store.lifecycle import OutboxRow
from geo_engine.store.rows import VEHICLE_DETAILS
from geo_engine.store.schema import decision, metadata, outbox, person, visit


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


def test_the_details_of_a_vehicle_name_every_field_without_a_column() -> None:
    own = {"u7", "consent_warnings"} | {column.name for column in person.c}
    assert {field.name for field in fields(Vehicle)} - own == {*VEHICLE_DETAILS, "permits"}
