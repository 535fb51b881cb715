"""The push side of the fake server: signs, seals, waits five seconds, tries three times, and looks at the answer."""

from __future__ import annotations

import heapq
import itertools
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Final
from urllib.parse import urlencode, urlsplit

import urllib3

from geo_engine.errors import ConfigurationError
from geo_engine.wechat.crypto import Sealer, signature
from geo_engine.wechat.fake_faults import FakeFault, FaultKind, FaultPlan
from geo_engine.wechat.fake_model import CallbackTarget, FakeSettings, JsonObject, PushMode
from geo_engine.wechat.fake_replies import BadReply, Reply, check_reply
from geo_engine.wechat.fake_xml import Pushed, envelope

__all__ = ["PushRecord", "Pusher", "sign"]

_WORKERS: Final = 16
_REMEMBERED: Final = 100_000
_HELD_S: Final = 2.0


def sign(token: str, timestamp: str, nonce: str) -> str:
    """Return WeChat's signature: SHA-1 of the three texts, sorted as strings and joined."""
    return signature(token, timestamp, nonce)


@dataclass(frozen=True, slots=True)
class PushRecord:
    """What came of a push.

    Attributes:
        kind: the type of a message, the name of an event.
        open_id: whom it was about.
        time_ms: epoch milliseconds of the account at its end.
        outcome: ``silent`` (success, or no bytes), ``replied``, ``unavailable`` (the person reads that the service
            is not available) or ``held`` (a planned fault lets others go first).
        tries: how often it was posted.
        took_ms: real milliseconds of the last try.
        problem: what was wrong with the last answer, empty = nothing.
    """

    kind: str
    open_id: str
    time_ms: int
    outcome: str
    tries: int = 0
    took_ms: int = 0
    problem: str = ""

    def to_json(self) -> JsonObject:
        """Return the record as a JSON object."""
        values: JsonObject = asdict(self)
        values["openid"] = values.pop("open_id")
        return values


@dataclass(frozen=True, slots=True)
class _Query:
    """What signs one push; a repeat of the same push carries it again."""

    timestamp: str
    nonce: str


class Pusher:
    """Posts what happens to the account's callback. Safe for many threads.

    The deadline and all waiting are real time; signatures, like everything else of the account, go by its clock.

    Args:
        settings: the account; its callback says where to, how and with which keys.
        clock: epoch milliseconds of the account.
        faults: what is to go wrong.
        on_reply: told of every well-formed reply.

    Raises:
        ConfigurationError: the account has no callback, or it is not an http(s) address.
    """

    def __init__(
        self,
        settings: FakeSettings,
        clock: Callable[[], int],
        faults: FaultPlan,
        on_reply: Callable[[str, Reply], None] = lambda _open_id, _reply: None,
    ) -> None:
        self.posted = 0
        self.failed = 0
        self._settings, self._clock, self._faults, self._on_reply = settings, clock, faults, on_reply
        self.retarget(settings.callback)
        self._records: deque[PushRecord] = deque(maxlen=_REMEMBERED)
        self._lock = threading.Condition()
        self._later: list[tuple[float, int, Pushed]] = []
        self._held: list[tuple[int, Pushed]] = []
        self._order = itertools.count()
        self._closing = self._gone = False
        self._under_way: set[Future[object]] = set()
        self._http = urllib3.PoolManager(
            retries=False, timeout=urllib3.Timeout(total=settings.push_deadline_s), maxsize=_WORKERS
        )
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="fake-wechat-push")
        self._thread = threading.Thread(target=self._work, name="fake-wechat-pushes", daemon=True)
        self._thread.start()

    def retarget(self, target: CallbackTarget | None) -> None:
        """Push to another place, in another way or with another key, from the next push on."""
        if target is None or urlsplit(target.url).scheme not in {"http", "https"}:
            message = f"callback: found {target and target.url!r}, expected an http(s) address"
            raise ConfigurationError(message)
        sealer = None if target.pushes is PushMode.PLAIN else Sealer(target.app_id, [target.aes_key])
        self._way = (target, sealer)

    @property
    def target(self) -> CallbackTarget:
        """Return where pushes go."""
        return self._way[0]

    def records(self, open_id: str | None = None) -> tuple[PushRecord, ...]:
        """Return what came of the pushes, oldest first; of one person when ``open_id`` is given."""
        with self._lock:
            return tuple(one for one in self._records if open_id is None or one.open_id == open_id)

    def check(self) -> bool:
        """Make the GET by which WeChat checks the address; True = the callback answered it right."""
        target, echo = self._way[0], secrets.token_hex(8)
        query = self._query(0.0)
        address = _address(target, {**_signed(target, query), "echostr": echo})
        try:
            answer = self._http.request("GET", address, redirect=False)
        except urllib3.exceptions.HTTPError:
            return False
        return answer.status == 200 and answer.data == echo.encode()

    def now(self, pushed: Pushed) -> PushRecord:
        """Push and return what came of it. Cost: a request, at worst three times the deadline."""
        fault = self._faults.take_push(pushed.kind)
        if fault is None:
            record = self._delivered(pushed)
        elif fault.kind is FaultKind.REORDER_PUSH:
            return self._hold(pushed, fault)
        elif fault.kind is FaultKind.SKEW_PUSH:
            record = self._delivered(pushed, skew_s=fault.seconds)
        elif fault.kind is FaultKind.LOSE_ANSWER:
            record = self._delivered(pushed, lost=fault.count)
        else:
            record = self._copied(pushed, fault.count)
        self._let_go()
        return record

    def later(self, pushed: Pushed, delay_s: float) -> None:
        """Push after a while; returns at once."""
        with self._lock:
            heapq.heappush(self._later, (time.monotonic() + delay_s, next(self._order), pushed))
            self._lock.notify()

    def settle(self) -> None:
        """Push at once what waits, and return when all of it is answered."""
        while True:
            with self._lock:
                due, self._later = [one for *_, one in sorted(self._later)], []
                held, self._held = [one for _, one in self._held], []
                waiting = list(self._under_way)
            if not due and not held and not waiting:
                return
            for future in waiting:
                future.result()
            for pushed in due:
                self._now_unless_gone(pushed)
            for pushed in held:
                self._delivered(pushed)

    def close(self) -> None:
        """Push what waits and end the threads; the first that fails now ends it too, for the callback is gone."""
        with self._lock:
            self._closing = True
            self._lock.notify()
        self._thread.join()
        self.settle()
        self._pool.shutdown()
        self._http.clear()

    # ---- under way

    def _work(self) -> None:
        """Hand on what is due, until closed."""
        while True:
            with self._lock:
                while not self._closing and not (self._later and self._later[0][0] <= time.monotonic()):
                    self._lock.wait(self._later[0][0] - time.monotonic() if self._later else None)
                if self._closing:
                    return
                pushed = heapq.heappop(self._later)[2]
                future: Future[object] = self._pool.submit(self._now_unless_gone, pushed)
                self._under_way.add(future)
            future.add_done_callback(self._landed)

    def _landed(self, future: Future[object]) -> None:
        with self._lock:
            self._under_way.discard(future)

    def _now_unless_gone(self, pushed: Pushed) -> None:
        if not self._gone:
            self.now(pushed)

    def _copied(self, pushed: Pushed, copies: int) -> PushRecord:
        """Push the same several times at once; of several replies a phone shows one."""
        query = self._query(0.0)
        beside = [self._pool.submit(self._delivered, pushed, query, shows=False) for _ in range(copies)]
        record = self._delivered(pushed, query)
        for one in beside:
            one.result()
        return record

    def _hold(self, pushed: Pushed, fault: FakeFault) -> PushRecord:
        with self._lock:
            self._held.append((fault.count, pushed))
        # Nobody else may ever push: then it goes after a while.
        timer = threading.Timer(fault.seconds or _HELD_S, self._release, [pushed])
        timer.daemon = True
        timer.start()
        return PushRecord(pushed.kind, pushed.open_id, self._clock(), "held")

    def _release(self, pushed: Pushed) -> None:
        with self._lock:
            mine = [one for one in self._held if one[1] is pushed]
            self._held = [one for one in self._held if one[1] is not pushed]
        if mine and not self._closing:
            self._delivered(pushed)

    def _let_go(self) -> None:
        """Count one more push for those that are held back, and push those that waited long enough."""
        with self._lock:
            counted = [(left - 1, pushed) for left, pushed in self._held]
            free = [pushed for left, pushed in counted if left <= 0]
            self._held = [one for one in counted if one[0] > 0]
        for pushed in free:
            self._delivered(pushed)

    def _delivered(
        self, pushed: Pushed, query: _Query | None = None, *, lost: int = 0, skew_s: float = 0.0, shows: bool = True
    ) -> PushRecord:
        """Try until there is an answer; ``lost`` answers do not reach WeChat. The record is kept."""
        way = self._way
        record = PushRecord(pushed.kind, pushed.open_id, self._clock(), "unavailable")
        for number in range(1, (1 if self._closing else self._settings.push_tries) + 1):
            began_s = time.monotonic()
            body, problem = self._posted(pushed, query or self._query(skew_s), *way)
            took_s = time.monotonic() - began_s
            if took_s > self._settings.push_deadline_s:
                body, problem = None, f"no answer in {self._settings.push_deadline_s} s"
            if number <= lost:
                body, problem = None, "the answer was lost (a planned fault)"
            record = replace(record, tries=number, took_ms=round(1000 * took_s), problem=problem)
            if body is not None:
                record = self._judged(record, body, pushed, shows=shows)
                break
            query = None  # another signature for another try
        self._note(replace(record, time_ms=self._clock()))
        return record

    def _judged(self, record: PushRecord, body: bytes, pushed: Pushed, *, shows: bool) -> PushRecord:
        try:
            reply = check_reply(body, pushed, *self._way)
        except BadReply as error:
            return replace(record, problem=str(error))
        if reply is None:
            return replace(record, outcome="silent")
        if shows:
            self._on_reply(pushed.open_id, reply)
        return replace(record, outcome="replied")

    def _posted(
        self, pushed: Pushed, query: _Query, target: CallbackTarget, sealer: Sealer | None
    ) -> tuple[bytes | None, str]:
        """Return the body of the answer, None = there is none, and then why."""
        signed = {**_signed(target, query), "openid": pushed.open_id}
        document = pushed.document()
        if sealer is not None:
            sealed = sealer.seal(document, secrets.token_bytes(16))
            signed["encrypt_type"] = "aes"
            signed["msg_signature"] = signature(target.token, query.timestamp, query.nonce, sealed)
            document = pushed.document(envelope(sealed))
            if target.pushes is PushMode.SAFE:
                document = document[: document.index(b"<FromUserName>")] + f"{envelope(sealed)}</xml>".encode()
        headers = {"content-type": "text/xml"}
        try:
            answer = self._http.request(
                "POST", _address(target, signed), body=document, headers=headers, redirect=False
            )
        except urllib3.exceptions.HTTPError as error:
            return None, f"no answer ({type(error).__name__})"
        if answer.status != 200:
            return None, f"HTTP status {answer.status}"
        return answer.data, ""

    def _query(self, skew_s: float) -> _Query:
        return _Query(str(self._clock() // 1000 + round(skew_s)), str(secrets.randbelow(10**10)))

    def _note(self, record: PushRecord) -> None:
        with self._lock:
            good = record.outcome != "unavailable"
            self.posted += good
            self.failed += not good
            self._gone = self._gone or (self._closing and not good)
            self._records.append(record)


def _signed(target: CallbackTarget, query: _Query) -> dict[str, str]:
    return {
        "signature": sign(target.token, query.timestamp, query.nonce),
        "timestamp": query.timestamp,
        "nonce": query.nonce,
    }


def _address(target: CallbackTarget, query: dict[str, str]) -> str:
    separator = "&" if urlsplit(target.url).query else "?"
    return f"{target.url}{separator}{urlencode(query)}"
