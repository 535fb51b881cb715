"""From an outbox message to the fields of a WeChat template.

Which fields an account's approved template has is not ours to choose, so a ``Template`` is a setting: it says which
slot of a warning stands in which field. Everything ``render`` returns passes ``fields.check_field``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Final, Self

from geo_engine.alerting.message import Message
from geo_engine.alerting.wording import action_text, rounded_m
from geo_engine.errors import ConfigurationError
from geo_engine.geodesy.measure import compass_point, compass_word
from geo_engine.model import Alert, Language, ZoneKind
from geo_engine.wechat.fields import FieldType, clean_text, fit_field, fits

__all__ = ["DEFAULT_FIELDS", "RESTRICTION_TEMPLATE", "Slot", "Template", "TemplateField", "read_templates", "render"]


class Slot(StrEnum):
    """A piece of a warning that can stand in a template field."""

    ZONE = "zone"
    PLACE = "place"
    PLATE = "plate"
    TIME = "time"
    """The moment of the warning."""
    PERIOD = "period"
    """From the moment of the warning, or that at which the rule begins, to the end of the rule, where it has one."""
    TOPIC = "topic"
    ACTION = "action"
    """What it is and what to do."""
    WHY = "why"
    """The rule, whom it concerns and how it is known."""


_ACCEPTED: Final[dict[Slot, frozenset[FieldType]]] = {
    Slot.ZONE: frozenset({FieldType.THING}),
    Slot.PLACE: frozenset({FieldType.THING}),
    Slot.PLATE: frozenset({FieldType.CAR_NUMBER, FieldType.THING}),
    Slot.TIME: frozenset({FieldType.TIME, FieldType.DATE}),
    Slot.PERIOD: frozenset({FieldType.TIME}),
    Slot.TOPIC: frozenset({FieldType.PHRASE, FieldType.THING}),
    Slot.ACTION: frozenset({FieldType.THING}),
    Slot.WHY: frozenset({FieldType.THING}),
}
"""The field types a slot can always be made to fit."""


@dataclass(frozen=True, slots=True)
class TemplateField:
    """One field of a template.

    Attributes:
        key: the key the template gives it, e.g. ``thing1``.
        type: the rule its value must keep; the key begins with its name.
        value: the slot of the warning that stands in it.
    """

    key: str
    type: FieldType
    value: Slot

    def __post_init__(self) -> None:
        """Refuse a key that is not of this type and a slot that this type cannot hold."""
        if re.fullmatch(rf"{self.type}\d+", self.key) is None:
            message = f"template field: found key {self.key!r}, expected {self.type!s} and a number"
            raise ConfigurationError(message)
        if self.type not in _ACCEPTED[self.value]:
            expected = ", ".join(sorted(_ACCEPTED[self.value]))
            message = f"template field {self.key}: found slot {self.value!s}, which needs a field of type {expected}"
            raise ConfigurationError(message)


@dataclass(frozen=True, slots=True)
class Template:
    """A template of the account: its id in the WeChat console and its fields.

    Attributes:
        template_id: the id the console shows.
        fields: every field of the template, in its order.
    """

    template_id: str
    fields: tuple[TemplateField, ...]

    def __post_init__(self) -> None:
        """Refuse a template without id or fields, or with one key twice."""
        keys = [field.key for field in self.fields]
        if not self.template_id or not keys or len(set(keys)) != len(keys):
            message = f"template {self.template_id!r}: found keys {keys}, expected an id and distinct keys"
            raise ConfigurationError(message)

    @classmethod
    def parse(cls, template_id: str, fields: str) -> Self:
        """Read the fields from a text such as ``thing1=zone, time4=period``: the template's keys and our slots.

        Raises:
            ConfigurationError: a key, a slot or the whole is not such a text, or they do not go together.
        """
        return cls(template_id, tuple(_read_field(part.strip()) for part in fields.split(",")))


def _read_field(text: str) -> TemplateField:
    found = re.fullmatch(r"([a-z_]+?)(\d+)\s*=\s*([a-z]+)", text)
    if found is None or found[1] not in set(FieldType) or found[3] not in set(Slot):
        slots, types = ", ".join(Slot), ", ".join(FieldType)
        message = (
            f"template field: found {text!r}, expected the key of a field, = and what stands in it, such as "
            f"thing1=zone; what stands in it is one of {slots}; a key is a number after one of {types}"
        )
        raise ConfigurationError(message)
    return TemplateField(found[1] + found[2], FieldType(found[1]), Slot(found[3]))


def read_templates(text: str) -> tuple[Template, ...]:
    """Read several templates from a text such as ``ID: thing1=zone, time2=period; OTHER: thing1=zone``.

    Args:
        text: each template with its id, a colon and its fields as ``Template.parse`` reads them; empty = none.

    Raises:
        ConfigurationError: a part is no such text, or an id stands there twice.
    """
    parts = [part.strip() for part in text.split(";")]
    found = tuple(_read_template(part) for part in parts if part)
    ids = [template.template_id for template in found]
    twice = next((one for one in ids if ids.count(one) > 1), None)
    if twice is not None:
        message = f"templates: found {twice} more than once, expected each id once"
        raise ConfigurationError(message)
    return found


def _read_template(text: str) -> Template:
    template_id, colon, fields = (part.strip() for part in text.partition(":"))
    if not colon or re.fullmatch(r"[A-Za-z0-9_-]{1,64}", template_id) is None:
        message = (
            f"template: found {text!r}, expected the id the console shows, a colon and the fields, such as "
            "ID: thing1=zone, time2=period (several are divided by ;)"
        )
        raise ConfigurationError(message)
    return Template.parse(template_id, fields)


DEFAULT_FIELDS: Final = "thing1=zone, thing2=place, car_number3=plate, time4=period, thing5=action"
"""The fields of the template of the example city, as ``Template.parse`` reads them."""

RESTRICTION_TEMPLATE: Final = Template.parse("geo-engine-restriction", DEFAULT_FIELDS)
"""The template of the example city and of the fake server; a real account brings its own id and keys."""

# China keeps one time without daylight saving, so an offset is exact and needs no time zone file.
_BEIJING: Final = timezone(timedelta(hours=8), "Asia/Shanghai")

_TOPIC: Final[dict[ZoneKind, dict[Language, str]]] = {
    ZoneKind.TRUCK_RESTRICTION: {Language.ZH: "货车禁行", Language.EN: "Truck ban"},
    ZoneKind.CONSTRUCTION: {Language.ZH: "施工", Language.EN: "Roadworks"},
    ZoneKind.CONGESTION: {Language.ZH: "拥堵", Language.EN: "Congestion"},
    ZoneKind.VENUE: {Language.ZH: "场所", Language.EN: "Venue"},
}
_MAY_APPLY: Final = {Language.ZH: "可能禁行", Language.EN: "Truck ban may apply"}
_INSIDE: Final = {Language.ZH: "您已在区域内", Language.EN: "You are inside"}
_PLACEHOLDER: Final[dict[Slot, dict[Language, str]]] = {
    Slot.ZONE: {Language.ZH: "未命名区域", Language.EN: "Unnamed zone"},
    Slot.PLACE: {Language.ZH: "前方", Language.EN: "Ahead"},
    Slot.PLATE: {Language.ZH: "未知", Language.EN: "UNKNOWN"},
    Slot.ACTION: {Language.ZH: "请注意", Language.EN: "Take care"},
    Slot.WHY: {Language.ZH: "适用于您的车辆", Language.EN: "Applies to you"},
}
_MORE: Final = {Language.ZH: "等{}处", Language.EN: " +{} more"}
_SHORT: Final[dict[ZoneKind, tuple[str, str]]] = {
    ZoneKind.TRUCK_RESTRICTION: ("detour", "leave"),
    ZoneKind.CONSTRUCTION: ("slow down", "slow down"),
    ZoneKind.CONGESTION: ("detour", "take care"),
    ZoneKind.VENUE: ("", ""),
}
"""What to do in so few English words that they fit into a field, ahead of the border and inside."""


def render(message: Message, template: Template) -> dict[str, str]:
    """Return field key -> value for ``message``; every value is one its field accepts."""
    return {field.key: _value(message, field) for field in template.fields}


def _value(message: Message, field: TemplateField) -> str:
    alert, language = message.alert, message.language
    match field.value:
        case Slot.ZONE:
            return _zones(alert, language, field.type)
        case Slot.PLACE:
            text = _place(alert, language)
        case Slot.PLATE:
            text = re.sub(r"[\s·・.-]", "", message.plate or "").upper()
        case Slot.TIME:
            return _beijing_time(alert.time_ms, field.type)
        case Slot.PERIOD:
            return _period(alert)
        case Slot.TOPIC:
            # A phrase takes Chinese characters only, whatever the person reads.
            return _topic(alert, Language.ZH if field.type is FieldType.PHRASE else language)
        case Slot.ACTION:
            text = _action(alert, language, field.type)
        case Slot.WHY:
            text = alert.why
    return fit_field(field.type, text, _PLACEHOLDER[field.value][language])


def _zones(alert: Alert, language: Language, field_type: FieldType) -> str:
    """Name as many zones as fit whole, the gravest first, and count the others."""
    names = [alert.zone_name, *alert.also_names[: alert.also]]
    for count in range(len(names), 0, -1):
        text = ("、" if language is Language.ZH else ", ").join(names[:count])
        left = alert.also + 1 - count
        more = _MORE[language].format(alert.also + 1 if language is Language.ZH else left) if left else ""
        if fits(field_type, text + more) and all(clean_text(name) for name in names[:count]):
            break
    # The number of further zones must not fall to the length of the first one's name.
    return fit_field(field_type, text, _PLACEHOLDER[Slot.ZONE][language], ending=more)


def _place(alert: Alert, language: Language) -> str:
    if alert.bearing_deg is None or not math.isfinite(alert.distance_m):
        return _INSIDE[language]
    distance, eta = _distance(alert.distance_m, language), _eta(alert.eta_s, language)
    if language is Language.EN:
        return f"{distance} {compass_point(alert.bearing_deg)}".rstrip() + eta
    wind = compass_word(alert.bearing_deg, language)
    return f"{wind}方向 {distance}{eta}" if wind else f"前方 {distance}{eta}"


def _distance(distance_m: float, language: Language) -> str:
    if distance_m < 1_000:
        return f"{rounded_m(distance_m)} {'m' if language is Language.EN else '米'}"
    return f"{distance_m / 1_000:.1f} {'km' if language is Language.EN else '公里'}"


def _eta(eta_s: float, language: Language) -> str:
    if not math.isfinite(eta_s):
        return ""
    return f" 约{eta_s:.0f}秒" if language is Language.ZH else f", {eta_s:.0f} s"


def _beijing_time(time_ms: int, field_type: FieldType) -> str:
    moment = datetime.fromtimestamp(time_ms / 1_000, UTC).astimezone(_BEIJING)
    day = f"{moment.year}年{moment.month}月{moment.day}日"
    return day if field_type is FieldType.DATE else f"{day} {moment:%H:%M}"


def _period(alert: Alert) -> str:
    """Return when it begins to matter and, where it is known, when the rule ends; the day only where it differs."""
    begin = _beijing_time(alert.time_ms if alert.opens_ms is None else alert.opens_ms, FieldType.TIME)
    if alert.until_ms is None:
        return begin
    end = _beijing_time(alert.until_ms, FieldType.TIME)
    same_day = end.split()[0] == begin.split()[0]
    return f"{begin}~{end.split()[1] if same_day else end}"


def _action(alert: Alert, language: Language, field_type: FieldType) -> str:
    """Say what it is and what to do; where both do not fit, what to do."""
    *ways, last = _actions(alert, language)
    return next((text for text in ways if fits(field_type, text)), last)


def _actions(alert: Alert, language: Language) -> Iterator[str]:
    """Yield ways of saying it, the fullest first; the last is what is left when there is room for nothing else."""
    inside, advice = alert.bearing_deg is None, clean_text(alert.advice)
    action = action_text(advice, alert.kind, language, inside=inside)
    topic = _topic(alert, language)
    if not action:
        yield topic
        return
    if language is Language.ZH:
        since = "" if alert.opens_ms is None else f"{_clock(alert.opens_ms)}起"
        yield f"{since}{topic}，{action}"
        yield f"{topic}，{action}"
    else:
        short = advice or _SHORT[alert.kind][inside]
        if alert.opens_ms is not None:
            yield f"From {_clock(alert.opens_ms)}: {short}"
        yield f"{topic}: {action}"
        yield f"{topic}: {short}"
        if alert.may_apply:
            yield f"May apply: {short}"
    yield action


def _clock(time_ms: int) -> str:
    return _beijing_time(time_ms, FieldType.TIME).split()[1]


def _topic(alert: Alert, language: Language) -> str:
    if alert.may_apply and alert.kind is ZoneKind.TRUCK_RESTRICTION:
        return _MAY_APPLY[language]
    return _TOPIC[alert.kind][language]
