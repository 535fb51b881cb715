"""Values to database rows and back."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

import numpy as np
from sqlalchemy import RowMapping, Table

from geo_engine.alerting.message import Message, Outcome, SendResult
from geo_engine.alerting.quota import QuotaUse
from geo_engine.model import (
    Alert,
    AlertReason,
    BodyType,
    Energy,
    Language,
    Permit,
    PlateColour,
    TransitionKind,
    TransitionReason,
    Vehicle,
    VehicleClass,
    VehicleKind,
    Visit,
    ZoneKind,
)
from geo_engine.store.lifecycle import OutboxRow, OutboxState
from geo_engine.store.protocol import AttemptRecord, DecisionRecord, Person, TransitionRecord
from geo_engine.store.schema import attempt, decision, history, outbox, person, receipt, visit

__all__ = [
    "VEHICLE_DETAILS",
    "alert_of",
    "alert_values",
    "attempt_of",
    "decision_record",
    "message_of",
    "outbox_of",
    "outbox_values",
    "outcome_values",
    "person_of",
    "person_values",
    "transition_of",
    "transition_values",
    "use_values",
    "vehicle_of",
    "visit_of",
    "visit_values",
]


def alert_values(alert: Alert, decided_ms: int) -> dict[str, object]:
    """Return the columns of ``decision``."""
    values = _fields(alert)
    return {
        **values,
        "kind": alert.kind.value,
        "trigger": alert.trigger.value,
        "reason": str(alert.reason),
        "distance_m": _known(alert.distance_m),
        "eta_s": _known(alert.eta_s),
        "also_names": json.dumps(alert.also_names, ensure_ascii=False) if alert.also_names else "",
        "decided_ms": decided_ms,
    }


def alert_of(row: RowMapping) -> Alert:
    """Return the alert in a row that holds the columns of ``decision``."""
    values = _columns(row, decision, Alert)
    values["kind"] = ZoneKind(values["kind"])
    values["trigger"] = AlertReason(values["trigger"])
    values["also_names"] = tuple(json.loads(values["also_names"] or "[]"))
    for name in ("distance_m", "eta_s"):
        values[name] = math.nan if values[name] is None else values[name]
    return Alert(**values)


def visit_values(value: Visit) -> dict[str, object]:
    """Return the columns of ``visit``."""
    return _fields(value)


def visit_of(row: RowMapping) -> Visit:
    """Return the visit in a row."""
    return Visit(**_columns(row, visit, Visit))


def transition_values(value: TransitionRecord) -> dict[str, object]:
    """Return the columns of ``history``."""
    return {**_fields(value), "kind": value.kind.value, "reason": value.reason.value}


def transition_of(row: RowMapping) -> TransitionRecord:
    """Return the transition in a row that holds the columns of ``history``."""
    values = _columns(row, history, TransitionRecord)
    values["kind"], values["reason"] = TransitionKind(values["kind"]), TransitionReason(values["reason"])
    return TransitionRecord(**values)


def use_values(value: QuotaUse) -> dict[str, object]:
    """Return the columns of ``quota_use``."""
    return _fields(value)


def outbox_values(row: OutboxRow) -> dict[str, object]:
    """Return the columns of ``outbox``."""
    return {**_fields(row), "state": row.state.value, "ended": str(row.ended)}


def outbox_of(row: RowMapping) -> OutboxRow:
    """Return the outbox row in a row that holds the columns of ``outbox``."""
    values = _columns(row, outbox, OutboxRow)
    values["state"] = OutboxState(values["state"])
    return OutboxRow(**values)


def person_values(value: Person) -> dict[str, object]:
    """Return the columns of ``person``; consent has its own table."""
    vehicle = value.vehicle
    return {
        "u7": value.u7,
        "open_id": value.open_id,
        "kind": vehicle.kind.value if vehicle.kind else None,
        "size_class": vehicle.size_class.value if vehicle.size_class else None,
        "gross_weight_t": vehicle.gross_weight_t,
        "plate": vehicle.plate,
        "service": vehicle.service,
        "language": vehicle.language.value,
        "vehicle": _details_text(vehicle),
    }


def person_of(row: RowMapping, *, consent_warnings: bool) -> Person:
    """Return the person in a row that holds the columns of ``person``."""
    columns = person.c
    vehicle = vehicle_of({name: row[columns[name]] for name in _OF_VEHICLE}, consent_warnings=consent_warnings)
    return Person(u7=vehicle.u7, open_id=row[columns.open_id], vehicle=vehicle)


_OF_VEHICLE: Final = ("u7", "kind", "size_class", "gross_weight_t", "plate", "service", "language", "vehicle")


def vehicle_of(values: Mapping[str, Any], *, consent_warnings: bool) -> Vehicle:
    """Return the vehicle in the columns ``person`` and ``vehicle`` share."""
    kind, size_class = values["kind"], values["size_class"]
    return Vehicle(
        u7=values["u7"],
        kind=VehicleKind(kind) if kind else None,
        size_class=VehicleClass(size_class) if size_class else None,
        gross_weight_t=values["gross_weight_t"],
        plate=values["plate"],
        service=values["service"],
        consent_warnings=consent_warnings,
        language=Language(values["language"]),
        **_details(values["vehicle"]),
    )


_ENUMS: Final[dict[str, Callable[[str], StrEnum]]] = {
    "plate_colour": PlateColour,
    "energy": Energy,
    "body": BodyType,
}
VEHICLE_DETAILS: Final = (
    *("load_t", "axle_load_t", "axle_count", "length_m", "width_m", "height_m", "seats", "emission_stage", "goods"),
    *_ENUMS,
)
"""Fields of a vehicle that share the column ``vehicle``."""


def _details_text(vehicle: Vehicle) -> str | None:
    known = {name: value for name in VEHICLE_DETAILS if (value := getattr(vehicle, name)) is not None}
    if vehicle.permits:
        known["permits"] = [[permit.zone_id, permit.from_ms, permit.until_ms] for permit in vehicle.permits]
    return json.dumps(known, ensure_ascii=False) if known else None


def _details(text: str | None) -> dict[str, Any]:
    known: dict[str, Any] = json.loads(text) if text else {}
    found = {name: _ENUMS[name](value) if name in _ENUMS else value for name, value in known.items()}
    if "permits" in found:
        found["permits"] = tuple(Permit(*permit) for permit in found["permits"])
    return found


def attempt_of(row: RowMapping) -> AttemptRecord:
    """Return the attempt in a row that holds the columns of ``attempt`` and ``receipt``."""
    columns = attempt.c
    outcome = row[columns.outcome]
    return AttemptRecord(
        number=row[columns.number],
        started_ms=row[columns.started_ms],
        finished_ms=row[columns.finished_ms],
        outcome=Outcome(outcome) if outcome else None,
        errcode=row[columns.errcode],
        detail=row[columns.detail],
        msg_id=row[columns.msg_id],
        receipt=row[receipt.c.status],
        receipt_ms=row[receipt.c.at_ms],
    )


def message_of(row: RowMapping, waiting: OutboxRow) -> Message:
    """Return the message to send of a row that holds the columns of ``decision`` and ``person``."""
    return Message(
        outbox_id=waiting.outbox_id,
        alert=alert_of(row),
        open_id=row[person.c.open_id],
        plate=row[person.c.plate],
        language=Language(row[person.c.language]),
        client_msg_id=waiting.alert_id,
        attempts=waiting.attempts,
    )


def outcome_values(result: SendResult, now_ms: int) -> dict[str, object]:
    """Return the columns of ``attempt`` that say what came of it."""
    return {
        "finished_ms": now_ms,
        "outcome": result.outcome.value,
        "errcode": result.errcode,
        "detail": result.detail,
        "msg_id": result.msg_id,
    }


def decision_record(row: RowMapping) -> DecisionRecord:
    """Return the decision in a row that holds the columns of ``decision`` and ``outbox``."""
    state = row[outbox.c.state]
    return DecisionRecord(
        number=row[decision.c.decision_id],
        alert=alert_of(row),
        decided_ms=row[decision.c.decided_ms],
        state=OutboxState(state) if state else None,
        ended=row[outbox.c.ended] or "",
        attempts=row[outbox.c.attempts] or 0,
    )


def _fields(value: Alert | Visit | OutboxRow | QuotaUse | TransitionRecord) -> dict[str, object]:
    return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}


def _plain(value: object) -> object:
    # A scalar taken from a column would be stored by the driver as the bytes of its memory.
    return value.item() if isinstance(value, np.generic) else value


def _columns(row: RowMapping, table: Table, kind: type[Alert | Visit | OutboxRow | TransitionRecord]) -> dict[str, Any]:
    return {name: row[table.c[name]] for name in kind.__dataclass_fields__}


def _known(value: float) -> float | None:
    # A database has no NaN; "not known" is NULL there.
    return None if math.isnan(value) else value
