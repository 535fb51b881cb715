"""What every ledger of windows, grants and attempts must keep, and the token the processes of an account share."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from geo_engine.alerting.reach import (
    Begun,
    Channel,
    Dispatch,
    DispatchState,
    Grant,
    Reach,
    SharedToken,
    Standing,
    Trigger,
    Window,
)
from geo_engine.store import Store
from tests.contract.stores import T0

ANN, BEN = "o-ann", "o-ben"
TEMPLATE = Dispatch("m1", ANN, Channel.TEMPLATE, T0, "t1")
ANSWER = Dispatch("m1", ANN, Channel.CUSTOMER_SERVICE, T0)


def test_nobody_is_known_at_first_and_may_be_written_to(empty: Store) -> None:
    assert empty.reach(ANN) == Reach()


def test_what_is_known_of_one_person_is_not_said_of_another(empty: Store) -> None:
    empty.open_window(ANN, Trigger.MESSAGE, T0)
    empty.accept(ANN, "t1", T0)
    empty.set_standing(ANN, Standing.GONE, T0)
    empty.calm(ANN, T0)
    assert empty.reach(BEN) == Reach()


# ---- windows


def test_windows_are_listed_one_per_trigger(empty: Store) -> None:
    for at_ms, trigger in enumerate((Trigger.SCAN, Trigger.MESSAGE, Trigger.CLICK)):
        empty.open_window(ANN, trigger, T0 + at_ms)
    expected = (Window(Trigger.CLICK, T0 + 2), Window(Trigger.MESSAGE, T0 + 1), Window(Trigger.SCAN, T0))
    assert empty.reach(ANN).windows == expected


@pytest.mark.parametrize(("again_ms", "used"), [(T0, 1), (T0 - 1, 1), (T0 + 1, 0)])
def test_only_a_later_trigger_opens_a_window_anew(empty: Store, again_ms: int, used: int) -> None:
    empty.open_window(ANN, Trigger.CLICK, T0)
    empty.begin(ANSWER, Window(Trigger.CLICK, T0))
    empty.open_window(ANN, Trigger.CLICK, again_ms)
    assert empty.reach(ANN).windows == (Window(Trigger.CLICK, max(again_ms, T0), used),)


def test_a_closed_window_is_forgotten_unless_it_was_opened_anew(empty: Store) -> None:
    empty.open_window(ANN, Trigger.CLICK, T0)
    empty.open_window(ANN, Trigger.MESSAGE, T0 + 5)
    empty.close_window(ANN, Window(Trigger.CLICK, T0, 3))
    empty.close_window(ANN, Window(Trigger.MESSAGE, T0))
    assert empty.reach(ANN).windows == (Window(Trigger.MESSAGE, T0 + 5),)


# ---- grants


def test_every_acceptance_counts_once_however_often_it_is_pushed(empty: Store) -> None:
    for at_ms in (T0, T0 + 1_000, T0 + 1_000, T0):
        empty.accept(ANN, "t1", at_ms)
    assert empty.reach(ANN).grants == (Grant("t1", 2, T0 + 1_000),)


def test_an_acceptance_for_good_is_not_counted_down(empty: Store) -> None:
    empty.accept(ANN, "t1", T0, for_good=True)
    assert empty.begin(replace(TEMPLATE, channel=Channel.LONG_TERM), Grant("t1", None, T0)).ok
    empty.settle("m1", DispatchState.NOT_TAKEN)
    assert empty.reach(ANN).grants == (Grant("t1", None, T0),)


def test_a_refusal_ends_what_was_accepted_before_it_and_not_after(empty: Store) -> None:
    empty.accept(ANN, "t1", T0)
    empty.accept(ANN, "t2", T0 + 2)
    for template_id in ("t1", "t2"):
        empty.refuse(ANN, template_id, T0 + 1)
    assert empty.reach(ANN).grants == (Grant("t1", 0, T0 + 1), Grant("t2", 1, T0 + 2))


def test_a_refusal_pushed_before_the_acceptance_it_follows_holds(empty: Store) -> None:
    empty.refuse(ANN, "t1", T0 + 1)
    empty.accept(ANN, "t1", T0)
    assert empty.reach(ANN).grants == (Grant("t1", 0, T0 + 1),)


def test_an_acceptance_after_a_refusal_counts_anew(empty: Store) -> None:
    empty.accept(ANN, "t1", T0, for_good=True)
    empty.refuse(ANN, "t1", T0 + 1)
    empty.accept(ANN, "t1", T0 + 2)
    assert empty.reach(ANN).grants == (Grant("t1", 1, T0 + 2),)


# ---- standing


def test_the_last_word_about_a_person_counts_in_whatever_order_it_comes(empty: Store) -> None:
    empty.set_standing(ANN, Standing.GONE, T0 + 1)
    empty.set_standing(ANN, Standing.OPEN, T0)
    assert empty.reach(ANN).standing is Standing.GONE
    empty.set_standing(ANN, Standing.OPEN, T0 + 1)
    assert empty.reach(ANN).standing is Standing.OPEN


def test_a_calm_is_never_shortened_and_leaves_the_standing_alone(empty: Store) -> None:
    empty.set_standing(ANN, Standing.UNWANTED, T0)
    for until_ms in (T0 + 5, T0 + 9, T0 + 1):
        empty.calm(ANN, until_ms)
    assert empty.reach(ANN) == Reach(Standing.UNWANTED, T0 + 9, standing_ms=T0)


def test_a_standing_leaves_the_calm_alone(empty: Store) -> None:
    empty.calm(ANN, T0 + 9)
    empty.set_standing(ANN, Standing.GONE, T0)
    assert empty.reach(ANN) == Reach(Standing.GONE, T0 + 9, standing_ms=T0)


# ---- attempts


def test_an_attempt_is_kept_with_what_became_of_it(empty: Store) -> None:
    assert empty.dispatch("m1") is None
    assert empty.begin(TEMPLATE, None) == Begun(ok=True)
    assert empty.dispatch("m1") == TEMPLATE
    empty.settle("m1", DispatchState.TAKEN, "4711")
    assert empty.dispatch("m1") == replace(TEMPLATE, state=DispatchState.TAKEN, msg_id="4711")


def test_a_taken_message_never_leaves_again(empty: Store) -> None:
    empty.begin(TEMPLATE, None)
    empty.settle("m1", DispatchState.TAKEN, "4711")
    assert empty.begin(TEMPLATE, None) == Begun(ok=False, earlier=empty.dispatch("m1"))


def test_a_template_of_unknown_outcome_may_be_repeated_as_it_was_and_not_otherwise(empty: Store) -> None:
    empty.open_window(ANN, Trigger.CLICK, T0)
    empty.begin(TEMPLATE, None)
    assert empty.begin(ANSWER, Window(Trigger.CLICK, T0)) == Begun(ok=False, earlier=TEMPLATE)
    assert empty.begin(replace(TEMPLATE, template_id="t2"), None) == Begun(ok=False, earlier=TEMPLATE)
    assert empty.begin(TEMPLATE, None).ok
    assert empty.reach(ANN).windows == (Window(Trigger.CLICK, T0),)


def test_an_answer_of_unknown_outcome_is_never_repeated(empty: Store) -> None:
    empty.open_window(ANN, Trigger.CLICK, T0)
    assert empty.begin(ANSWER, Window(Trigger.CLICK, T0)).ok
    assert empty.begin(ANSWER, Window(Trigger.CLICK, T0, 1)) == Begun(ok=False, earlier=ANSWER)
    assert empty.begin(TEMPLATE, None) == Begun(ok=False, earlier=ANSWER)


def test_an_attempt_that_was_not_taken_gives_back_and_frees_the_way(empty: Store) -> None:
    empty.open_window(ANN, Trigger.CLICK, T0)
    empty.begin(ANSWER, Window(Trigger.CLICK, T0))
    empty.settle("m1", DispatchState.NOT_TAKEN)
    empty.settle("m1", DispatchState.NOT_TAKEN)
    assert empty.reach(ANN).windows == (Window(Trigger.CLICK, T0),)
    assert empty.begin(TEMPLATE, None).ok


def test_nothing_is_given_back_to_a_window_opened_since(empty: Store) -> None:
    empty.open_window(ANN, Trigger.CLICK, T0)
    empty.begin(ANSWER, Window(Trigger.CLICK, T0))
    empty.open_window(ANN, Trigger.CLICK, T0 + 1)
    empty.begin(replace(ANSWER, client_msg_id="m2"), Window(Trigger.CLICK, T0 + 1))
    empty.settle("m1", DispatchState.NOT_TAKEN)
    assert empty.reach(ANN).windows == (Window(Trigger.CLICK, T0 + 1, 1),)


def test_a_grant_is_spent_by_an_attempt_and_given_back(empty: Store) -> None:
    empty.accept(ANN, "t1", T0)
    one_time = replace(TEMPLATE, channel=Channel.ONE_TIME)
    assert empty.begin(one_time, Grant("t1", 1, T0)).ok
    assert empty.reach(ANN).grants == (Grant("t1", 0, T0),)
    empty.settle("m1", DispatchState.NOT_TAKEN)
    assert empty.reach(ANN).grants == (Grant("t1", 1, T0),)


@pytest.mark.parametrize("spends", [Window(Trigger.CLICK, T0), Grant("t1", 1, T0)])
def test_a_window_or_grant_that_changed_is_not_spent(empty: Store, spends: Window | Grant) -> None:
    empty.open_window(ANN, Trigger.CLICK, T0 + 1)
    empty.accept(ANN, "t1", T0 + 1)
    before = empty.reach(ANN)
    assert empty.begin(ANSWER, spends) == Begun(ok=False)
    assert (empty.reach(ANN), empty.dispatch("m1")) == (before, None)


def test_many_at_once_spend_one_place_once(empty: Store) -> None:
    empty.open_window(ANN, Trigger.CLICK, T0)
    attempts = [replace(ANSWER, client_msg_id=f"m{number}") for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        begun = list(pool.map(lambda one: empty.begin(one, Window(Trigger.CLICK, T0)).ok, attempts))
    assert sum(begun) == 1
    assert empty.reach(ANN).windows == (Window(Trigger.CLICK, T0, 1),)


def test_settling_what_nobody_began_changes_nothing(empty: Store) -> None:
    empty.settle("m9", DispatchState.TAKEN)
    assert empty.dispatch("m9") is None


def test_old_attempts_are_dropped_and_the_windows_they_used_stay(empty: Store) -> None:
    empty.open_window(ANN, Trigger.CLICK, T0)
    empty.begin(replace(ANSWER, client_msg_id="old", at_ms=T0), Window(Trigger.CLICK, T0))
    empty.begin(replace(TEMPLATE, client_msg_id="new", at_ms=T0 + 1), None)
    assert empty.drop_dispatches(T0) == 0
    assert empty.drop_dispatches(T0 + 1) == 1
    assert empty.dispatch("old") is None
    assert empty.dispatch("new") is not None
    assert empty.reach(ANN).windows == (Window(Trigger.CLICK, T0, 1),)


def test_erasing_a_person_leaves_nothing_of_them_and_everything_of_others(empty: Store) -> None:
    for open_id, name in ((ANN, "m1"), (BEN, "m2")):
        empty.open_window(open_id, Trigger.CLICK, T0)
        empty.accept(open_id, "t1", T0)
        empty.set_standing(open_id, Standing.GONE, T0)
        empty.calm(open_id, T0)
        empty.begin(replace(TEMPLATE, client_msg_id=name, open_id=open_id), None)
    of_ben = empty.reach(BEN)
    empty.forget_reach(ANN)
    assert (empty.reach(ANN), empty.dispatch("m1")) == (Reach(), None)
    assert (empty.reach(BEN), empty.dispatch("m2")) == (of_ben, replace(TEMPLATE, client_msg_id="m2", open_id=BEN))


# ---- the token


def test_there_is_no_token_at_first(empty: Store) -> None:
    assert empty.shared_token("wx1") == SharedToken()


def test_a_token_is_swapped_by_whoever_saw_the_last_one(empty: Store) -> None:
    first = SharedToken("a", T0, lease_until_ms=3, forced_at_ms=T0)
    assert empty.swap_token("wx1", first, seen=0)
    assert not empty.swap_token("wx1", SharedToken("b", T0), seen=0)
    assert empty.shared_token("wx1") == replace(first, version=1)
    assert empty.swap_token("wx1", SharedToken("b", T0), seen=1)
    assert empty.shared_token("wx1") == SharedToken("b", T0, version=2)
    assert empty.shared_token("wx2") == SharedToken()


@pytest.mark.parametrize("seen", [0, 1])
def test_one_of_many_swaps_wins(empty: Store, seen: int) -> None:
    if seen:
        empty.swap_token("wx1", SharedToken("first", T0), seen=0)
    with ThreadPoolExecutor(8) as pool:
        tokens = [SharedToken(str(number), T0) for number in range(8)]
        won = list(pool.map(lambda token: empty.swap_token("wx1", token, seen=seen), tokens))
    assert sum(won) == 1
    assert empty.shared_token("wx1") == replace(tokens[won.index(True)], version=seen + 1)


def test_a_token_stands_in_no_repr() -> None:
    assert "secret" not in repr(SharedToken("secret", T0))


# ---- the step of the schema
