"""The words of the engine as types: pings in columns, vehicles, transitions, alerts.

Everything here is a value: frozen, without behaviour that touches the outside. Times are epoch
milliseconds UTC (``time_ms``), positions are WGS-84 degrees in the order lon, lat; ``NaN`` is "unknown".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from geo_engine.kinds import (
    AlertReason,
    Applicability,
    BodyType,
    Energy,
    Language,
    PlateColour,
    RejectReason,
    RoadLevel,
    RuleEffect,
    Severity,
    SuppressReason,
    TransitionKind,
    TransitionReason,
    VehicleClass,
    VehicleKind,
    ZoneKind,
)

__all__ = [
    "EARLIEST_TIME_MS",
    "LATEST_TIME_MS",
    "U7_COUNT",
    "Alert",
    "AlertReason",
    "Applicability",
    "BodyType",
    "BoolColumn",
    "CodeColumn",
    "Energy",
    "FloatColumn",
    "IntColumn",
    "Language",
    "Mute",
    "Permit",
    "PingBatch",
    "PlateColour",
    "RejectReason",
    "Rejects",
    "RoadLevel",
    "RuleEffect",
    "Severity",
    "SuppressReason",
    "TransitionKind",
    "TransitionReason",
    "Transitions",
    "Vehicle",
    "VehicleClass",
    "VehicleKind",
    "Visit",
    "ZoneKind",
]

FloatColumn = npt.NDArray[np.float64]
IntColumn = npt.NDArray[np.int64]
BoolColumn = npt.NDArray[np.bool_]
CodeColumn = npt.NDArray[np.int8]
"""Members of an enum as small numbers: the position of each in the enum."""

U7_COUNT: Final = 10_000_000
"""A u7 is a whole number in ``0 .. U7_COUNT - 1``; it is the row number of the user's state."""

EARLIEST_TIME_MS: Final = 946_684_800_000
"""2000-01-01T00:00:00Z. An older ping comes from a device whose clock was never set."""

LATEST_TIME_MS: Final = 4_102_444_800_000
"""2100-01-01T00:00:00Z, exclusive."""

_REJECT_REASONS: Final = tuple(RejectReason)
_TRANSITION_KINDS: Final = tuple(TransitionKind)
_TRANSITION_REASONS: Final = tuple(TransitionReason)


def _no_values(count: int) -> FloatColumn:
    return np.full(count, np.nan)


@dataclass(frozen=True, slots=True)
class PingBatch:
    """Pings in columns of equal length, WGS-84; order and duplicates are free.

    Attributes:
        u7: int64, the user's number, ``0 .. 9_999_999``.
        time_ms: int64, epoch milliseconds UTC at which the position was measured.
        lon: float64 degrees east, ``-180 .. 180``.
        lat: float64 degrees north, ``-90 .. 90``.
        speed_mps: float64 metres per second as the device gave it, NaN = unknown.
        heading_deg: float64 degrees clockwise from true north, NaN = unknown.
        accuracy_m: float64 radius of 68 % confidence, NaN = unknown.
    """

    u7: IntColumn
    time_ms: IntColumn
    lon: FloatColumn
    lat: FloatColumn
    speed_mps: FloatColumn
    heading_deg: FloatColumn
    accuracy_m: FloatColumn

    def __len__(self) -> int:
        """Return the number of pings."""
        return len(self.u7)

    @classmethod
    def from_columns(  # noqa: PLR0913 - one argument per column
        cls,
        u7: npt.ArrayLike,
        time_ms: npt.ArrayLike,
        lon: npt.ArrayLike,
        lat: npt.ArrayLike,
        *,
        speed_mps: npt.ArrayLike | None = None,
        heading_deg: npt.ArrayLike | None = None,
        accuracy_m: npt.ArrayLike | None = None,
    ) -> PingBatch:
        """Build a batch from anything NumPy can read as columns.

        Raises:
            ValueError: the columns differ in length.
        """
        users = np.ascontiguousarray(u7, dtype=np.int64)
        count = len(users)

        def optional(values: npt.ArrayLike | None) -> FloatColumn:
            if values is None:
                return _no_values(count)
            return np.ascontiguousarray(values, dtype=np.float64)

        batch = cls(
            u7=users,
            time_ms=np.ascontiguousarray(time_ms, dtype=np.int64),
            lon=np.ascontiguousarray(lon, dtype=np.float64),
            lat=np.ascontiguousarray(lat, dtype=np.float64),
            speed_mps=optional(speed_mps),
            heading_deg=optional(heading_deg),
            accuracy_m=optional(accuracy_m),
        )
        lengths = {len(getattr(batch, name)) for name in cls.__dataclass_fields__}
        if lengths - {count}:
            message = f"columns of a ping batch must have one length, got {sorted(lengths)}"
            raise ValueError(message)
        return batch

    @classmethod
    def from_arrow(cls, table: Any) -> PingBatch:  # noqa: ANN401 - pyarrow is not a dependency of the core
        """Build a batch from an Arrow table or record batch with the columns of a ping file, WGS-84.

        Columns: ``u7``, ``time`` (epoch ms, or an Arrow timestamp), ``lon``, ``lat`` and, if they are there,
        ``speed_mps``, ``heading_deg``, ``accuracy_m``; a null in one of these is "unknown". Cost: a copy per column.

        Raises:
            KeyError: a required column is missing.
            ValueError: a required column holds nulls or what is not a number.
        """
        names = set(table.schema.names)

        def numbers(name: str, kind: str) -> npt.NDArray[Any]:
            column = table.column(name)
            if kind == "int64" and str(column.type).startswith("timestamp"):
                column = column.cast("timestamp[ms]", safe=False)
            if kind == "int64" and column.null_count:
                message = f"column {name}: found {column.null_count} nulls, expected a value in every row"
                raise ValueError(message)
            return np.asarray(column.cast(kind).to_numpy())

        optional = ("speed_mps", "heading_deg", "accuracy_m")
        return cls.from_columns(
            numbers("u7", "int64"),
            numbers("time", "int64"),
            numbers("lon", "float64"),
            numbers("lat", "float64"),
            **{name: numbers(name, "float64") for name in optional if name in names},
        )

    @classmethod
    def empty(cls) -> PingBatch:
        """Return a batch without pings."""
        return cls.from_columns([], [], [], [])

    @classmethod
    def concat(cls, batches: Sequence[PingBatch]) -> PingBatch:
        """Join batches in the given order. Cost: one copy of every column."""
        if not batches:
            return cls.empty()
        names = cls.__dataclass_fields__
        return cls(**{name: np.concatenate([getattr(batch, name) for batch in batches]) for name in names})

    def take(self, rows: npt.NDArray[Any] | slice) -> PingBatch:
        """Return the pings at ``rows`` (integer positions, a mask or a slice), in that order."""
        return PingBatch(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})


@dataclass(frozen=True, slots=True)
class Rejects:
    """Pings that were not used, in columns.

    Attributes:
        row: int64, row in the caller's batch.
        reason: int8, position in ``RejectReason``.
    """

    row: IntColumn
    reason: CodeColumn

    def __len__(self) -> int:
        """Return the number of rejected pings."""
        return len(self.row)

    def reasons(self) -> tuple[RejectReason, ...]:
        """Return the reason of every row. Cost: one object per reject."""
        return tuple(_REJECT_REASONS[code] for code in self.reason.tolist())

    def counts(self) -> dict[str, int]:
        """Return the number of rejects per reason, in the order of the reasons."""
        found = np.bincount(self.reason, minlength=len(_REJECT_REASONS)).tolist()
        return {reason.value: count for reason, count in zip(_REJECT_REASONS, found, strict=True) if count}


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to be in one zone for a time, given to one vehicle (通行证).

    Attributes:
        zone_id: the zone.
        from_ms: first moment, epoch milliseconds UTC.
        until_ms: end, exclusive.
    """

    zone_id: str
    from_ms: int
    until_ms: int

    def allows(self, zone_id: str, time_ms: int) -> bool:
        """Say whether it holds for a zone at a moment."""
        return self.zone_id == zone_id and self.from_ms <= time_ms < self.until_ms


@dataclass(frozen=True, slots=True)
class Vehicle:
    """What is known about the vehicle a user drives. ``None`` = unknown, which a rule reads as "may apply".

    The set of fields is that of the truck routing of the Chinese map services.

    Attributes:
        u7: the user.
        kind: what the vehicle is.
        size_class: national size class of a goods vehicle.
        gross_weight_t: permitted gross weight in tonnes.
        plate: licence plate; its first two characters tell the origin (``鄂A`` = Wuhan).
        service: service the vehicle works for, e.g. ``emergency``; None = none a rule could exempt.
        consent_warnings: whether the user agreed to be located and warned.
        language: the language of the warnings.
        load_t: rated load in tonnes.
        axle_load_t: load of the heaviest axle in tonnes.
        axle_count: number of axles.
        length_m: length in metres, load included; so width and height.
        width_m: width.
        height_m: height.
        seats: number of seats.
        plate_colour: colour of the plate.
        energy: what drives it.
        emission_stage: national emission stage, 1 .. 6 (国Ⅰ .. 国Ⅵ; Euro 1 .. 6).
        body: body of a goods vehicle.
        goods: what it carries, e.g. ``hazmat``.
        permits: leave to be in certain zones; empty = none.
    """

    u7: int
    kind: VehicleKind | None = None
    size_class: VehicleClass | None = None
    gross_weight_t: float | None = None
    plate: str | None = None
    service: str | None = None
    consent_warnings: bool = True
    language: Language = Language.ZH
    load_t: float | None = None
    axle_load_t: float | None = None
    axle_count: int | None = None
    length_m: float | None = None
    width_m: float | None = None
    height_m: float | None = None
    seats: int | None = None
    plate_colour: PlateColour | None = None
    energy: Energy | None = None
    emission_stage: int | None = None
    body: BodyType | None = None
    goods: str | None = None
    permits: tuple[Permit, ...] = ()


@dataclass(frozen=True, slots=True)
class Transitions:
    """What happened between users and zones, in columns, ordered by time, user, kind, zone.

    Attributes:
        u7: int64.
        time_ms: int64, event time of the ping that showed it (or the deadline, for ``lost``).
        zone: int64, index into ``ZoneSet.zones`` of the revision.
        kind: int8, position in ``TransitionKind``.
        reason: int8, position in ``TransitionReason``.
        lon: float64, position of the user at that time.
        lat: float64.
        distance_m: float64, metres to the border for ``approach``, else NaN.
        eta_s: float64, seconds to the border for ``approach``, else NaN.
    """

    u7: IntColumn
    time_ms: IntColumn
    zone: IntColumn
    kind: CodeColumn
    reason: CodeColumn
    lon: FloatColumn
    lat: FloatColumn
    distance_m: FloatColumn
    eta_s: FloatColumn

    def __len__(self) -> int:
        """Return the number of transitions."""
        return len(self.u7)

    def kinds(self) -> tuple[TransitionKind, ...]:
        """Return the kind of every row. Cost: one object per transition."""
        return tuple(_TRANSITION_KINDS[code] for code in self.kind.tolist())

    def reasons(self) -> tuple[TransitionReason, ...]:
        """Return the reason of every row. Cost: one object per transition."""
        return tuple(_TRANSITION_REASONS[code] for code in self.reason.tolist())

    def counts(self) -> dict[tuple[TransitionKind, TransitionReason], int]:
        """Return the number of transitions per kind and reason, in their order; absent ones are not listed."""
        width = len(_TRANSITION_REASONS)
        pairs = self.kind.astype(np.int64) * width + self.reason
        found = np.bincount(pairs, minlength=len(_TRANSITION_KINDS) * width).tolist()
        return {
            (_TRANSITION_KINDS[code // width], _TRANSITION_REASONS[code % width]): count
            for code, count in enumerate(found)
            if count
        }


@dataclass(frozen=True, slots=True)
class Alert:
    """A decision about a warning: sent or suppressed, and why. Frozen once made.

    Attributes:
        alert_id: 32 hex digits, the same for the same (user, zone, visit): the dedupe key.
        u7: the user.
        time_ms: event time of the ping that made it due.
        zone_id: id of the zone as staff wrote it.
        zone_name: the zone's name as the driver reads it.
        kind: kind of the zone.
        visit_ms: event time at which the visit began: the first moment at which a warning was due.
        send: True = goes to the outbox, False = suppressed.
        reason: an ``AlertReason`` when sent, a ``SuppressReason`` when not.
        trigger: what made it due, also when it is suppressed.
        lon: position of the user, WGS-84 degrees.
        lat: position of the user, WGS-84 degrees.
        distance_m: metres to the border, 0 when inside.
        bearing_deg: degrees clockwise from north towards the border, None when inside.
        compass: 8-wind word of the bearing (``NE``), empty when inside.
        eta_s: seconds to the border, 0 when inside.
        may_apply: a field of the vehicle is unknown, so the rule may or may not concern it.
        text: the warning in the user's language.
        revision: revision of the zone set that was in force.
        expires_at_ms: after this moment the warning is pointless and is not sent.
        advice: what staff advise the driver to do, may be empty.
        why: the rule in words (whom it concerns, when) and how it is known that it concerns the user here.
        until_ms: when the rule ends or pauses, asked for what is sent only; None = not before 2100, or not asked.
        told_by: ``alert_id`` of the message that tells of this one too, empty when none does.
        also: how many further zones the message tells of.
        also_names: their names as the driver reads them, the gravest first.
        opens_ms: when the rule begins, if that is before the user arrives, asked for what is sent only; None = it is in
            force, or not asked.
    """

    alert_id: str
    u7: int
    time_ms: int
    zone_id: str
    zone_name: str
    kind: ZoneKind
    visit_ms: int
    send: bool
    reason: str
    trigger: AlertReason
    lon: float
    lat: float
    distance_m: float
    bearing_deg: float | None
    compass: str
    eta_s: float
    may_apply: bool
    text: str
    revision: int
    expires_at_ms: int
    advice: str = field(default="")
    why: str = ""
    until_ms: int | None = None
    told_by: str = ""
    also: int = 0
    also_names: tuple[str, ...] = ()
    opens_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Mute:
    """A user who does not want to hear of a zone.

    Attributes:
        u7: the user.
        zone_id: the zone as staff named it.
        until_ms: end, exclusive, by the event time of what would be told; None = until they take it back.
    """

    u7: int
    zone_id: str
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """The engine's memory of one user at one zone, as the store keeps it for a restart.

    Only a visit about which a warning was due is remembered; where nobody is to be warned there is nothing to repeat.

    Attributes:
        u7: the user.
        zone_id: the zone.
        visit_ms: event time at which the visit began: the first moment at which a warning was due.
        last_ms: event time at which it was last seen.
        open: the visit goes on (approaching or inside).
        inside: the user is inside.
        decided: a warning for this visit was decided (sent or suppressed), so none follows.
        sent_ms: event time of the last warning sent for this user and zone, None = never.
    """

    u7: int
    zone_id: str
    visit_ms: int
    last_ms: int
    open: bool
    inside: bool
    decided: bool
    sent_ms: int | None = None
