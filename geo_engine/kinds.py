"""The closed lists of words: kinds of zones and vehicles, reasons, transitions. ``model`` hands them on."""

from __future__ import annotations

from enum import IntEnum, StrEnum

__all__ = [
    "AlertReason",
    "Applicability",
    "BodyType",
    "Energy",
    "Language",
    "PlateColour",
    "RejectReason",
    "RoadLevel",
    "RuleEffect",
    "Severity",
    "SuppressReason",
    "TransitionKind",
    "TransitionReason",
    "VehicleClass",
    "VehicleKind",
    "ZoneKind",
]


class Language(StrEnum):
    """The language a person is addressed in."""

    ZH = "zh"
    EN = "en"


class ZoneKind(StrEnum):
    """What a zone is about."""

    TRUCK_RESTRICTION = "truck_restriction"
    CONGESTION = "congestion"
    CONSTRUCTION = "construction"
    VENUE = "venue"


class Severity(StrEnum):
    """How much a zone matters to the person it concerns."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class RuleEffect(StrEnum):
    """What the rule of a zone does to a vehicle it applies to, and to the rules it beats at the same place."""

    CLOSED = "closed"
    """The zone is closed to the vehicle; rules it beats go on beside it."""
    ALLOWED = "allowed"
    """An exception: where and when it applies, the closures it beats do not."""
    DECIDES = "decides"
    """Closed to whom it applies; the closures it beats do not count here, whether it applies or not."""


class RoadLevel(StrEnum):
    """The one of several roads above one another a rule is about. A position cannot tell them apart."""

    ELEVATED = "elevated"
    GROUND = "ground"
    TUNNEL = "tunnel"


class VehicleKind(StrEnum):
    """What a vehicle is (GA 24.4 families as the notices of Chinese cities use them)."""

    CAR = "car"
    COACH = "coach"
    GOODS = "goods"
    TRACTOR = "tractor"
    TRAILER = "trailer"
    SPECIAL_WORK = "special_work"
    WHEELED_MACHINE = "wheeled_machine"
    LOW_SPEED = "low_speed"
    HAZMAT = "hazmat"
    FARM_TRACTOR = "farm_tractor"


class VehicleClass(StrEnum):
    """National size class of a goods vehicle (GA classes micro, light, medium, heavy)."""

    MICRO = "micro"
    LIGHT = "light"
    MEDIUM = "medium"
    HEAVY = "heavy"


class PlateColour(StrEnum):
    """Colour of a Chinese licence plate (GA 36); new-energy cars have green, new-energy trucks yellow-green plates."""

    BLUE = "blue"
    YELLOW = "yellow"
    BLACK = "black"
    WHITE = "white"
    GREEN = "green"
    YELLOW_GREEN = "yellow_green"


class Energy(StrEnum):
    """What drives a vehicle. Chinese notices call the last three "new energy"."""

    PETROL = "petrol"
    DIESEL = "diesel"
    GAS = "gas"
    HYBRID = "hybrid"
    PLUG_IN_HYBRID = "plug_in_hybrid"
    ELECTRIC = "electric"
    HYDROGEN = "hydrogen"


class BodyType(StrEnum):
    """Body of a goods vehicle, as notices tell them apart."""

    VAN = "van"
    FLATBED = "flatbed"
    TANK = "tank"
    TIPPER = "tipper"
    STAKE = "stake"
    REFRIGERATED = "refrigerated"
    CONTAINER = "container"
    OTHER = "other"


class Applicability(IntEnum):
    """Whether a rule concerns a vehicle. ``MAYBE``: a field the rule asks for is unknown."""

    NO = 0
    MAYBE = 1
    YES = 2


class TransitionKind(StrEnum):
    """What happened between a user and a zone. Listed in the order of reporting inside one ping."""

    EXIT = "exit"
    CROSS = "cross"
    ENTER = "enter"
    APPROACH = "approach"
    DWELL = "dwell"
    """Inside for as long as the zone asks (``dwell_s``); like an approach told of where a warning is due."""


class TransitionReason(StrEnum):
    """Why a transition was reported when it was not simply a movement."""

    MOVED = "moved"
    LOST = "lost"
    ZONE_CHANGED = "zone_changed"
    """The zone was edited, published or withdrawn, or its validity ended, under a user who did not move."""
    ERASED = "erased"
    """The user asked to be forgotten."""
    LATE = "late"
    """A ping that came late showed it afterwards: written into the history, never warned about."""


class RejectReason(StrEnum):
    """Why a ping was not used. Each reject is counted under its reason."""

    MALFORMED = "malformed"
    U7_OUT_OF_RANGE = "u7_out_of_range"
    LON_OUT_OF_RANGE = "lon_out_of_range"
    LAT_OUT_OF_RANGE = "lat_out_of_range"
    NOT_FINITE = "not_finite"
    TIME_OUT_OF_RANGE = "time_out_of_range"
    FUTURE = "future"
    DUPLICATE = "duplicate"
    LATE = "late"
    SPEED_JUMP = "speed_jump"
    INACCURATE = "inaccurate"
    NO_CONSENT = "no_consent"


class AlertReason(StrEnum):
    """What made a warning due."""

    APPROACH = "approach"
    ENTER = "enter"
    WINDOW_OPENED = "window_opened"
    VEHICLE_CHANGED = "vehicle_changed"
    ZONE_CHANGED = "zone_changed"
    """The zone was published or edited around a user who did not move."""
    DWELL = "dwell"
    """The user has been inside for as long as the zone asks."""


class SuppressReason(StrEnum):
    """Why a warning that was due is not sent. Each is counted."""

    NO_CONSENT = "no_consent"
    PULL_ONLY = "pull_only"
    COOLDOWN = "cooldown"
    CAP = "cap"
    STALE_PING = "stale_ping"
    """The ping is too old, or its user past the border for long; one that is in time may still warn."""
    MUTED = "muted"
    """The person does not want to hear of this zone."""
    QUIET_HOURS = "quiet_hours"
    DIGESTED = "digested"
    """It is told by the message about a graver zone of the same moment."""
    QUOTA = "quota"
    """The account may send no more of this grade today."""
