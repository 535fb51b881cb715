"""The owner of the access token: caching, one renewal at a time, compare and swap."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from geo_engine.alerting.message import Outcome, SendResult
from geo_engine.alerting.reach import SharedToken
from geo_engine.store.memory import MemoryStore
from geo_engine.wechat.access_token import TokenError, TokenGrant, TokenOwner

LIFETIME_MS = 7_200_000


class Server:
    """A stable_token interface: the same token until it is forced or told to change."""

    def __init__(self) -> None:
        self.calls: list[bool] = []
        self.number = 1
        self.failure: SendResult | None = None
        self.lifetime_ms = LIFETIME_MS
        self.gate = threading.Event()
        self.gate.set()

    def fetch(self, force: bool) -> TokenGrant:
        """Answer as told, once the gate is open."""
        self.calls.append(force)
        assert self.gate.wait(10)
        if self.failure is not None:
            raise TokenError(self.failure)
        self.number += force
        return TokenGrant(f"token-{self.number}", self.lifetime_ms)


class Clock:
    """Milliseconds that pass when told to."""

    def __init__(self) -> None:
        self.now_ms = 0

    def __call__(self) -> int:
        """Return the time."""
        return self.now_ms


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def owner(server: Server, clock: Clock) -> TokenOwner:
    return TokenOwner(server.fetch, clock)


def test_a_token_is_fetched_once_and_kept(owner: TokenOwner, server: Server, clock: Clock) -> None:
    assert owner.current() == "token-1"
    clock.now_ms = LIFETIME_MS - 300_001
    assert owner.current() == "token-1"
    assert server.calls == [False]


def test_a_token_is_fetched_anew_five_minutes_before_its_end(owner: TokenOwner, server: Server, clock: Clock) -> None:
    owner.current()
    server.number = 2
    clock.now_ms = LIFETIME_MS - 300_000
    assert owner.current() == "token-2"
    assert server.calls == [False, False]


def test_a_short_lived_token_is_still_kept_for_half_its_life(owner: TokenOwner, server: Server, clock: Clock) -> None:
    server.lifetime_ms = 200_000
    owner.current()
    clock.now_ms = 99_999
    owner.current()
    assert server.calls == [False]


def test_a_refused_token_that_the_server_still_hands_out_is_forced(owner: TokenOwner, server: Server) -> None:
    assert owner.replace(owner.current()) == "token-2"
    assert server.calls == [False, False, True]


def test_a_refused_token_that_another_process_renewed_is_not_forced(owner: TokenOwner, server: Server) -> None:
    refused = owner.current()
    server.number = 7
    assert owner.replace(refused) == "token-7"
    assert server.calls == [False, False]


def test_a_refused_token_that_was_replaced_already_costs_no_call(owner: TokenOwner, server: Server) -> None:
    refused = owner.current()
    assert owner.replace(refused) == owner.replace(refused) == "token-2"
    assert server.calls == [False, False, True]


def test_a_second_forced_renewal_waits_for_thirty_seconds(owner: TokenOwner, server: Server, clock: Clock) -> None:
    second = owner.replace(owner.current())
    clock.now_ms = 10_000
    with pytest.raises(TokenError) as refusal:
        owner.replace(second)
    assert refusal.value.result.outcome is Outcome.RETRY
    assert refusal.value.result.retry_after_s == 20.0
    clock.now_ms = 30_000
    assert owner.replace(second) == "token-3"
    assert server.calls.count(True) == 2


def test_many_threads_with_one_refused_token_cause_one_forced_renewal(owner: TokenOwner, server: Server) -> None:
    refused = owner.current()
    with ThreadPoolExecutor(16) as pool:
        tokens = list(pool.map(owner.replace, [refused] * 200))
    assert set(tokens) == {"token-2"}
    assert server.calls == [False, False, True]


def test_a_token_refused_for_ever_costs_one_renewal_however_many_are_refused(owner: TokenOwner, server: Server) -> None:
    def replaced_twice(refused: str) -> str:
        with pytest.raises(TokenError, match="less than 30 s"):
            owner.replace(owner.replace(refused))
        return "refused"

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(replaced_twice, [owner.current()] * 1_000)) == {"refused"}
    assert server.calls == [False, False, True]


def test_those_who_waited_for_a_failed_fetch_share_its_failure(owner: TokenOwner, server: Server) -> None:
    server.failure = SendResult(Outcome.RETRY, detail="away")
    server.gate.clear()

    def details() -> str:
        with pytest.raises(TokenError) as refusal:
            owner.current()
        return refusal.value.result.detail

    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(details) for _ in range(8)]
        while not server.calls:
            pass
        # Every other thread is at the lock, or will be before the gate lets the first one go.
        threading.Event().wait(0.2)
        server.gate.set()
        assert {future.result() for future in waiting} == {"away"}
    assert server.calls == [False]


def test_after_a_failure_the_next_caller_tries_again(owner: TokenOwner, server: Server) -> None:
    server.failure = SendResult(Outcome.RETRY, detail="away")
    with pytest.raises(TokenError, match="away"):
        owner.current()
    server.failure = None
    assert owner.current() == "token-1"


@pytest.fixture
def shelf() -> MemoryStore:
    return MemoryStore()


def sharing(server: Server, clock: Clock, shelf: MemoryStore, wait: Callable[[float], None]) -> TokenOwner:
    return TokenOwner(server.fetch, clock, shelf=shelf, account="wx1", lease_ms=15_000, wait=wait)


def never(_seconds: float) -> None:
    pytest.fail("waited although nobody renews")


def test_a_second_process_takes_the_token_of_the_first(server: Server, clock: Clock, shelf: MemoryStore) -> None:
    first, second = (sharing(server, clock, shelf, never) for _ in range(2))
    assert first.current() == second.current() == "token-1"
    assert server.calls == [False]


def test_two_processes_with_one_refused_token_force_it_once(server: Server, clock: Clock, shelf: MemoryStore) -> None:
    first, second = (sharing(server, clock, shelf, never) for _ in range(2))
    refused = {first.current(), second.current()}.pop()
    assert first.replace(refused) == second.replace(refused) == "token-2"
    assert server.calls == [False, False, True]


def test_a_second_process_keeps_the_pause_between_two_forced_renewals(
    server: Server, clock: Clock, shelf: MemoryStore
) -> None:
    first, second = (sharing(server, clock, shelf, never) for _ in range(2))
    new = first.replace(first.current())
    clock.now_ms += 10_000
    with pytest.raises(TokenError) as refusal:
        second.replace(new)
    assert refusal.value.result.retry_after_s == 20.0
    assert server.calls == [False, False, True]


def test_a_process_waits_for_the_renewal_of_another(server: Server, clock: Clock, shelf: MemoryStore) -> None:
    shelf.swap_token("wx1", SharedToken(lease_until_ms=15_000), seen=0)
    waited: list[float] = []

    def other_process_ends(seconds: float) -> None:
        waited.append(seconds)
        clock.now_ms += 50
        if len(waited) == 3:
            shelf.swap_token("wx1", SharedToken("token-7", LIFETIME_MS), seen=1)

    assert sharing(server, clock, shelf, other_process_ends).current() == "token-7"
    assert (server.calls, len(waited)) == ([], 3)


def test_the_lease_of_a_process_that_died_runs_out(server: Server, clock: Clock, shelf: MemoryStore) -> None:
    shelf.swap_token("wx1", SharedToken(lease_until_ms=15_000), seen=0)

    def pass_the_time(seconds: float) -> None:
        clock.now_ms += max(round(seconds * 1_000), 1)

    assert sharing(server, clock, shelf, pass_the_time).current() == "token-1"
    assert clock.now_ms >= 15_000


def test_a_failed_renewal_ends_its_lease(server: Server, clock: Clock, shelf: MemoryStore) -> None:
    server.failure = SendResult(Outcome.RETRY, detail="away")
    with pytest.raises(TokenError, match="away"):
        sharing(server, clock, shelf, never).current()
    server.failure = None
    assert sharing(server, clock, shelf, never).current() == "token-1"


def test_a_shelf_that_is_away_is_no_token_and_no_crash(server: Server, clock: Clock, shelf: MemoryStore) -> None:
    shelf.close()
    with pytest.raises(TokenError, match="store is away") as refusal:
        sharing(server, clock, shelf, never).current()
    assert refusal.value.result.outcome is Outcome.RETRY


def test_a_token_does_not_show_in_a_repr(owner: TokenOwner) -> None:
    owner.current()
    assert "token-1" not in repr(owner)
    assert "token-1" not in repr(TokenGrant("token-1", 1))
