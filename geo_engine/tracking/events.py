"""What happened between users and zones, as the trackers find it: one packed record per event."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = [
    "APPROACH",
    "CROSS",
    "DWELLED",
    "ENTER",
    "ERASED",
    "EVENT",
    "EXIT",
    "LATE",
    "LOST",
    "MOVED",
    "OPENED",
    "OWED",
    "RETOLD",
    "ZONE_CHANGED",
    "Events",
]

EVENT: Final = np.dtype(
    [
        ("time_ms", np.int64),
        ("lon", np.float64),  # where the user was, NaN = unknown
        ("lat", np.float64),
        ("distance_m", np.float64),  # to the border ahead, NaN unless approaching
        ("eta_s", np.float64),
        ("bearing_deg", np.float64),
        ("u7", np.int32),
        ("zone", np.int32),  # position in the zone set
        ("kind", np.int8),
        ("reason", np.int8),
    ],
    align=True,
)

Events = npt.NDArray[np.void]
"""A column of ``EVENT`` records."""

EXIT, CROSS, ENTER, APPROACH = range(4)
"""Kinds, in the order in which they are reported inside one ping; positions in ``TransitionKind``."""
OPENED: Final = 4
"""Kind of "the rule began to apply to a user who is inside": not a transition, but a reason to warn."""
OWED: Final = 5
"""Kind of "the pings that showed the enter were too old to warn, this one is not": a reason to warn as well."""

RETOLD: Final = 6
"""Kind of "what is known of a user who is inside changed, and the rule concerns him now": a reason to warn as well."""

DWELLED: Final = 7
"""Kind of "a user has been inside for as long as the zone asks": reported as a dwell where a warning is due."""

MOVED, LOST, ZONE_CHANGED, ERASED, LATE = range(5)
"""Reasons; positions in ``TransitionReason``."""
