"""The binding page as HTML: phone, vehicles, consent. Every text is escaped.

No script and no outside request, but where subscription templates are offered (``bind_subscribe``).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from html import escape
from typing import Final

from api.bind_subscribe import SubscribeOffer, offer_policy, offer_scripts, offer_section
from api.bind_words import CHOICES, FORM, NOTICES, WORDS
from geo_engine.model import Language, Vehicle
from geo_engine.people.consents import CONSENT_TEXTS, CONSENT_VERSION, Purpose
from geo_engine.people.identity import OwnedVehicle, masked_phone

__all__ = ["BindView", "bind_headers", "message_page", "render_bind_page"]

_STYLE: Final = """
body{margin:0 auto;max-width:34rem;padding:12px;background:#ededed;color:#222;
font:16px/1.5 system-ui,"PingFang SC","Noto Sans CJK SC","Microsoft YaHei",sans-serif}
section{margin:12px 0;padding:12px 16px;background:#fff;border-radius:10px}
h1{font-size:20px;margin:8px 4px}h2{font-size:17px;margin:0 0 8px}
label{display:block;margin:8px 0}label small{display:block;color:#666}
input,select{font:inherit;width:100%;box-sizing:border-box;padding:8px;border:1px solid #bbb;border-radius:6px}
input[type=checkbox]{width:auto;margin-right:8px}
button{font:inherit;margin:6px 6px 0 0;padding:8px 16px;border:0;border-radius:6px;background:#07c160;color:#fff}
button.plain{background:#e4e4e4;color:#222}button.grave{background:#c0392b}
.notice{background:#fff7d6}ul{list-style:none;margin:0;padding:0}li{border-bottom:1px solid #eee;padding:6px 0}
form.row{display:inline}
"""
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


def bind_headers(offer: SubscribeOffer | None = None) -> dict[str, str]:
    """Return the headers of a page: nobody keeps a copy, and what it may load and run is only what it has itself.

    So even a text that slipped through could load, run and send nothing.
    """
    styles, more = offer_policy(offer)
    policy = f"default-src 'none'; style-src 'sha256-{_HASH}'{styles}; {more}"
    return {
        "content-security-policy": f"{policy}form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }


@dataclass(frozen=True, slots=True)
class BindView:
    """What the page shows.

    Attributes:
        language: its language.
        phone: the bound phone, None = none.
        vehicles: the vehicles the person bound.
        agreed: what holds for each purpose.
        csrf: the token each form carries.
        notices: what to say on top: (name of a text, what it speaks of).
        offer: the subscription templates to offer, None = none.
    """

    language: Language
    phone: str | None
    vehicles: tuple[OwnedVehicle, ...]
    agreed: Mapping[Purpose, bool]
    csrf: str
    notices: tuple[tuple[str, str], ...] = ()
    offer: SubscribeOffer | None = None


def render_bind_page(view: BindView) -> str:
    """Return the page of a person."""
    words = WORDS[view.language]
    parts = [
        *(f'<section class="notice">{_notice(name, about, view.language)}</section>' for name, about in view.notices),
        f"<section><h2>{words['phone']}</h2>{_phone(view)}</section>",
        f"<section><h2>{words['vehicles']}</h2>{_vehicles(view)}</section>",
        f"<section><h2>{words['consents']}</h2>{_consents(view)}</section>",
        "" if view.offer is None else offer_section(view.offer, words),
        f"<section><h2>{words['erase']}</h2>{_erase(view)}</section>",
        _form(view, "language", "", words["other_language"], "plain"),
    ]
    return _page(view.language, words["title"], "".join(parts) + offer_scripts(view.offer))


def message_page(name: str) -> str:
    """Return a page that says one thing, in both languages: nobody is known yet whose language it could be."""
    texts = "".join(f"<p>{_notice(name, '', language)}</p>" for language in Language)
    return _page(Language.ZH, WORDS[Language.ZH]["title"], f'<section class="notice">{texts}</section>')


def _page(language: Language, title: str, body: str) -> str:
    code = {Language.ZH: "zh-CN", Language.EN: "en"}[language]
    return (
        f'<!doctype html><html lang="{code}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>{body}</body></html>"
    )


def _notice(name: str, about: str, language: Language) -> str:
    return escape(NOTICES[name][language].format(about=about))


def _form(view: BindView, action: str, fields: str, button: str, style: str = "") -> str:
    kind = f' class="{style}"' if style else ""
    return (
        f'<form method="post" action="/bind/{action}"><input type="hidden" name="csrf" value="{escape(view.csrf)}">'
        f"{fields}<button{kind}>{escape(button)}</button></form>"
    )


def _phone(view: BindView) -> str:
    words = WORDS[view.language]
    bound = f"<p>{escape(words['bound'])} {masked_phone(view.phone)}</p>" if view.phone else ""
    number = '<input name="phone" type="tel" autocomplete="tel" maxlength="20" required>'
    code = '<input name="code" inputmode="numeric" autocomplete="one-time-code" maxlength="10" required>'
    return (
        bound
        + _form(view, "phone", f"<label>{escape(words['number'])}{number}</label>", words["send_code"])
        + _form(view, "code", f"<label>{escape(words['code'])}{code}</label>", words["bind"])
    )


def _vehicles(view: BindView) -> str:
    words = WORDS[view.language]
    rows = []
    for owned in view.vehicles:
        number = f'<input type="hidden" name="vehicle_id" value="{owned.vehicle_id}">'
        active = escape(words["active"]) if owned.active else _form(view, "activate", number, words["drive"], "plain")
        name = escape(_vehicle_name(owned.vehicle, view.language))
        rows.append(f"<li>{name} {active}{_form(view, 'remove', number, words['remove'], 'plain')}</li>")
    fields = "".join(_field(name, view.language) for name in FORM)
    return f"<ul>{''.join(rows)}</ul>" + _form(view, "vehicle", fields, words["add"])


def _vehicle_name(vehicle: Vehicle, language: Language) -> str:
    known = [vehicle.plate or WORDS[language]["no_plate"]]
    known += [CHOICES[name][value][language] for name, value in _enums(vehicle)]
    return " · ".join(known + ([f"{vehicle.gross_weight_t:g} t"] if vehicle.gross_weight_t else []))


def _enums(vehicle: Vehicle) -> Iterable[tuple[str, str]]:
    for name, value in (("kind", vehicle.kind), ("class", vehicle.size_class)):
        if isinstance(value, StrEnum):
            yield name, value.value


def _field(name: str, language: Language) -> str:
    field = FORM[name]
    label = escape(field.label[language])
    if name in CHOICES:
        options = "".join(
            f'<option value="{escape(value)}">{escape(texts[language])}</option>'
            for value, texts in CHOICES[name].items()
        )
        unknown = escape(WORDS[language]["unknown"])
        return f'<label>{label}<select name="{name}"><option value="">{unknown}</option>{options}</select></label>'
    kind = 'type="text" maxlength="20"' if field.step is None else f'type="number" min="0" step="{field.step}"'
    return f'<label>{label}<input name="{name}" {kind}></label>'


def _consents(view: BindView) -> str:
    boxes = []
    for purpose in Purpose:
        text = CONSENT_TEXTS[purpose][view.language]
        checked = " checked" if view.agreed[purpose] else ""
        boxes.append(
            f'<label><input type="checkbox" name="{purpose.value}" value="yes"{checked}>{escape(text.title)}'
            f"<small>{escape(text.sentence)}</small></label>"
        )
    version = f'<input type="hidden" name="version" value="{CONSENT_VERSION}">'
    return _form(view, "consents", version + "".join(boxes), WORDS[view.language]["save"])


def _erase(view: BindView) -> str:
    words = WORDS[view.language]
    sure = f'<label><input type="checkbox" name="sure" value="yes" required>{escape(words["erase_sure"])}</label>'
    return _form(view, "erase", sure, words["erase"], "grave")
