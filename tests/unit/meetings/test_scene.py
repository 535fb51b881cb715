"""The signed scene of a QR code: short enough, true to its meeting and its time, and not to be invented."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo_engine.meetings.meeting import Refusal
from geo_engine.meetings.scene import MAX_SCENE, meeting_id_of, read_scene, scene_of
from geo_engine.testing import noon_ms

KEY, OLD, STRANGE = b"k" * 32, b"o" * 32, b"s" * 32
MEETING_ID = meeting_id_of(bytes(range(8)))
SCENE = scene_of(MEETING_ID, noon_ms + 60_000, KEY)


@given(st.binary(min_size=8, max_size=8), st.integers(1, 4_102_444_800_000))
def test_a_scene_fits_and_comes_back_until_its_end(random: bytes, expires_ms: int) -> None:
    meeting_id = meeting_id_of(random)
    scene = scene_of(meeting_id, expires_ms, KEY)
    assert len(scene) <= MAX_SCENE
    end_ms = expires_ms // 1000 * 1000
    assert read_scene(scene, [KEY], end_ms - 1) == meeting_id
    assert read_scene(scene, [KEY], end_ms) is Refusal.SCENE_EXPIRED


def test_both_ways_of_wechat_are_read() -> None:
    assert read_scene(SCENE, [KEY], noon_ms) == read_scene(f"qrscene_{SCENE}", [KEY], noon_ms) == MEETING_ID


def test_a_key_that_was_replaced_still_counts_and_a_strange_one_does_not() -> None:
    assert read_scene(SCENE, [OLD, KEY], noon_ms) == MEETING_ID
    assert read_scene(SCENE, [OLD, STRANGE], noon_ms) is Refusal.UNKNOWN
    assert read_scene(SCENE, [], noon_ms) is Refusal.UNKNOWN


@given(st.integers(0, len(SCENE) - 1), st.characters(min_codepoint=33, max_codepoint=126))
def test_one_changed_character_is_refused(place: int, char: str) -> None:
    forged = SCENE[:place] + char + SCENE[place + 1 :]
    found = read_scene(forged, [KEY], noon_ms)
    assert found == MEETING_ID if forged == SCENE else found is Refusal.UNKNOWN


def test_a_later_end_cannot_be_written_in() -> None:
    prefix, meeting_id, _, signature = SCENE.split(".")
    assert read_scene(f"{prefix}.{meeting_id}.zzzzzzz.{signature}", [KEY], noon_ms) is Refusal.UNKNOWN


@pytest.mark.parametrize("scene", ["", "m.", "last_trade_no_123", "m.x.y.z", SCENE + "x", f"{SCENE}\n", "会议"])
def test_what_is_no_scene_of_ours_is_unknown(scene: str) -> None:
    assert read_scene(scene, [KEY], noon_ms) is Refusal.UNKNOWN


def test_a_short_key_and_too_little_randomness_are_refused() -> None:
    with pytest.raises(ValueError, match="expected at least 16"):
        scene_of(MEETING_ID, noon_ms, b"short")
    with pytest.raises(ValueError, match="expected 8"):
        meeting_id_of(b"1234567")
