"""A small world with everything that is hard about it, and streams of pings drawn by hypothesis to move in it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

import numpy as np
import shapely
from hypothesis import strategies as st

from geo_engine import EngineConfig, PingBatch, Vehicle, ZoneSet
from geo_engine.alerting.policy import Policy
from geo_engine.model import Permit, RuleEffect, VehicleKind, Visit, ZoneKind
from geo_engine.testing import box_zone, noon_ms
from geo_engine.tracking.approach_policy import ApproachPolicy, Tier
from geo_engine.tracking.learning import Learning
from geo_engine.tracking.screening import JumpLimits
from geo_engine.zones.rule import AppliesTo, TailParity
from geo_engine.zones.schedule import Schedule
from geo_engine.zones.zone import Zone

__all__ = ["CONFIGS", "DRIVER", "USERS", "VEHICLES", "WORLD", "Act", "batches_of", "slow_drives", "streams", "visits"]

TRUCKS = AppliesTo(kinds=frozenset({VehicleKind.GOODS}))
HEAVY = AppliesTo(kinds=frozenset({VehicleKind.GOODS}), gross_weight_over_t=12.0)
STRANGERS = AppliesTo(plate_prefixes_except=("鄂A",))

DRIVER = Vehicle(u7=0, kind=VehicleKind.GOODS, gross_weight_t=20.0)
VEHICLES = (
    Vehicle(u7=1, kind=VehicleKind.CAR),
    Vehicle(u7=4095),
    Vehicle(
        u7=4096,
        kind=VehicleKind.GOODS,
        gross_weight_t=3.0,
        plate="鄂A12345",
        permits=(Permit("soon", noon_ms + 60_000, noon_ms + 180_000), Permit("strip", 0, noon_ms + 120_000)),
    ),
    Vehicle(u7=7, kind=VehicleKind.GOODS, gross_weight_t=20.0, consent_warnings=False),
)
USERS = (0, 1, 7, 4095, 4096, 9_999_999)


def _at(hours: str) -> Schedule:
    return Schedule.parse(hours, "Asia/Shanghai")


def _zones() -> list[Zone]:
    holed = shapely.Polygon(
        shapely.box(114.300, 30.595, 114.306, 30.605).exterior.coords,
        [[(114.302, 30.599), (114.304, 30.599), (114.304, 30.601), (114.302, 30.601)]],
    )
    crowd = [
        # Nine borders in one cell: more than a cell numbers the sets of.
        Zone(
            f"crowd{n}",
            ZoneKind.CONSTRUCTION,
            f"crowd {n}",
            shapely.Point(114.2985 + n * 2e-5, 30.6).buffer(0.0004, 4),
            # One of them ends: what is left of such a cell is no number of the index.
            valid_to_ms=noon_ms + 200_000 if n == 4 else None,
        )
        for n in range(9)
    ]
    return [
        Zone("holed", ZoneKind.TRUCK_RESTRICTION, "holed", holed, applies_to=TRUCKS),
        box_zone("touching", west=114.306, east=114.308, applies_to=HEAVY),
        box_zone("strip", west=114.2970, east=114.2971, applies_to=STRANGERS),
        box_zone("noon", west=114.295, east=114.299, schedule=_at("12:02-12:05,12:07-12:30"), applies_to=TRUCKS),
        box_zone("soon", west=114.303, east=114.310, schedule=_at("12:01-13:00")),
        box_zone("past", west=114.290, east=114.320, schedule=_at("10:00-12:03"), kind=ZoneKind.CONGESTION),
        box_zone("place", west=114.296, east=114.304, kind=ZoneKind.VENUE),
        Zone("shop", ZoneKind.VENUE, "shop", shapely.Point(114.301, 30.6005)),
        Zone("line", ZoneKind.TRUCK_RESTRICTION, "line", shapely.box(179.995, -0.01, 180.005, 0.01)),
        Zone("pole", ZoneKind.CONSTRUCTION, "pole", shapely.box(-180.0, 89.9, 180.0, 90.0)),
        Zone(
            "parts",
            ZoneKind.CONSTRUCTION,
            "parts",
            shapely.MultiPolygon(
                [shapely.box(114.294, 30.602, 114.2965, 30.604), shapely.box(114.300, 30.606, 114.302, 30.608)]
            ),
            valid_from_ms=noon_ms + 240_000,
        ),
        # Rules that meet: an exception over half of what it opens, for a while, and plates by the date.
        Zone(
            "bridge",
            ZoneKind.TRUCK_RESTRICTION,
            "bridge",
            shapely.box(114.2965, 30.599, 114.305, 30.603),
            applies_to=STRANGERS,
            schedule=_at("12:00-12:06"),
            effect=RuleEffect.ALLOWED,
            road=True,
        ),
        box_zone("plates", west=114.302, east=114.304, applies_to=AppliesTo(tail_parity=TailParity.AS_DATE)),
        replace(box_zone("brief", west=114.3005, east=114.3065, applies_to=TRUCKS), valid_to_ms=noon_ms + 95_000),
        replace(box_zone("hall", west=114.2972, east=114.309, kind=ZoneKind.VENUE), valid_to_ms=noon_ms + 330_000),
        *crowd,
    ]


WORLD = ZoneSet.of(_zones())

CONFIGS = {
    "usual": EngineConfig(),
    "exact": EngineConfig.exact(Policy(stale_after_s=None)),
    "replay": EngineConfig(max_lag_s=None, policy=Policy(stale_after_s=None, cooldown_s=120.0)),
    "short": EngineConfig(
        approach=ApproachPolicy(unlearnt=(Tier(0.0, 600.0),), min_speed_mps=0.0),
        learning=Learning(every_s=60.0),
        jumps=JumpLimits(max_speed_mps=40.0, slack_m=0.0, believe_after=1),
        max_gap_s=20.0,
        lost_after_s=120.0,
        max_lag_s=60.0,
        venue_within_m=50.0,
        policy=Policy(daily_cap=2, cooldown_s=30.0),
    ),
    "brief": EngineConfig(
        jumps=JumpLimits(believe_after=1),
        max_gap_s=20.0,
        lost_after_s=120.0,
        max_lag_s=None,
        policy=Policy(stale_after_s=None, daily_cap=3, cooldown_s=0.0),
    ),
    "open": EngineConfig(
        jumps=None, max_accuracy_m=None, max_gap_s=None, lost_after_s=300.0, policy=Policy(stale_after_s=10.0)
    ),
    "learning": EngineConfig(
        approach=ApproachPolicy(learnt=(Tier(0.0, 60.0),)),
        learning=Learning(every_s=30.0, grown_by=0.0),
        max_lag_s=None,
        policy=Policy(stale_after_s=None, cooldown_s=0.0),
    ),
    "believing": EngineConfig(jumps=JumpLimits(believe_after=0), approach=None, lost_after_s=None, max_lag_s=900.0),
}


@dataclass(frozen=True, slots=True)
class Act:
    """One ping to be: who, how old when it is judged, where from the user's last place, what the device says."""

    user: int
    age_ms: int
    east_m: float
    north_m: float
    place: tuple[float, float] | None = None
    speed_mps: float = np.nan
    heading_deg: float = np.nan
    accuracy_m: float = np.nan


@dataclass(frozen=True, slots=True)
class _Tracks:
    """Where each user was when the last ping of his was made."""

    lon: dict[int, float] = field(default_factory=dict)
    lat: dict[int, float] = field(default_factory=dict)

    def move(self, act: Act) -> tuple[float, float]:
        lon, lat = self.lon.get(act.user, 114.2985), self.lat.get(act.user, 30.6)
        if act.place is not None:
            lon, lat = act.place
        else:
            lat = min(max(lat + act.north_m / 111_000.0, -90.0), 90.0)
            lon = (lon + act.east_m / 95_000.0 + 180.0) % 360.0 - 180.0
        self.lon[act.user], self.lat[act.user] = lon, lat
        return lon, lat


# The corners and edges of the zones are drawn as often as free places: borders are where matching fails.
_PLACES = (
    (114.300, 30.600), (114.302, 30.599), (114.303, 30.600), (114.306, 30.600), (114.308, 30.61), (114.2970, 30.6),
    (114.2986, 30.6), (114.2985, 30.6004), (114.301, 30.6005), (114.295, 30.59), (114.299, 30.6), (114.4, 30.6),
    (180.0, 0.0), (-180.0, 0.0), (179.996, 0.0), (-179.996, 0.005), (0.0, 90.0), (77.0, 89.95), (0.0, -90.0),
)  # fmt: skip
_STEPS = st.one_of(st.sampled_from([0.0, 10.0, 100.0, -100.0]), st.floats(-400.0, 400.0))
_AGES = st.sampled_from([0, 0, 0, 1, 400, 5_000, 5_000, 30_000, 59_999, 60_001, 200_000, 599_000, 601_000, -90_000])
_UNKNOWN = st.just(float("nan"))
_ACTS = st.builds(
    Act,
    user=st.sampled_from(USERS),
    age_ms=_AGES,
    east_m=_STEPS,
    north_m=_STEPS,
    place=st.one_of(st.none(), st.none(), st.none(), st.sampled_from(_PLACES)),
    speed_mps=st.one_of(_UNKNOWN, _UNKNOWN, st.sampled_from([0.0, 2.0, 75.0, 1000.0, -1.0]), st.floats(0.0, 80.0)),
    heading_deg=st.one_of(_UNKNOWN, st.sampled_from([0.0, 90.0, 271.5, 360.0]), st.floats(0.0, 360.0)),
    accuracy_m=st.one_of(_UNKNOWN, _UNKNOWN, st.sampled_from([5.0, 300.0])),
)
_PAUSES = st.sampled_from([0, 1, 5_000, 5_000, 30_000, 61_000, 100_000, 300_000, 900_000, 901_000])

streams = st.lists(st.tuples(_PAUSES, st.lists(_ACTS, max_size=8)), min_size=1, max_size=6)
"""Batches: how long after the one before, and its acts."""

_BEGINNINGS = (
    (114.2955, 30.6), (114.2968, 30.6), (114.2984, 30.5996), (114.2999, 30.601), (114.3015, 30.6), (114.3055, 30.6),
    (179.9975, 0.0), (-179.9975, 0.005), (77.0, 89.9),
)  # fmt: skip


@st.composite
def _slow_drive(draw: st.DrawFn) -> list[tuple[int, list[Act]]]:
    """Draw two drivers who go straight on in small steps, now and then not at all, seldom as their device says."""
    users = draw(st.lists(st.sampled_from(USERS), min_size=2, max_size=2, unique=True))
    steps = draw(st.lists(st.floats(-30.0, 30.0), min_size=4, max_size=4))
    accuracy_m = draw(st.sampled_from([np.nan, np.nan, 5.0, 50.0, 150.0]))
    begin = draw(st.sampled_from(_BEGINNINGS))
    pause_ms = draw(st.sampled_from([1_000, 5_000, 5_000, 15_000]))
    # A generator of our own: hypothesis lets `gauss` be any number, and these drives are to be slow.
    random = Random(draw(st.integers(0, 2**32)))
    noise_m = draw(st.sampled_from([0.0, 0.0, 10.0]))
    stream = [(0, [Act(user, 0, 0.0, 0.0, place=begin, accuracy_m=accuracy_m) for user in users])]
    for _ in range(draw(st.integers(10, 60))):
        halts, fast = random.random() < 0.2, random.random() < 0.03
        pace = 0.0 if halts else 10.0 if fast else 1.0
        acts = [
            Act(
                user,
                0,
                steps[2 * number] * pace + random.gauss(0.0, noise_m),
                steps[2 * number + 1] * pace * 0.2 + random.gauss(0.0, noise_m),
                accuracy_m=accuracy_m,
                speed_mps=random.choice([np.nan] * 20 + [1.0, 3.0]),
            )
            for number, user in enumerate(users)
        ]
        stream.append((pause_ms, acts))
    return stream


slow_drives = _slow_drive()
"""Batches as ``streams`` draws them, of drivers who are slow or vaguely located, over zones some metres deep."""

visits = st.lists(
    st.builds(
        Visit,
        u7=st.sampled_from(USERS),
        zone_id=st.sampled_from([zone.zone_id for zone in WORLD.zones]),
        visit_ms=st.just(noon_ms - 60_000),
        last_ms=st.sampled_from([noon_ms - 1_200_000, noon_ms - 30_000]),
        open=st.just(value=True),
        inside=st.booleans(),
        decided=st.booleans(),
        sent_ms=st.sampled_from([None, noon_ms - 60_000]),
    ),
    max_size=5,
    unique_by=lambda visit: (visit.u7, visit.zone_id),
)
"""What a restart may find in the store."""


def batches_of(stream: list[tuple[int, list[Act]]]) -> list[tuple[PingBatch, int]]:
    """Turn acts into batches, each with its moment of judging."""
    tracks, now_ms, batches = _Tracks(), noon_ms, []
    for pause_ms, acts in stream:
        now_ms += pause_ms
        places = [tracks.move(act) for act in acts]
        batch = PingBatch.from_columns(
            [act.user for act in acts],
            [now_ms - act.age_ms for act in acts],
            [lon for lon, _ in places],
            [lat for _, lat in places],
            speed_mps=[act.speed_mps for act in acts],
            heading_deg=[act.heading_deg for act in acts],
            accuracy_m=[act.accuracy_m for act in acts],
        )
        batches.append((batch, now_ms))
    return batches
