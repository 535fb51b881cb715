"""The memory that survives a crash: people, decisions, outbox, visits. ``geo_engine.store.open`` opens one."""

from __future__ import annotations

from geo_engine.store.identities import Identities
from geo_engine.store.lifecycle import EndReason, OutboxState
from geo_engine.store.protocol import (
    HISTORY,
    WARNINGS,
    AttemptRecord,
    CommitResult,
    DecisionRecord,
    HistoryChange,
    Person,
    Store,
    TransitionRecord,
)

__all__ = [
    "HISTORY",
    "WARNINGS",
    "AttemptRecord",
    "CommitResult",
    "DecisionRecord",
    "EndReason",
    "HistoryChange",
    "Identities",
    "OutboxState",
    "Person",
    "Store",
    "TransitionRecord",
]
