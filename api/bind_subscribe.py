"""The part of the binding page that asks people to accept subscription templates; the only part with a script.

WeChat draws the buttons (``<wx-open-subscribe>``) and asks the person; what they answered arrives as a push.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from geo_engine.alerting.message import SendResult
from geo_engine.wechat.crypto import page_signature

__all__ = ["PageSignature", "SubscribeOffer", "Subscriptions", "offer_policy", "offer_scripts", "offer_section"]

_log: Final = logging.getLogger(__name__)
_LIBRARY: Final = "https://res.wx.qq.com/open/js/jweixin-1.6.0.js"
_MOST_AT_ONCE: Final = 5
"""Templates one button may ask about; WeChat shows them in one dialogue."""
_REST_MS: Final = 60_000
"""A page that waits for WeChat's time limit is slow; while WeChat is away only one in a minute does."""

_BUTTON_STYLE: Final = (
    "button{font:16px/1.5 sans-serif;padding:8px 16px;border:0;border-radius:6px;background:#07c160;color:#fff}"
)
_SCRIPT: Final = """
(function () {
  var box = document.getElementById('subscribe'), failed = false, given = box.dataset;
  function say(name) {
    box.querySelectorAll('[data-say]').forEach(function (one) { one.hidden = one.dataset.say !== name; });
  }
  function fail() { failed = true; say('not'); }
  document.addEventListener('WeixinOpenTagsError', fail);
  box.querySelectorAll('wx-open-subscribe').forEach(function (button) {
    button.addEventListener('success', function () { say('done'); });
    button.addEventListener('error', function () { say('later'); });
  });
  if (!window.wx) { return; }
  wx.error(fail);
  wx.ready(function () { if (!failed) { say(''); } });
  wx.config({
    appId: given.appId, timestamp: Number(given.timestamp), nonceStr: given.nonce, signature: given.signature,
    jsApiList: [], openTagList: ['wx-open-subscribe']
  });
})();
"""
"""What WeChat is told of the page, and which of the sentences is shown: until WeChat is ready, what to do instead."""


def _source(text: str) -> str:
    """Return a text as a Content-Security-Policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@dataclass(frozen=True, slots=True)
class PageSignature:
    """What ``wx.config`` is told of a page: whose account it is, and a signature of the page's address."""

    app_id: str
    timestamp_s: int
    nonce: str
    signature: str


@dataclass(frozen=True, slots=True)
class SubscribeOffer:
    """The templates a page offers.

    Attributes:
        one_time: ids of those accepted once per message.
        long_term: ids of those accepted for good.
        signed: the signature of the page; None = the browser is not WeChat's, so it is only said what to do.
    """

    one_time: tuple[str, ...]
    long_term: tuple[str, ...]
    signed: PageSignature | None


class Subscriptions:
    """Offers the account's subscription templates. Safe for many threads.

    Args:
        app_id: the account.
        one_time: ids of the templates accepted once per message.
        long_term: ids of those accepted for good.
        ticket: returns the account's ``jsapi_ticket``, or why there is none (``WeChatApi.page_ticket``).
        clock: epoch milliseconds UTC.
    """

    def __init__(
        self,
        app_id: str,
        one_time: Sequence[str],
        long_term: Sequence[str],
        ticket: Callable[[], str | SendResult],
        clock: Callable[[], int],
    ) -> None:
        self._app_id = app_id
        self._one_time, self._long_term = tuple(one_time), tuple(long_term)
        self._ticket, self._clock = ticket, clock
        self._rests_until_ms = 0

    def offer(self, url: str, browser: str) -> SubscribeOffer | None:
        """Return what a page offers; None = nothing, because there are no templates or WeChat is away. May block.

        Args:
            url: the page's address as the browser has it.
            browser: how the browser calls itself (``User-Agent``).
        """
        if not self._one_time and not self._long_term:
            return None
        signed = None
        if "MicroMessenger" in browser:
            signed = self._signature(url)
            if signed is None:
                return None
        return SubscribeOffer(self._one_time, self._long_term, signed)

    def _signature(self, url: str) -> PageSignature | None:
        now_ms = self._clock()
        if now_ms < self._rests_until_ms:
            return None
        ticket = self._ticket()
        if isinstance(ticket, SendResult):
            self._rests_until_ms = now_ms + _REST_MS
            _log.warning("the binding page offers no subscriptions for a minute: %s", ticket.detail)
            return None
        nonce, timestamp_s = secrets.token_hex(8), now_ms // 1000
        return PageSignature(self._app_id, timestamp_s, nonce, page_signature(ticket, nonce, timestamp_s, url))


def offer_policy(offer: SubscribeOffer | None) -> tuple[str, str]:
    """Return what the Content-Security-Policy of a page allows for an offer: further styles, further directives.

    Without buttons nothing. The frames are those in which WeChat draws its buttons (Tencent, open tags).
    """
    if offer is None or offer.signed is None:
        return "", ""
    scripts = f"script-src https://res.wx.qq.com {_source(_SCRIPT)}"
    return f" {_source(_BUTTON_STYLE)}", f"{scripts}; frame-src https://*.qq.com webcompt:; "


def offer_scripts(offer: SubscribeOffer | None) -> str:
    """Return the scripts at the end of the page: WeChat's library, and ours."""
    if offer is None or offer.signed is None:
        return ""
    return f'<script src="{_LIBRARY}"></script><script>{_SCRIPT}</script>'


def offer_section(offer: SubscribeOffer, words: Mapping[str, str]) -> str:
    """Return the section with the buttons in the words of a language; outside WeChat it says what to do instead."""
    parts = [f"<h2>{escape(words['subscribe'])}</h2>"]
    given = ""
    if offer.signed is not None:
        signed = offer.signed
        given = (
            f' data-app-id="{escape(signed.app_id)}" data-timestamp="{signed.timestamp_s}"'
            f' data-nonce="{signed.nonce}" data-signature="{signed.signature}"'
        )
        parts += [
            f"<p>{escape(words['subscribe_why'])}</p>",
            *_buttons(offer.one_time, words["subscribe_once"]),
            *_buttons(offer.long_term, words["subscribe_for_good"]),
            *(f'<p data-say="{name}" hidden>{escape(words[f"subscribe_{name}"])}</p>' for name in ("done", "later")),
        ]
    parts.append(f'<p data-say="not">{escape(words["subscribe_not"])}</p>')
    return f'<section id="subscribe"{given}>{"".join(parts)}</section>'


def _buttons(templates: Sequence[str], words: str) -> list[str]:
    """Return buttons for templates of one kind; the kinds cannot be asked about together."""
    return [
        f'<wx-open-subscribe template="{escape(",".join(templates[first : first + _MOST_AT_ONCE]))}">'
        f'<script type="text/wxtag-template" slot="style"><style>{_BUTTON_STYLE}</style></script>'
        f'<script type="text/wxtag-template"><button>{escape(words)}</button></script></wx-open-subscribe>'
        for first in range(0, len(templates), _MOST_AT_ONCE)
    ]
