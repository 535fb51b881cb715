"""How many examples a property test draws: as many as it says, few when kernels run uncompiled, many for a search."""

from __future__ import annotations

import os

from hypothesis import settings

__all__ = ["examples"]

_ASKED_FOR = int(os.environ.get("GEO_ENGINE_TEST_EXAMPLES", "0"))


def examples(count: int) -> settings:
    """Return the settings for ``count`` examples, or for ``GEO_ENGINE_TEST_EXAMPLES`` when that is set."""
    return settings(max_examples=_ASKED_FOR or count, deadline=None)
