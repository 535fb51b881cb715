"""What a person can do about themselves, whichever door they use: bind, agree, withdraw, be forgotten.

The store is told and the engine is told, in the order that is safe: a no closes the engine first, a yes opens it last.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Protocol

from geo_engine.alerting.policy import QuietHours
from geo_engine.errors import Fault, InputError, StoreError
from geo_engine.model import Language, Vehicle
from geo_engine.people.codes import (
    CODE_COUNT,
    CodeVerdict,
    SmsSender,
    limiter_key,
    pending_code,
    verdict,
)
from geo_engine.people.consents import CONSENT_VERSION, ConsentChannel, Purpose, granted_now
from geo_engine.people.erasure import Erasure, ErasureReason
from geo_engine.people.identity import MOST_VEHICLES, OwnedVehicle, is_open_id, phone_of
from geo_engine.store.protocol import Store

__all__ = ["CodeRequest", "CodeRequested", "EngineDoor", "People", "Profile"]

_log: Final = logging.getLogger(__name__)


class EngineDoor(Protocol):
    """How the running engine is told; ``IngestWorker`` is one."""

    def put_vehicle(self, vehicle: Vehicle) -> None:
        """Tell what somebody drives and agreed to; a no holds before this returns."""
        ...

    def keep_history(self, u7: int, granted: bool) -> None:
        """Keep or stop keeping somebody's history."""
        ...

    def keep_quiet(self, u7: int, hours: QuietHours | None) -> None:
        """Tell somebody's own quiet hours, None = those of the policy; they hold for the next pings."""
        ...

    def forget(self, u7: int) -> Future[None]:
        """Forget somebody; the future ends when no state on disk knows them."""
        ...


class CodeRequest(StrEnum):
    """What became of asking for a code."""

    SENT = "sent"
    BAD_PHONE = "bad_phone"
    WAIT = "wait"
    NOT_TAKEN = "not_taken"
    """The gateway did not take the message; it counts towards the limits all the same."""


@dataclass(frozen=True, slots=True)
class CodeRequested:
    """What became of asking for a code, and how long to wait before the next try when that is why."""

    outcome: CodeRequest
    wait_ms: int = 0


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of a person, for themselves to see.

    Attributes:
        u7: their number.
        phone: eleven digits, None = none bound.
        vehicles: those they bound, in the order of binding.
        driving: the vehicle the rules go by now, also one that was not bound by the person.
        agreed: what holds for each purpose.
    """

    u7: int
    phone: str | None
    vehicles: tuple[OwnedVehicle, ...]
    driving: Vehicle
    agreed: dict[Purpose, bool]

    @property
    def language(self) -> Language:
        """Return the person's language."""
        return self.driving.language


class People:
    """The application's one door to people. Safe for many threads; every method may block on the store.

    Whoever writes to the account follows it, so ``agree`` and the rest make a person of an unknown OpenID; only
    ``withdraw``, ``u7_of`` and ``profile`` do not.

    Args:
        store: who people are.
        engine: the running engine.
        sms: sends codes.
        clock: epoch milliseconds UTC.
        key: secret of the hashes of codes and of the limits, at least 16 bytes. With another one after a restart,
            codes on their way are void and the limits begin anew.
        random_code: returns 0..999,999; a test may give its own.

    Every method raises ``StoreError`` when the store is away.
    """

    def __init__(
        self,
        store: Store,
        engine: EngineDoor,
        sms: SmsSender,
        clock: Callable[[], int],
        key: bytes,
        *,
        random_code: Callable[[], int] = lambda: secrets.randbelow(CODE_COUNT),
    ) -> None:
        self._store = store
        self._engine = engine
        self._sms = sms
        self._clock = clock
        self._key = key
        self._random_code = random_code
        # Erasures end beside the engine's thread: taking values out of the files must not hold up a warning's decision.
        self._ending = ThreadPoolExecutor(1, thread_name_prefix="erasure")
        self._forgetting: set[int] = set()
        # What the store and the engine are told must not cross: one change of people at a time.
        self._lock = threading.RLock()

    # ---- who somebody is

    def follow(self, open_id: str, language: Language = Language.ZH) -> int:
        """Return the number of a person; a new one gets a number, and nothing else: no consent, no vehicle.

        Raises:
            InputError: it is no OpenID.
            StoreError: all numbers are taken.
        """
        if not is_open_id(open_id):
            # The text itself may be anything; it is not repeated.
            fault = Fault("person", "open_id", "a text of another form", "28 letters, digits, _ or -", "malformed")
            raise InputError([fault])
        with self._lock:
            return self._store.follow(open_id, language, self._clock())

    def u7_of(self, open_id: str) -> int | None:
        """Return the number of a person, None when unknown."""
        return self._store.u7_of(open_id)

    def profile(self, open_id: str) -> Profile | None:
        """Return what is known of a person, None when unknown."""
        with self._lock:
            u7 = self._store.u7_of(open_id)
            person = None if u7 is None else self._store.person(u7)
            if person is None:
                return None
            return Profile(
                person.u7,
                self._store.phone_of(person.u7),
                tuple(self._store.vehicles_of(person.u7)),
                person.vehicle,
                granted_now(self._store.consents(person.u7)),
            )

    def set_language(self, open_id: str, language: Language) -> None:
        """Set the language of a person's messages."""
        with self._lock:
            u7 = self.follow(open_id, language)
            self._store.set_language(u7, language)
            self._tell(u7)

    def quiet_hours(self, open_id: str) -> QuietHours | None:
        """Return a person's own quiet hours, None = those of the policy hold."""
        u7 = self._store.u7_of(open_id)
        return None if u7 is None else self._store.quiet_hours(u7=u7).get(u7)

    def keep_quiet(self, open_id: str, hours: QuietHours | None) -> None:
        """Set a person's own quiet hours, None = those of the policy; the engine goes by them from the next ping on."""
        with self._lock:
            u7 = self.follow(open_id)
            self._store.set_quiet_hours(u7, hours, self._clock())
            self._engine.keep_quiet(u7, hours)

    # ---- phone

    def send_code(self, open_id: str, phone_text: str) -> CodeRequested:
        """Send a code to a phone, unless the limits forbid it. Blocks for the gateway.

        The code is in the short message and in this call; the store gets a keyed hash, a log line nothing.
        """
        phone = phone_of(phone_text)
        if phone is None:
            return CodeRequested(CodeRequest.BAD_PHONE)
        with self._lock:
            u7 = self.follow(open_id)
            person = self._store.person(u7)
            code = f"{self._random_code():06d}"
            keys = [limiter_key("u7", str(u7), self._key), limiter_key("phone", phone, self._key)]
            wait_ms = self._store.put_code(pending_code(u7, phone, code, self._key, self._clock()), keys)
        if wait_ms:
            return CodeRequested(CodeRequest.WAIT, wait_ms)
        language = Language.ZH if person is None else person.vehicle.language
        taken = self._sms.send_code(phone, code, language)
        return CodeRequested(CodeRequest.SENT if taken else CodeRequest.NOT_TAKEN)

    def bind_phone(self, open_id: str, typed: str) -> CodeVerdict:
        """Bind the phone a code was sent to, if the code typed is the one; each call is a try."""
        with self._lock:
            u7 = self.follow(open_id)
            pending, now_ms = self._store.try_code(u7), self._clock()
            found = verdict(pending, typed, self._key, now_ms)
            if found is CodeVerdict.RIGHT and pending is not None:
                self._store.set_phone(u7, pending.phone, now_ms)
            return found

    # ---- vehicles

    def put_vehicle(self, open_id: str, vehicle: Vehicle) -> int:
        """Add a vehicle to a person's and make it the active one; return its number.

        ``u7``, consent and language of ``vehicle`` are replaced by the person's own.

        Raises:
            InputError: the person has ``MOST_VEHICLES`` already.
        """
        with self._lock:
            u7 = self.follow(open_id)
            owned = len(self._store.vehicles_of(u7))
            if owned >= MOST_VEHICLES:
                expected = f"fewer than {MOST_VEHICLES}, or one of them removed first"
                raise InputError([Fault("person", "vehicles", f"{owned} vehicles", expected, "too_many_vehicles")])
            person = self._store.person(u7)
            language = vehicle.language if person is None else person.vehicle.language
            number = self._store.put_vehicle(replace(vehicle, u7=u7, language=language), self._clock())
            self._tell(u7)
            return number

    def activate_vehicle(self, open_id: str, vehicle_id: int) -> bool:
        """Judge a person by another of their vehicles from the next ping on; False = it is not theirs."""
        return self._change_vehicles(open_id, vehicle_id, self._store.activate_vehicle)

    def remove_vehicle(self, open_id: str, vehicle_id: int) -> bool:
        """Take one of a person's vehicles away; False = it is not theirs."""
        return self._change_vehicles(open_id, vehicle_id, self._store.remove_vehicle)

    def _change_vehicles(self, open_id: str, vehicle_id: int, change: Callable[[int, int], bool]) -> bool:
        with self._lock:
            u7 = self._store.u7_of(open_id)
            if u7 is None or not change(u7, vehicle_id):
                return False
            self._tell(u7)
            return True

    # ---- consent

    def agree(self, open_id: str, purpose: Purpose, channel: ConsentChannel, *, version: str = CONSENT_VERSION) -> None:
        """Record a yes to one purpose; the engine acts on it from the next ping on."""
        with self._lock:
            u7 = self.follow(open_id)
            self._store.set_consent(u7, purpose.value, True, version, self._clock(), channel.value)
            if purpose is Purpose.WARNINGS:
                self._tell(u7)
            if purpose is Purpose.HISTORY:
                self._engine.keep_history(u7, True)

    def withdraw(
        self,
        open_id: str,
        purposes: Iterable[Purpose],
        channel: ConsentChannel,
        *,
        version: str = CONSENT_VERSION,
    ) -> tuple[Purpose, ...]:
        """Record a no to each purpose that was agreed to, and return these. It holds before this returns.

        At a door it holds in the store then, and in the engine of the other process a moment later.
        A store that can be read but not written does not keep the engine going: it has stopped when ``StoreError``
        says that the record is missing.
        Withdrawing ``warnings`` ends waiting messages, withdrawing ``history`` erases it.
        """
        with self._lock:
            u7 = self._store.u7_of(open_id)
            if u7 is None:
                return ()
            agreed = granted_now(self._store.consents(u7))
            ended = tuple(purpose for purpose in purposes if agreed[purpose])
            for purpose in ended:
                if purpose is Purpose.WARNINGS:
                    self._tell(u7, closed=True)
                if purpose is Purpose.HISTORY:
                    self._engine.keep_history(u7, False)
                self._store.set_consent(u7, purpose.value, False, version, self._clock(), channel.value)
            return ended

    def _tell(self, u7: int, *, closed: bool = False) -> None:
        """Tell the engine what the store knows of a person, or a no the store does not know yet."""
        person = self._store.person(u7)
        if person is not None:
            vehicle = person.vehicle
            self._engine.put_vehicle(replace(vehicle, consent_warnings=False) if closed else vehicle)

    # ---- erasure

    def erase(self, u7: int, reason: ErasureReason) -> str:
        """Erase a person and return the random number of the erasure.

        Before this returns nothing of theirs is in a table any more, and no ping of theirs is judged. Complete (the
        engine's state on disk, what was written meanwhile, the number free) it is a minute or so later.
        """
        with self._lock:
            begun = Erasure(secrets.token_hex(16), u7, reason, self._clock())
            self._store.begin_erasure(begun)
            self._forget(u7)
        return begun.erasure_id

    def resume_erasures(self) -> int:
        """Go on with the erasures an earlier process left under way, and return how many there are."""
        with self._lock:
            left = self._store.erasures()
            for begun in left:
                self._forget(begun.u7)
            return len(left)

    def look_again(self, u7: int) -> bool:
        """Tell the engine what another process changed of a person, by what the store knows now.

        Returns:
            Whether the person is being erased.
        """
        with self._lock:
            if any(begun.u7 == u7 for begun in self._store.erasures()):
                if u7 not in self._forgetting:
                    self._forget(u7)
                return True
            self._tell(u7)
            self._engine.keep_history(u7, granted_now(self._store.consents(u7))[Purpose.HISTORY])
            return False

    def close(self) -> None:
        """End the erasures the engine is done with. To be called when the engine has stopped, before the store is."""
        self._ending.shutdown(wait=True)

    def _forget(self, u7: int) -> None:
        self._forgetting.add(u7)
        self._engine.forget(u7).add_done_callback(lambda _done: self._ending.submit(self._finish, u7))

    def _finish(self, u7: int) -> None:
        """Complete an erasure; what fails is done at the next start, or with the next erasure."""
        with self._lock:
            self._forgetting.discard(u7)
            last = not self._forgetting
        try:
            self._store.finish_erasure(u7, self._clock())
            # Many leave at once when an account annoys them: the files are done once, after the last.
            if last and not self._store.scrub():
                _log.info("the store is large: geo-engine db scrub takes the last copies of erased rows out of it")
        except StoreError as error:
            _log.warning("an erasure is not complete yet: %s", error)
