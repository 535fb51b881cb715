"""Where a user is believed to be: the ping itself while he drives, its running mean while he stands.

The error of positions a few seconds apart is nearly the same, so counting pings in a row says little; what helps is to
know that somebody stands. Then the mean of his pings is right to a few metres after some minutes, and a border counts
only when it is further away than the doubt that is left. Whoever drives is believed at once.

A slow driver, or one whose positions are vague, looks like standing for a while, and his mean comes behind him. So the
row remembers where his stand began. Once his mean is two radii away from there he has walked: that way is searched for
zones passed through. When he drives, or enters or leaves a zone, the way is searched as well.

The limits were chosen on parked vehicles with correlated noise (``benchmarks/quality``): ten metres outside a border,
sigma 10 m, a ping every 5 s, they give less than 0.1 false transitions an hour, where the plain test gives 76.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np

from geo_engine.compiled import uncounted
from geo_engine.model import FloatColumn
from geo_engine.tracking.steps import Steps

__all__ = [
    "FIRST_STILL_S",
    "LONGEST_STILL_S",
    "UNKNOWN_RADIUS_M",
    "doubt_m",
    "radius_m",
    "settle",
    "settled",
    "still_for",
    "walked",
]

FIRST_STILL_S: Final = 5
"""As long a user has stood, as far as we know, at his first ping."""

UNKNOWN_RADIUS_M: Final = 15.0
"""Accuracy of a ping that does not tell: sigma 10 m."""
_LEAST_RADIUS_M: Final = 5.0
"""No receiver in a street is better, whatever it says."""
_GREATEST_RADIUS_M: Final = 1_000.0
"""A vaguer ping says nothing about a border anyway; the local frame and the look round end here."""

LONGEST_STILL_S: Final = 180
"""Older pings fade from the mean. Who has stood for so long sets out from it, not from the one ping he stopped at."""
_UNIT_S: Final = 5.0

# In radii of 68 % (1.5 sigma). From standing somebody must get this far from where he was believed to be; somebody who
# drives keeps driving with steps as long as the second number, or as the third when it leads the same way as the last.
_LEAVES: Final = 3.0
_GOES: Final = 2.0
_GOES_ON: Final = 1.0
# The mean of somebody who stands does not get this far from the place where his stand began: that is one ping's error.
_WALKED: Final = 2.0
_DOUBT_DRIVING: Final = 1.0 / 3.0
_DOUBT_STANDING: Final = 2.0

# Speeds by Doppler, where a device tells one.
_SURELY_DRIVES_MPS: Final = 2.0


@uncounted
def radius_m(accuracy_m: float) -> float:
    """Return the radius of 68 % to reckon with for a reported accuracy, NaN = not told."""
    if not accuracy_m >= 0.0:
        return UNKNOWN_RADIUS_M
    return min(max(accuracy_m, _LEAST_RADIUS_M), _GREATEST_RADIUS_M)


@uncounted
def still_for(still_s: int, way_m: float, onward: bool, speed_mps: float, radius: float, elapsed_ms: int) -> int:
    """Return for how many seconds a user has stood, 0 = he drives.

    Args:
        still_s: the same at the ping before.
        way_m: metres from where he was believed to be to the ping.
        onward: the way leads forward along the step before.
        speed_mps: what the device says, NaN = nothing.
        radius: ``radius_m`` of the ping.
        elapsed_ms: time since the ping before.
    """
    least_m = (_GOES_ON if onward else _GOES) * radius if still_s == 0 else _LEAVES * radius
    if way_m >= least_m or speed_mps >= _SURELY_DRIVES_MPS:
        return 0
    return min(still_s + max((elapsed_ms + 500) // 1000, 1), LONGEST_STILL_S)


@uncounted
def settled(still_s: int, elapsed_ms: int) -> float:
    """Return how much of the way to the ping the belief follows: 1 = all of it.

    Of pings as far apart in time, this makes the belief their mean, the last one before the stand with them. Who is
    seen for the first time counts as having stood for ``FIRST_STILL_S``, so with a ping every 5 s his first one weighs
    double. From ``LONGEST_STILL_S`` on, older pings fade.
    """
    seconds = elapsed_ms / 1000.0
    return seconds / (still_s + seconds)


@uncounted
def doubt_m(still_s: int, radius: float) -> float:
    """Return how much further away than nothing a border must be to be on this side of it, metres."""
    if still_s == 0:
        return _DOUBT_DRIVING * radius
    return radius * max(_DOUBT_DRIVING, _DOUBT_STANDING / math.sqrt(still_s / _UNIT_S))


@uncounted
def walked(east_m: float, north_m: float, radius: float) -> bool:
    """Say whether somebody has walked this way from where his stand began, though he seems to stand."""
    return east_m * east_m + north_m * north_m >= (_WALKED * radius) * (_WALKED * radius)


def settle(steps: Steps) -> tuple[Steps, FloatColumn]:
    """Believe each step as far as noise lets: the same as the functions above, for columns.

    Returns:
        The steps with what is believed, and the doubt about it in metres.
    """
    told_m = np.clip(steps.pings.accuracy_m, _LEAST_RADIUS_M, _GREATEST_RADIUS_M)
    radius = np.where(steps.pings.accuracy_m >= 0.0, told_m, UNKNOWN_RADIUS_M)
    old_east, old_north = steps.velocity_before
    onward = steps.east_m * old_east + steps.north_m * old_north > 0.0
    was = steps.before["still_s"].astype(np.int64)
    least_m = np.where(was == 0, np.where(onward, _GOES_ON, _GOES), _LEAVES) * radius
    way_m = np.sqrt(steps.east_m * steps.east_m + steps.north_m * steps.north_m)
    drives = (way_m >= least_m) | (steps.pings.speed_mps >= _SURELY_DRIVES_MPS)
    stood = np.minimum(was + np.maximum((steps.elapsed_ms + 500) // 1000, 1), LONGEST_STILL_S)
    still_s = np.where(steps.joined, np.where(drives, 0, stood), FIRST_STILL_S)
    seconds = np.where(steps.joined, steps.elapsed_ms, 1) / 1000.0
    part = np.where(steps.joined & (still_s > 0), seconds / (still_s + seconds), 1.0)
    standing = np.maximum(_DOUBT_DRIVING, _DOUBT_STANDING / np.sqrt(np.maximum(still_s, 1) / _UNIT_S))
    steps = steps.followed(part, still_s)
    east_m, north_m = steps.unsearched_m()
    far = steps.joined & (east_m * east_m + north_m * north_m >= (_WALKED * radius) * (_WALKED * radius))
    moved = far & (still_s > 0)
    parked = (still_s == 0) & (was >= LONGEST_STILL_S) & ~steps.was_walking
    steps = replace(
        steps,
        walked=moved | (still_s == 0),
        from_lon=np.where(parked, steps.before["lon"], steps.from_lon),
        from_lat=np.where(parked, steps.before["lat"], steps.from_lat),
    )
    return steps, np.where(still_s == 0, _DOUBT_DRIVING * radius, radius * standing)
