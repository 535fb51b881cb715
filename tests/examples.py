"""How many examples a property test draws: as many as it says, or a few when the kernels run uncompiled."""

from __future__ import annotations

import os

from hypothesis import settings

__all__ = ["at_most"]

_FEW = int(os.environ.get("GEO_ENGINE_TEST_EXAMPLES", "0"))


def at_most(count: int) -> settings:
    """Return the settings for ``count`` examples, or fewer when ``GEO_ENGINE_TEST_EXAMPLES`` says so."""
    return settings(max_examples=min(_FEW or count, count), deadline=None)
