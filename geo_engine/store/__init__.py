"""The memory that survives a crash: people, decisions, outbox, visits. ``geo_engine.store.open`` opens one."""

from __future__ import annotations

from geo_engine.store.lifecycle import EndReason, OutboxState
from geo_engine.store.protocol import WARNINGS, AttemptRecord, CommitResult, DecisionRecord, Person, Store

__all__ = [
    "WARNINGS",
    "AttemptRecord",
    "CommitResult",
    "DecisionRecord",
    "EndReason",
    "OutboxState",
    "Person",
    "Store",
]
