"""Positions of the chat as pings of the engine: whose they are, in WGS-84, through the same worker as all others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from api.metrics import Metrics
from api.workers.inbound import Located
from api.workers.ingest import IngestWorker
from geo_engine.geodesy.datum import to_wgs84
from geo_engine.model import PingBatch

__all__ = ["WeChatPings"]

_TIMEOUT_S: Final = 30.0


class WeChatPings:
    """A ``PingSource`` that hands positions to the ingest worker, which judges consent as for every ping.

    Positions of people we do not know are counted, and nothing is kept of them.

    Args:
        ingest: judges pings.
        numbers_of: the numbers of people by OpenID, of those who are bound.
        metrics: counters.
    """

    def __init__(
        self, ingest: IngestWorker, numbers_of: Callable[[Sequence[str]], dict[str, int]], metrics: Metrics
    ) -> None:
        self._ingest = ingest
        self._numbers_of = numbers_of
        self._metrics = metrics

    def take(self, located: Sequence[Located]) -> set[str]:
        """Take positions; see ``PingSource.take``. A repeat is the engine's ``duplicate``."""
        numbers = self._numbers_of([one.openid for one in located])
        bound = [(u7, one) for one in located if (u7 := numbers.get(one.openid)) is not None]
        self._metrics.pushes_unbound.inc(len(located) - len(bound))
        for datum in {one.datum for _u7, one in bound}:
            chosen = [(u7, one) for u7, one in bound if one.datum is datum]
            lon, lat = to_wgs84([one.lon for _, one in chosen], [one.lat for _, one in chosen], datum)
            accuracy_m = [np.nan if one.accuracy_m is None else one.accuracy_m for _, one in chosen]
            batch = PingBatch.from_columns(
                [u7 for u7, _ in chosen], [one.time_ms for _, one in chosen], lon, lat, accuracy_m=accuracy_m
            )
            self._ingest.submit(batch).result(_TIMEOUT_S)
        return {one.openid for one in located if one.openid not in numbers}
