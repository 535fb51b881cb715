"""The WeChat sender: template messages through wechatpy. The only module that imports wechatpy.

wechatpy makes the call and reads the answer; its own token handling is never reached, because it renews without end
on a permanent 40001, ignores time limits and knows no ``stable_token`` (see ``docs/wechat.md``).
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError
from urllib3.util import Timeout
from wechatpy.client import WeChatClient
from wechatpy.exceptions import WeChatClientException

from geo_engine.alerting.message import Message, Outcome, SendResult
from geo_engine.errors import ConfigurationError
from geo_engine.wechat.access_token import TokenError, TokenGrant, TokenOwner
from geo_engine.wechat.errcodes import TOKEN_ERRCODES, errcode_rule, http_status_outcome
from geo_engine.wechat.template import Template, render

__all__ = ["WECHAT_API_BASE", "WeChatSender"]

WECHAT_API_BASE: Final = "https://api.weixin.qq.com"
"""Address of the real server; a fake server's address takes its place in tests and in the demo."""

_SEND: Final = "message/template/send"
_STABLE: Final = "stable_token"
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_CONNECTIONS: Final = 64
_DETAIL_LIMIT: Final = 300
_LONGEST_ANSWER: Final = 1 << 20

_BEFORE_THE_REQUEST: Final = (
    requests.exceptions.ConnectTimeout,
    requests.exceptions.InvalidURL,
    requests.exceptions.ProxyError,
    requests.exceptions.SSLError,
)


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class WeChatSender:
    """Sends warnings as template messages of one account. Safe for many threads.

    One ``send`` costs one call; with a refused token at most four (send, token, forced token, send). The time limit
    covers connecting and waiting for the answer of each call, the one for the token included.

    When the connection breaks or the time ends after the request was on its way, the outcome is UNKNOWN: WeChat may
    have taken it. WeChat drops repeats of a ``client_msg_id`` for ten minutes, so a repeat would probably be safe,
    but nobody could prove afterwards that the person saw the warning once; it is marked instead. A request that
    never left (no connection, no token) is RETRY.

    Args:
        app_id: the account's app id.
        app_secret: its secret; sent to ``api_base`` only, in no repr, log or error text.
        api_base: scheme and host of the server, e.g. ``WECHAT_API_BASE``.
        template: the approved template that carries the warning.
        timeout_s: seconds allowed for each call.
        clock: milliseconds for the age of the token; only differences count.

    Raises:
        ConfigurationError: app id or secret is missing, or ``api_base`` is not an http(s) address.
    """

    def __init__(
        self,
        app_id: str,
        app_secret: str,
        api_base: str,
        template: Template,
        *,
        timeout_s: float = 5.0,
        clock: Callable[[], int] = _monotonic_ms,
    ) -> None:
        if not app_id or not app_secret:
            message = "WeChat account: app id or secret is empty, expected both"
            raise ConfigurationError(message)
        self._app_id = app_id
        self._app_secret = app_secret
        self._api_base = _checked_base(api_base)
        self._template = template
        self._client = _new_client(app_id, self._api_base, timeout_s)
        self._tokens = TokenOwner(self._fetch_token, clock)
        _hide_tokens_in_logs()

    def __repr__(self) -> str:
        """Return what an operator may see: the account and the address."""
        return f"WeChatSender(app_id={self._app_id!r}, api_base={self._api_base!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. A later ``send`` opens new ones."""
        session: requests.Session = self._client._http
        session.close()

    def send(self, message: Message, *, why_not: Callable[[], str] = lambda: "") -> SendResult:
        """Try to send ``message`` once and say what came of it; never raises for what WeChat answers.

        ``why_not`` is asked just before each call that sends: a token may have taken its time.
        """
        values = {key: {"value": value} for key, value in render(message, self._template).items()}
        body = {
            "touser": message.open_id,
            "template_id": self._template.template_id,
            "data": values,
            "client_msg_id": message.client_msg_id,
        }
        try:
            return _with_rule(self._send_with_token(body, why_not), message.attempts)
        except TokenError as error:
            return error.result

    def _send_with_token(self, body: Mapping[str, object], why_not: Callable[[], str]) -> SendResult:
        token = self._tokens.current()
        result = self._send_unless(why_not, body, token)
        if result.errcode in TOKEN_ERRCODES:
            token = self._tokens.replace(token)
            result = self._send_unless(why_not, body, token)
        return result

    def _send_unless(self, why_not: Callable[[], str], body: Mapping[str, object], token: str) -> SendResult:
        why = why_not()
        return SendResult(Outcome.RETRY, detail=f"not sent: {why}") if why else self._send_once(body, token)

    def _send_once(self, body: Mapping[str, object], token: str) -> SendResult:
        answer = self._call(_SEND, {"access_token": token}, body, token)
        if isinstance(answer, SendResult):
            return answer
        if answer.get("errcode") != 0:
            return SendResult(Outcome.RETRY, detail="answer without errcode")
        msg_id = answer.get("msgid")
        return SendResult(Outcome.ACCEPTED, errcode=0, msg_id=None if msg_id is None else str(msg_id))

    def _fetch_token(self, force: bool) -> TokenGrant:
        body = {
            "grant_type": "client_credential",
            "appid": self._app_id,
            "secret": self._app_secret,
            "force_refresh": force,
        }
        # An empty list instead of a dict keeps wechatpy from adding a token of its own.
        answer = self._call(_STABLE, [], body, self._app_secret)
        if isinstance(answer, SendResult):
            # Without a token nothing was sent, so an unknown outcome here is a harmless one.
            outcome = Outcome.RETRY if answer.outcome is Outcome.UNKNOWN else answer.outcome
            result = SendResult(outcome, answer.errcode, f"token: {answer.detail}", None, answer.retry_after_s)
            raise TokenError(_with_rule(result, attempts=0))
        value, lifetime_s = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(value, str) or not value or not isinstance(lifetime_s, int) or lifetime_s <= 0:
            raise TokenError(SendResult(Outcome.RETRY, detail="token: answer without access_token or expires_in"))
        return TokenGrant(value, lifetime_s * 1_000)

    def _call(
        self, path: str, params: Mapping[str, str] | list[str], body: Mapping[str, object], hidden: str
    ) -> Mapping[str, object] | SendResult:
        """Return the JSON object WeChat answered, or what went wrong as a result without its rule applied yet."""
        try:
            # wechatpy writes the token it is given into the mapping and needs a plain dict to build the body.
            answer = self._client.post(path, params=params, data=dict(body), allow_redirects=False)
        except WeChatClientException as error:
            return _refusal(error, (hidden, self._app_secret))
        except requests.RequestException as error:
            return _broken_call(error)
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            # wechatpy's reading of hostile JSON: errcode not a number, base_resp not an object, endless nesting.
            return SendResult(Outcome.RETRY, detail=f"unreadable answer ({type(error).__name__})")
        if not isinstance(answer, dict):
            return SendResult(Outcome.RETRY, detail="answer is not a JSON object")
        return answer


def _checked_base(api_base: str) -> str:
    parts = urlsplit(api_base)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        message = f"WeChat API base: found {api_base!r}, expected an address like {WECHAT_API_BASE}"
        raise ConfigurationError(message)
    return api_base.rstrip("/")


class _WholeAnswer(HTTPAdapter):
    """Reads answers whole, within the time limit and a size no real answer has.

    requests limits each read of the socket; a server that sends one byte at a time could hold a sender for ever.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        super().__init__(pool_connections=2, pool_maxsize=_CONNECTIONS)

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]  # noqa: ANN401 - passed on
        end = time.monotonic() + self._timeout_s
        response = super().send(request, **{**options, "stream": True})
        body = bytearray()
        try:
            while piece := response.raw.read1(8_192, decode_content=True):
                body += piece
                if time.monotonic() > end or len(body) > _LONGEST_ANSWER:
                    response.close()
                    message = "the answer took too long or was too large"
                    raise requests.exceptions.ReadTimeout(message)
        except urllib3.exceptions.HTTPError as error:
            raise requests.exceptions.ReadTimeout(error) from error
        response._content = bytes(body)
        return response


def _new_client(app_id: str, api_base: str, timeout_s: float) -> Any:  # noqa: ANN401 - wechatpy has no types
    """Return a wechatpy client that renews nothing, knows no secret and talks to ``api_base`` only."""
    client = WeChatClient(app_id, "", timeout=Timeout(total=timeout_s), auto_retry=False)
    client.API_BASE_URL = f"{api_base}/cgi-bin/"
    session: requests.Session = client._http
    for scheme in ("http://", "https://"):
        session.mount(scheme, _WholeAnswer(timeout_s))
    if urlsplit(api_base).hostname in _LOOPBACK:
        session.trust_env = False  # A proxy of the environment cannot reach this machine's own fake server.
    return client


def _refusal(error: Any, hidden: tuple[str, ...]) -> SendResult:  # noqa: ANN401 - wechatpy has no types
    """Return what a wechatpy exception says; the exception itself holds the request with its token."""
    if error.errcode is None:
        status = error.response.status_code
        return SendResult(http_status_outcome(status), detail=f"HTTP status {status}")
    detail = str(error.errmsg)[:_DETAIL_LIMIT]
    for secret in hidden:
        detail = detail.replace(secret, "***")
    return SendResult(Outcome.REFUSED, errcode=error.errcode, detail=detail)


def _broken_call(error: requests.RequestException) -> SendResult:
    """Return UNKNOWN unless the request certainly never left. The error's text holds the URL and is not used."""
    cause = error.args[0] if error.args else None
    if isinstance(error, _BEFORE_THE_REQUEST) or isinstance(getattr(cause, "reason", None), NewConnectionError):
        return SendResult(Outcome.RETRY, detail=f"no connection ({type(error).__name__})")
    return SendResult(Outcome.UNKNOWN, detail=f"no answer ({type(error).__name__})")


def _with_rule(result: SendResult, attempts: int) -> SendResult:
    """Return ``result`` with the reaction to its errcode; a wait that is already known stays."""
    if not result.errcode or result.retry_after_s is not None:
        return result
    rule = errcode_rule(result.errcode)
    later = rule.later if attempts > 0 else None
    detail = f"{rule.meaning}: {result.detail}"
    return SendResult(later or rule.outcome, result.errcode, detail, None, None if later else rule.retry_after_s)


class _TokenFilter(logging.Filter):
    """Takes access tokens out of the lines urllib3 logs, which hold the whole URL."""

    def filter(self, record: logging.LogRecord) -> bool:
        if "access_token=" in record.getMessage():
            record.msg = re.sub(r"access_token=[^&\s\"']+", "access_token=***", record.getMessage())
            record.args = None
        return True


_TOKEN_FILTER: Final = _TokenFilter()


def _hide_tokens_in_logs() -> None:
    for name in ("urllib3.connectionpool", "urllib3.util.retry"):
        logging.getLogger(name).addFilter(_TOKEN_FILTER)  # Adding the same filter twice does nothing.
