"""``/bind``: the page on which somebody binds a phone and vehicles and decides about consent, opened inside WeChat.

Who it is comes from WeChat (snsapi_base, silent), never from the browser; a form counts only with the session's token.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import unicodedata
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api.bind_page import BindView, bind_headers, message_page, render_bind_page
from api.bind_sessions import BindSession, OneTimeStates, Sessions
from api.bind_subscribe import SubscribeOffer, Subscriptions
from api.bind_words import CHOICES, FORM
from api.people import CodeRequest, People, Profile
from geo_engine.errors import InputError, StoreError
from geo_engine.ingest.vehicles import read_vehicle
from geo_engine.model import Language, Vehicle
from geo_engine.people.consents import CONSENT_VERSION, ConsentChannel, Purpose
from geo_engine.people.erasure import ErasureReason
from geo_engine.store.shared import Shared
from geo_engine.wechat.oauth import OAuthOutcome, WeChatOAuth

__all__ = ["BindingParts", "binding_router"]

_log: Final = logging.getLogger(__name__)
_SESSION: Final = "geo_bind"
_BROWSER: Final = "geo_bind_browser"
_MOST_BYTES: Final = 16 * 1024
_PLATE: Final = re.compile(r"\w{2,12}")
_BETWEEN: Final = re.compile(r"[\s·•.\-_]")
_LONGEST_TEXT: Final = 40
_OTHER: Final = {Language.ZH: Language.EN, Language.EN: Language.ZH}

Form = dict[str, str]
_Act = Callable[[BindSession, Form], None]
_RESPONSES: dict[int | str, dict[str, str]] = {
    303: {"description": "Done, or said on the page why not; the page follows."},
    403: {"description": "No session, or a form that is not ours."},
    413: {"description": "Larger than any real form."},
    503: {"description": "The store is away; nothing was changed but what a no closed."},
}
_BACK: dict[int | str, dict[str, str]] = {
    **{status: _RESPONSES[status] for status in (303, 503)},
    403: {"description": "A return that is not ours, a snapshot of WeChat's, or somebody who does not follow."},
    502: {"description": "WeChat gave no usable answer."},
}


@dataclass(frozen=True, slots=True)
class BindingParts:
    """What the binding page is joined from.

    Attributes:
        people: what the page changes.
        oauth: asks WeChat who it is.
        shared: where states and sessions are kept, so that any process on the store can show the next page.
        public_url: scheme and host under which WeChat's browser reaches this service; cookies are sent by https only
            when it is https.
        key: secret of the states and forms.
        clock: epoch milliseconds.
        subscriptions: offers subscription templates, None = there are none.
    """

    people: People
    oauth: WeChatOAuth
    shared: Shared
    public_url: str
    key: bytes
    clock: Callable[[], int]
    subscriptions: Subscriptions | None = None


def binding_router(parts: BindingParts) -> APIRouter:
    """Return the binding page."""
    page = _BindingPage(parts)
    router = APIRouter(tags=["binding"])

    @router.get(
        "/bind", response_class=HTMLResponse, responses={302: {"description": "To WeChat, to learn who it is."}}
    )
    async def show(request: Request) -> Response:
        """Show the page of whoever opened it; WeChat is asked who that is."""
        return await asyncio.to_thread(page.show, request)

    @router.get("/bind/back", response_class=HTMLResponse, responses=_BACK)
    async def back(
        request: Request,
        code: Annotated[str, Query(max_length=512)] = "",
        state: Annotated[str, Query(max_length=256)] = "",
    ) -> Response:
        """Take the browser back from WeChat."""
        return await asyncio.to_thread(page.back, request, code, state)

    for action in page.acts:
        router.add_api_route(
            f"/bind/{action}",
            _form_door(page, action),
            methods=["POST"],
            response_class=HTMLResponse,
            responses=_RESPONSES,
            name=f"bind {action}",
            summary=f"Take the form '{action}' of the page",
        )
    return router


def _form_door(page: _BindingPage, action: str) -> Callable[[Request], Awaitable[Response]]:
    async def take(request: Request) -> Response:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > _MOST_BYTES:
                return _said("form", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return await asyncio.to_thread(page.take, request, action, bytes(body))

    return take


class _BindingPage:
    """The page without its routes: every method may block."""

    def __init__(self, parts: BindingParts) -> None:
        self._people = parts.people
        self._oauth = parts.oauth
        self._url = parts.public_url.rstrip("/")
        self._clock = parts.clock
        self._subscriptions = parts.subscriptions
        self._secure = urlsplit(self._url).scheme == "https"
        self._states = OneTimeStates(parts.key, parts.shared)
        self._sessions = Sessions(parts.key, parts.shared)
        self.acts: dict[str, _Act] = {
            "phone": self._send_code,
            "code": self._bind_phone,
            "vehicle": self._add_vehicle,
            "activate": self._activate,
            "remove": self._remove,
            "consents": self._decide,
            "language": self._switch_language,
            "erase": self._erase,
        }

    def show(self, request: Request) -> Response:
        session = self._session(request)
        profile = None if session is None else self._people.profile(session.open_id)
        if session is None or profile is None:
            return self._ask_wechat()
        notices, session.notices = session.notices, []
        if notices:
            self._sessions.keep_notices(session)
        offer = self._offer(request)
        view = BindView(
            profile.language, profile.phone, profile.vehicles, profile.agreed, session.csrf, tuple(notices), offer
        )
        return HTMLResponse(render_bind_page(view), headers=bind_headers(offer))

    def _offer(self, request: Request) -> SubscribeOffer | None:
        if self._subscriptions is None:
            return None
        # Signed is what the browser has in its line of address; behind a gateway that is not what arrives here.
        query = request.url.query
        url = f"{self._url}/bind?{query}" if query else f"{self._url}/bind"
        return self._subscriptions.offer(url, request.headers.get("user-agent", ""))

    def _ask_wechat(self) -> Response:
        browser = secrets.token_urlsafe(16)
        state = self._states.make(browser, self._clock())
        answer = RedirectResponse(self._oauth.authorize_url(f"{self._url}/bind/back", state), HTTPStatus.FOUND)
        answer.headers["cache-control"] = "no-store"
        self._set_cookie(answer, _BROWSER, browser, 600)
        return answer

    def back(self, request: Request, code: str, state: str) -> Response:
        now_ms = self._clock()
        if not code or not self._states.take(state, request.cookies.get(_BROWSER, ""), now_ms):
            return _said("state", HTTPStatus.FORBIDDEN)
        user = self._oauth.user_of(code)
        if user.outcome is OAuthOutcome.AWAY:
            _log.warning("WeChat did not say who opened the binding page (errcode %d)", user.errcode)
            return _said("away", HTTPStatus.BAD_GATEWAY)
        if user.outcome is not OAuthOutcome.KNOWN:
            return _said("snapshot" if user.outcome is OAuthOutcome.SNAPSHOT else "state", HTTPStatus.FORBIDDEN)
        # Only a follower can leave again, and leaving is what erases: of nobody else anything is kept.
        if self._people.u7_of(user.open_id) is None:
            return _said("stranger", HTTPStatus.FORBIDDEN)
        answer = _see_page()
        self._set_cookie(answer, _SESSION, self._sessions.begin(user.open_id, now_ms), None)
        answer.delete_cookie(_BROWSER, path="/bind", secure=self._secure, httponly=True, samesite="lax")
        return answer

    def take(self, request: Request, action: str, body: bytes) -> Response:
        session, form = self._session(request), _form_of(body)
        if session is None or not secrets.compare_digest(form.get("csrf", "").encode(), session.csrf.encode()):
            return _said("form", HTTPStatus.FORBIDDEN)
        # Erased meanwhile, from the chat: a page left open must not make a new person of them.
        if self._people.u7_of(session.open_id) is None:
            self._sessions.end(session.open_id)
            return _said("stranger", HTTPStatus.FORBIDDEN)
        self.acts[action](session, form)
        self._sessions.keep_notices(session)
        return _said("erased", HTTPStatus.OK) if ("erased", "") in session.notices else _see_page()

    def _session(self, request: Request) -> BindSession | None:
        return self._sessions.find(request.cookies.get(_SESSION, ""), self._clock())

    def _set_cookie(self, answer: Response, name: str, value: str, max_age_s: int | None) -> None:
        answer.set_cookie(name, value, max_age_s, path="/bind", secure=self._secure, httponly=True, samesite="lax")

    # ---- the forms

    def _send_code(self, session: BindSession, form: Form) -> None:
        asked = self._people.send_code(session.open_id, form.get("phone", ""))
        wait_s = -(-asked.wait_ms // 1000)
        session.notices.append((f"code_{asked.outcome}", str(wait_s) if asked.outcome is CodeRequest.WAIT else ""))

    def _bind_phone(self, session: BindSession, form: Form) -> None:
        session.notices.append((f"phone_{self._people.bind_phone(session.open_id, form.get('code', ''))}", ""))

    def _add_vehicle(self, session: BindSession, form: Form) -> None:
        language = self._language(session)
        given = {name: _value(name, form[name]) for name in FORM if form.get(name, "").strip()}
        if not given:
            session.notices.append(("vehicle_empty", ""))
            return
        file = read_vehicle({"u7": 0, **given}, "form")
        wrong = {fault.path for fault in file.faults} | {name for name in given if not _is_fit(name, given[name])}
        if wrong or not file.vehicles:
            labels = ", ".join(FORM[name].label[language] for name in FORM if name in wrong)
            session.notices.append(("vehicle_fault", labels))
            return
        self._put(session, file.vehicles[0])

    def _put(self, session: BindSession, vehicle: Vehicle) -> None:
        try:
            self._people.put_vehicle(session.open_id, vehicle)
        except InputError as error:
            session.notices.append(("vehicle_fault", error.faults[0].found))
        else:
            session.notices.append(("vehicle_added", ""))

    def _activate(self, session: BindSession, form: Form) -> None:
        self._change(session, form, self._people.activate_vehicle)

    def _remove(self, session: BindSession, form: Form) -> None:
        self._change(session, form, self._people.remove_vehicle)

    def _change(self, session: BindSession, form: Form, change: Callable[[str, int], bool]) -> None:
        number = form.get("vehicle_id", "")
        known = number.isascii() and number.isdecimal() and len(number) < 19 and change(session.open_id, int(number))
        session.notices.append(("vehicle_changed" if known else "vehicle_unknown", ""))

    def _decide(self, session: BindSession, form: Form) -> None:
        """Record what changed. A no counts whatever text was shown; a yes only to the text of today."""
        profile = self._profile(session)
        no = [purpose for purpose in Purpose if purpose.value not in form]
        yes = [purpose for purpose in Purpose if purpose.value in form and not profile.agreed[purpose]]
        self._people.withdraw(session.open_id, no, ConsentChannel.PAGE)
        if yes and form.get("version") != CONSENT_VERSION:
            session.notices.append(("consents_stale", ""))
            return
        for purpose in yes:
            self._people.agree(session.open_id, purpose, ConsentChannel.PAGE)
        session.notices.append(("consents_saved", ""))

    def _switch_language(self, session: BindSession, _form: Form) -> None:
        self._people.set_language(session.open_id, _OTHER[self._language(session)])

    def _erase(self, session: BindSession, form: Form) -> None:
        u7 = self._people.u7_of(session.open_id)
        if form.get("sure") != "yes" or u7 is None:
            session.notices.append(("erase_unsure", ""))
            return
        self._people.erase(u7, ErasureReason.ASKED)
        self._sessions.end(session.open_id)
        session.notices.append(("erased", ""))

    def _profile(self, session: BindSession) -> Profile:
        profile = self._people.profile(session.open_id)
        if profile is None:
            message = "person: found them erased meanwhile, expected one who follows"
            raise StoreError(message)
        return profile

    def _language(self, session: BindSession) -> Language:
        return self._profile(session).language


def _see_page() -> RedirectResponse:
    return RedirectResponse("/bind", HTTPStatus.SEE_OTHER, {"cache-control": "no-store"})


def _said(name: str, status: HTTPStatus) -> HTMLResponse:
    return HTMLResponse(message_page(name), status, bind_headers())


def _form_of(body: bytes) -> Form:
    """Return the fields of a form, the first of each name; none when it is not readable."""
    try:
        found = parse_qs(body.decode(), max_num_fields=60)
    except ValueError:
        return {}
    return {name: values[0] for name, values in found.items()}


def _value(name: str, text: str) -> object:
    """Return what was typed as a vehicles file would hold it; what is no number stays a text and is refused there."""
    plain = unicodedata.normalize("NFKC", text).strip()
    if name == "plate":
        return _BETWEEN.sub("", plain).upper()
    step = FORM[name].step
    if step is None:
        return plain
    try:
        return int(plain) if step == "1" else float(plain)
    except ValueError:
        return plain


def _is_fit(name: str, value: object) -> bool:
    if name == "plate":
        return isinstance(value, str) and _PLATE.fullmatch(value) is not None
    return name in CHOICES or not isinstance(value, str) or len(value) <= _LONGEST_TEXT
