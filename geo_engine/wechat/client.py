"""The calls of a WeChat account through wechatpy, and its plain sender. The only module that imports wechatpy.

wechatpy makes the call and reads the answer; its own token handling is never reached, because it renews without end
on a permanent 40001, ignores time limits and knows no ``stable_token`` (see ``docs/wechat.md``).
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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
from geo_engine.alerting.reach import TokenShelf
from geo_engine.errors import ConfigurationError
from geo_engine.wechat.access_token import TokenError, TokenGrant, TokenOwner
from geo_engine.wechat.errcodes import TOKEN_ERRCODES, errcode_rule, http_status_outcome
from geo_engine.wechat.template import Template, render

__all__ = [
    "CUSTOM_SEND",
    "LONGEST_QR_S",
    "SUBSCRIBE_SEND",
    "TEMPLATE_SEND",
    "WECHAT_API_BASE",
    "WECHAT_QR_BASE",
    "QrCode",
    "Quota",
    "WeChatApi",
    "subscription_body",
    "template_body",
]

WECHAT_API_BASE: Final = "https://api.weixin.qq.com"
"""Address of the real server; a fake server's address takes its place in tests and in the demo."""

WECHAT_QR_BASE: Final = "https://mp.weixin.qq.com"
"""Address that shows the pictures of QR codes."""

TEMPLATE_SEND: Final = "message/template/send"
SUBSCRIBE_SEND: Final = "message/subscribe/bizsend"
CUSTOM_SEND: Final = "message/custom/send"

LONGEST_QR_S: Final = 2_592_000
"""The longest life of a temporary QR code: 30 days."""

_QR_CREATE: Final = "qrcode/create"
_LONGEST_SCENE: Final = 64
_QUOTA: Final = "openapi/quota/get"
_CLEAR_QUOTA: Final = "clear_quota"
_STABLE: Final = "stable_token"
_TICKET: Final = "ticket/getticket"
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


@dataclass(frozen=True, slots=True)
class Quota:
    """The calls of one interface on the channel's day: allowed, used, left."""

    daily_limit: int
    used: int
    left: int


@dataclass(frozen=True, slots=True)
class QrCode:
    """A temporary QR code: the ticket its picture is shown for, the text in it, and how many seconds it lives."""

    ticket: str
    text: str
    lasts_s: int


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class WeChatApi:
    """The calls of one account. Safe for many threads.

    One call costs one request; with a refused token at most four (call, token, forced token, call). The time limit
    covers connecting and waiting for the answer of each request, the one for the token included.

    When the connection breaks or the time ends after the request was on its way, the outcome is UNKNOWN: WeChat may
    have taken it. A request that never left (no connection, no token) is RETRY.

    Args:
        app_id: the account's app id.
        app_secret: its secret; sent to ``api_base`` only, in no repr, log or error text.
        api_base: scheme and host of the server, e.g. ``WECHAT_API_BASE``.
        timeout_s: seconds allowed for each request.
        clock: milliseconds for the age of the token; only differences count. With a ``shelf``: epoch milliseconds.
        shelf: where the processes of the account share the token, None = this process keeps its own.

    Raises:
        ConfigurationError: app id or secret is missing, or ``api_base`` is not an http(s) address.
    """

    def __init__(
        self,
        app_id: str,
        app_secret: str,
        api_base: str,
        *,
        timeout_s: float = 5.0,
        clock: Callable[[], int] = _monotonic_ms,
        shelf: TokenShelf | None = None,
    ) -> None:
        if not app_id or not app_secret:
            message = "WeChat account: app id or secret is empty, expected both"
            raise ConfigurationError(message)
        self._app_id = app_id
        self._app_secret = app_secret
        self._api_base = _checked_base(api_base)
        self._client = _new_client(app_id, self._api_base, timeout_s)
        lease_ms = round(3_000 * timeout_s)  # A renewal is two requests at most.
        self._tokens = TokenOwner(self._fetch_token, clock, shelf=shelf, account=app_id, lease_ms=lease_ms)
        # As the token: two hours, one for all processes, renewed by one of them. A space is in no app id.
        self._tickets = TokenOwner(
            self._fetch_ticket,
            clock,
            shelf=shelf,
            account=f"{app_id} jsapi_ticket",
            lease_ms=round(4_000 * timeout_s),  # The call, a token, a forced token, and the call again.
        )
        _hide_tokens_in_logs()

    def __repr__(self) -> str:
        """Return what an operator may see: the account and the address."""
        return f"{type(self).__name__}(app_id={self._app_id!r}, api_base={self._api_base!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. A later call opens new ones."""
        session: requests.Session = self._client._http
        session.close()

    def send_body(
        self, path: str, body: Mapping[str, object], *, attempts: int = 0, why_not: Callable[[], str] = lambda: ""
    ) -> SendResult:
        """Send one message and say what came of it; never raises for what WeChat answers.

        Args:
            path: ``TEMPLATE_SEND``, ``SUBSCRIBE_SEND`` or ``CUSTOM_SEND``.
            body: as Tencent describes it for that path.
            attempts: attempts made before this one.
            why_not: asked just before each request that sends: a token may have taken its time.
        """
        answer = self._ask(path, body, why_not)
        if not isinstance(answer, SendResult) and answer.get("errcode") != 0:
            answer = _doubtful("answer without errcode")
        if isinstance(answer, SendResult):
            return _with_rule(_without_key(answer) if path != TEMPLATE_SEND else answer, attempts)
        msg_id = answer.get("msgid")
        return SendResult(Outcome.ACCEPTED, errcode=0, msg_id=None if msg_id is None else str(msg_id))

    def quota(self, path: str) -> Quota | SendResult:
        """Return what is left of the day's calls of ``path`` (``openapi/quota/get``), or why nobody knows."""
        answer = self._ask(_QUOTA, {"cgi_path": f"/cgi-bin/{path}"})
        if isinstance(answer, SendResult):
            return _with_rule(answer, attempts=0)
        numbers = answer.get("quota")
        found = [numbers.get(name) for name in ("daily_limit", "used", "remain")] if isinstance(numbers, dict) else []
        whole = [number for number in found if isinstance(number, int)]
        if len(whole) != 3:
            return SendResult(Outcome.RETRY, detail="quota: answer without daily_limit, used or remain")
        return Quota(*whole)

    def create_qr_code(self, scene: str, lasts_s: int) -> QrCode | SendResult:
        """Have a temporary QR code made (``qrcode/create``), or return why there is none.

        Args:
            scene: what a scan reports, 1 to 64 characters.
            lasts_s: its life in seconds, at most ``LONGEST_QR_S``.

        Raises:
            ValueError: scene or life is out of these limits.
        """
        if not 1 <= len(scene) <= _LONGEST_SCENE or not 1 <= lasts_s <= LONGEST_QR_S:
            message = (
                f"QR code: found a scene of {len(scene)} characters for {lasts_s} s, expected 1 to {_LONGEST_SCENE} "
                f"characters and 1 to {LONGEST_QR_S} s"
            )
            raise ValueError(message)
        action = {"scene": {"scene_str": scene}}
        answer = self._ask(
            _QR_CREATE, {"expire_seconds": lasts_s, "action_name": "QR_STR_SCENE", "action_info": action}
        )
        if isinstance(answer, SendResult):
            return _with_rule(answer, attempts=0)
        ticket, given_s = answer.get("ticket"), answer.get("expire_seconds", lasts_s)
        if not isinstance(ticket, str) or not ticket or not isinstance(given_s, int):
            return SendResult(Outcome.RETRY, detail="QR code: answer without ticket or life")
        return QrCode(ticket, str(answer.get("url", "")), given_s)

    def page_ticket(self) -> str | SendResult:
        """Return the ticket that signs pages which use the JS-SDK (``crypto.page_signature``), or why there is none.

        It is fetched (``ticket/getticket``) five minutes before the last one ends, by one caller for all.
        """
        try:
            return self._tickets.current()
        except TokenError as error:
            return error.result

    def clear_quota(self) -> SendResult:
        """Have every daily quota of the account begin anew; WeChat allows that ten times a month (then 48006)."""
        answer = self._ask(_CLEAR_QUOTA, {"appid": self._app_id})
        if isinstance(answer, SendResult):
            return _with_rule(answer, attempts=0)
        return SendResult(Outcome.ACCEPTED, errcode=0)

    def _ask(
        self,
        path: str,
        body: Mapping[str, object] | None,
        why_not: Callable[[], str] = lambda: "",
        query: Mapping[str, str] | None = None,
    ) -> Mapping[str, object] | SendResult:
        """Call with the token, by GET without a body; when the token is refused, once more with another one."""
        try:
            token = self._tokens.current()
            answer = self._ask_unless(why_not, path, body, token, query)
            if isinstance(answer, SendResult) and answer.errcode in TOKEN_ERRCODES:
                token = self._tokens.replace(token)
                answer = self._ask_unless(why_not, path, body, token, query)
        except TokenError as error:
            return replace(error.result, reached=False)
        return answer

    def _ask_unless(
        self,
        why_not: Callable[[], str],
        path: str,
        body: Mapping[str, object] | None,
        token: str,
        query: Mapping[str, str] | None,
    ) -> Mapping[str, object] | SendResult:
        why = why_not()
        if why:
            return SendResult(Outcome.RETRY, detail=f"not sent: {why}")
        return self._call(path, {"access_token": token, **(query or {})}, body, token)

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

    def _fetch_ticket(self, _force: bool) -> TokenGrant:
        answer = self._ask(_TICKET, None, query={"type": "jsapi"})
        if isinstance(answer, SendResult):
            raise TokenError(_with_rule(answer, attempts=0))
        value, lifetime_s = answer.get("ticket"), answer.get("expires_in")
        if not isinstance(value, str) or not value or not isinstance(lifetime_s, int) or lifetime_s <= 0:
            raise TokenError(SendResult(Outcome.RETRY, detail="page ticket: answer without ticket or expires_in"))
        return TokenGrant(value, lifetime_s * 1_000)

    def _call(
        self, path: str, params: Mapping[str, str] | list[str], body: Mapping[str, object] | None, hidden: str
    ) -> Mapping[str, object] | SendResult:
        """Return the JSON object WeChat answered, or what went wrong as a result without its rule applied yet."""
        try:
            if body is None:
                answer = self._client.get(path, params=params, allow_redirects=False)
            else:
                # wechatpy writes the token it is given into the mapping and needs a plain dict to build the body.
                answer = self._client.post(path, params=params, data=dict(body), allow_redirects=False)
        except WeChatClientException as error:
            return _refusal(error, (hidden, self._app_secret))
        except requests.RequestException as error:
            return _broken_call(error)
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            # wechatpy's reading of hostile JSON: errcode not a number, base_resp not an object, endless nesting.
            return _doubtful(f"unreadable answer ({type(error).__name__})")
        if not isinstance(answer, dict):
            return _doubtful("answer is not a JSON object")
        return answer


def template_body(message: Message, template: Template) -> dict[str, object]:
    """Return the body of a template message; the dedupe key of the message is its ``client_msg_id``."""
    return {**subscription_body(message, template), "client_msg_id": message.client_msg_id}


def subscription_body(message: Message, template: Template) -> dict[str, object]:
    """Return the body of a subscription notification, which knows no dedupe key."""
    values = {key: {"value": value} for key, value in render(message, template).items()}
    return {"touser": message.open_id, "template_id": template.template_id, "data": values}


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
        # A gateway that says 429 turned the request away; one that says 5xx may have passed it on.
        return SendResult(http_status_outcome(status), detail=f"HTTP status {status}", in_doubt=status >= 500)
    detail = str(error.errmsg)[:_DETAIL_LIMIT]
    for secret in hidden:
        detail = detail.replace(secret, "***")
    return SendResult(Outcome.REFUSED, errcode=error.errcode, detail=detail)


def _doubtful(detail: str) -> SendResult:
    """Return RETRY for an answer that is not WeChat's: the request may have gone on all the same."""
    return SendResult(Outcome.RETRY, detail=detail, in_doubt=True)


def _without_key(result: SendResult) -> SendResult:
    """Return what ``result`` means where WeChat drops no repeats: after a doubt nothing may be sent again."""
    if result.in_doubt or result.outcome is Outcome.UNKNOWN:
        return replace(result, outcome=Outcome.UNKNOWN, in_doubt=True, repeatable=False)
    return result


def _broken_call(error: requests.RequestException) -> SendResult:
    """Return UNKNOWN unless the request certainly never left. The error's text holds the URL and is not used."""
    cause = error.args[0] if error.args else None
    if isinstance(error, _BEFORE_THE_REQUEST) or isinstance(getattr(cause, "reason", None), NewConnectionError):
        return SendResult(Outcome.RETRY, detail=f"no connection ({type(error).__name__})")
    return SendResult(Outcome.UNKNOWN, detail=f"no answer ({type(error).__name__})", in_doubt=True)


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
