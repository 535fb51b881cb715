"""A short run of the fuzzer with every test; ``python -m tests.fuzz.pushes`` is the long one."""

from __future__ import annotations

import pytest

from geo_engine.wechat.inbound import Kind
from geo_engine.wechat.push_tree import PushReason
from tests.fuzz import pushes
from tests.fuzz.pushes import SEEDS, one_body, run


def test_mutated_bodies_are_read_or_refused() -> None:
    found = run(20_000, seed=7)
    assert found.total() == 20_000
    # Neither all refused nor all read: both sides of every reader were reached.
    assert {kind.value for kind in (Kind.PING, Kind.TEXT, Kind.SUBSCRIBE, Kind.OTHER)} <= set(found)
    reasons = (PushReason.DOCTYPE, PushReason.NOT_READABLE, PushReason.MALFORMED, PushReason.NO_POSITION)
    assert {reason.value for reason in reasons} <= set(found)


@pytest.mark.parametrize("way", [0, 2, 3])
def test_the_seeds_are_pushes(way: int) -> None:
    xml = [body for body in SEEDS[:-1] if body.startswith(b"<")]
    kinds = {kind.value for kind in Kind}
    assert [name for name in (one_body(body, way) for body in xml) if name not in kinds] == []


def test_an_exception_that_is_not_ours_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_body: bytes, **_rest: object) -> object:
        message = "find me"
        raise KeyError(message)

    monkeypatch.setattr(pushes, "read_push", broken)
    with pytest.raises(KeyError):
        run(100, seed=7)
