"""Web authorisation (snsapi_base): from a page opened inside WeChat to the OpenID of whoever opened it."""

from __future__ import annotations

import json
import logging
import re
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlencode, urlsplit

import requests

from geo_engine.errors import ConfigurationError
from geo_engine.people.identity import is_open_id

__all__ = ["WECHAT_OAUTH_BASE", "OAuthOutcome", "OAuthUser", "WeChatOAuth"]

WECHAT_OAUTH_BASE: Final = "https://open.weixin.qq.com"
"""Where the browser is sent for the silent consent; a fake server's address takes its place in tests."""

_LONGEST_ANSWER: Final = 1 << 16
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_SPENT: Final = frozenset({40029, 40163})


class OAuthOutcome(StrEnum):
    """What became of a code."""

    KNOWN = "known"
    SNAPSHOT = "snapshot"
    """A virtual account of WeChat's snapshot mode: its OpenID is nobody's and must not be bound."""
    SPENT = "spent"
    """The code was used, or is older than five minutes: open the page again."""
    AWAY = "away"
    """WeChat gave no usable answer, or refused the account; ``errcode`` says which."""


@dataclass(frozen=True, slots=True)
class OAuthUser:
    """Who opened the page.

    Attributes:
        outcome: what became of the code.
        open_id: the person's OpenID when ``known``, empty otherwise.
        errcode: WeChat's error number, 0 = none.
    """

    outcome: OAuthOutcome
    open_id: str = ""
    errcode: int = 0


class WeChatOAuth:
    """Asks WeChat who opened a page. Safe for many threads; keeps nothing.

    Args:
        app_id: the account's app id.
        app_secret: its secret; sent to ``api_base`` only, in no repr, log or error text.
        api_base: scheme and host of the API.
        oauth_base: scheme and host the browser is sent to.
        timeout_s: seconds for the whole answer.

    Raises:
        ConfigurationError: an address is none.

    Source: Tencent, web authorisation (/sns/oauth2/access_token): a code is good once, for five minutes.
    """

    def __init__(
        self,
        app_id: str,
        app_secret: str,
        api_base: str,
        *,
        oauth_base: str = WECHAT_OAUTH_BASE,
        timeout_s: float = 5.0,
    ) -> None:
        self._app_id = app_id
        self._secret = app_secret
        self._api_base, self._oauth_base = _checked(api_base), _checked(oauth_base)
        self._timeout_s = timeout_s
        # Adding the same filter twice does nothing.
        logging.getLogger("urllib3.connectionpool").addFilter(_QUERY_FILTER)

    def __repr__(self) -> str:
        """Return what an operator may see."""
        return f"WeChatOAuth(app_id={self._app_id!r}, api_base={self._api_base!r})"

    def authorize_url(self, back: str, state: str) -> str:
        """Return where to send the browser.

        Args:
            back: address the browser comes back to, with ``code`` and ``state`` in its query.
            state: up to 128 letters and digits that come back unchanged.
        """
        # WeChat reads the parameters in this order only.
        query = urlencode(
            {
                "appid": self._app_id,
                "redirect_uri": back,
                "response_type": "code",
                "scope": "snsapi_base",
                "state": state,
            }
        )
        return f"{self._oauth_base}/connect/oauth2/authorize?{query}#wechat_redirect"

    def user_of(self, code: str) -> OAuthUser:
        """Return who opened the page; never raises for what WeChat answers. Blocks for up to ``timeout_s``."""
        query = {
            "appid": self._app_id,
            "secret": self._secret,
            "code": code,
            "grant_type": "authorization_code",
        }
        try:
            with requests.Session() as session:
                session.trust_env = urlsplit(self._api_base).hostname not in _LOOPBACK
                text = self._whole(session, query)
            answer = json.loads(text)
        except (requests.RequestException, ValueError, RecursionError):
            # The errors hold the address and with it the secret: none of their words is passed on.
            return OAuthUser(OAuthOutcome.AWAY)
        return _user(answer)

    def _whole(self, session: requests.Session, query: dict[str, str]) -> bytes:
        end = time.monotonic() + self._timeout_s
        url = f"{self._api_base}/sns/oauth2/access_token"
        with session.get(url, params=query, timeout=self._timeout_s, allow_redirects=False, stream=True) as answer:
            body = bytearray()
            for piece in answer.iter_content(8_192):
                body += piece
                if len(body) > _LONGEST_ANSWER or time.monotonic() > end:
                    message = "the answer took too long or was too large"
                    raise requests.exceptions.ReadTimeout(message)
        return bytes(body)


class _QueryFilter(logging.Filter):
    """Takes secret and code out of the lines urllib3 logs, which hold the whole address."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if "/sns/oauth2/" in text:
            record.msg, record.args = re.sub(r"(secret|code)=[^&\s\"']+", r"\1=***", text), None
        return True


_QUERY_FILTER: Final = _QueryFilter()


def _user(answer: object) -> OAuthUser:
    if not isinstance(answer, dict):
        return OAuthUser(OAuthOutcome.AWAY)
    errcode, open_id = answer.get("errcode", 0), answer.get("openid")
    if isinstance(errcode, int) and errcode:
        return OAuthUser(OAuthOutcome.SPENT if errcode in _SPENT else OAuthOutcome.AWAY, errcode=errcode)
    # The field is 1 for a snapshot and absent otherwise; anything else that is said there is not trusted either.
    if answer.get("is_snapshotuser", 0) not in (0, "0", False):
        return OAuthUser(OAuthOutcome.SNAPSHOT)
    if not isinstance(open_id, str) or not is_open_id(open_id):
        return OAuthUser(OAuthOutcome.AWAY)
    return OAuthUser(OAuthOutcome.KNOWN, open_id)


def _checked(base: str) -> str:
    parts = urlsplit(base)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        message = f"WeChat address: found {base!r}, expected one like {WECHAT_OAUTH_BASE}"
        raise ConfigurationError(message)
    return base.rstrip("/")
