"""What the service counts, as Prometheus metrics in a registry of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from geo_engine.engine import Decisions
from geo_engine.model import AlertReason, TransitionKind

__all__ = ["Metrics"]


class Metrics:
    """Counters of one service. Every refusal and every message not sent shows here under its reason."""

    def __init__(self) -> None:
        """Register the metrics."""
        self.registry = CollectorRegistry()
        self.pings = Counter("geo_engine_pings", "Pings that moved the state", registry=self.registry)
        self.rejected = Counter("geo_engine_pings_rejected", "Pings not used", ["reason"], registry=self.registry)
        self.transitions = Counter("geo_engine_transitions", "Transitions", ["kind", "reason"], registry=self.registry)
        self.sent = Counter(
            "geo_engine_alerts_sent", "Warnings to the outbox", ["kind", "reason"], registry=self.registry
        )
        self.suppressed = Counter(
            "geo_engine_alerts_suppressed", "Warnings not sent", ["kind", "reason"], registry=self.registry
        )
        self.mended = Counter(
            "geo_engine_history_mended",
            "Transitions that late pings added to the history or withdrew",
            ["kind", "change"],
            registry=self.registry,
        )
        self.unplaced = Counter(
            "geo_engine_late_unplaced", "Late pings of kept histories without known neighbours", registry=self.registry
        )
        self.duplicates = Counter(
            "geo_engine_alerts_duplicate", "Decisions the store knew already", registry=self.registry
        )
        self.quota_left = Gauge(
            "geo_engine_quota_left", "Messages the account may still send today", registry=self.registry
        )
        self.step_seconds = Histogram(
            "geo_engine_step_seconds",
            "Time from a batch to its committed decisions",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
            registry=self.registry,
        )
        self.waiting = Gauge("geo_engine_pings_waiting", "Pings accepted and not yet judged", registry=self.registry)
        self.store_failures = Counter("geo_engine_store_failures", "Commits the store refused", registry=self.registry)
        self.journal_failures = Counter(
            "geo_engine_journal_failures", "Writes the journal refused", registry=self.registry
        )
        self.outbox = Gauge("geo_engine_outbox", "Outbox messages by state", ["state"], registry=self.registry)
        self.ended = Gauge(
            "geo_engine_outbox_undelivered", "Messages that ended undelivered", ["reason"], registry=self.registry
        )
        self.pushes = Counter("geo_engine_wechat_pushes", "Pushes taken", ["kind"], registry=self.registry)
        self.pushes_repeated = Counter(
            "geo_engine_wechat_pushes_repeated",
            "Pushes that had been taken a short while before",
            registry=self.registry,
        )
        self.pushes_refused = Counter(
            "geo_engine_wechat_pushes_refused", "Pushes not taken", ["reason"], registry=self.registry
        )
        self.pushes_unbound = Counter(
            "geo_engine_wechat_positions_unbound", "Positions of people we do not know", registry=self.registry
        )
        self.push_seconds = Histogram(
            "geo_engine_wechat_push_seconds",
            "Time from a push to its answer",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
            registry=self.registry,
        )
        self.inbound = Counter(
            "geo_engine_inbound", "Attempts to handle inbound messages", ["outcome"], registry=self.registry
        )
        self.inbox = Gauge("geo_engine_inbox", "Inbound messages by state", ["state"], registry=self.registry)
        self.webhooks = Counter(
            "geo_engine_webhooks",
            "Events posted to other systems, and those set aside",
            ["outcome"],
            registry=self.registry,
        )
        self.webhook_rows = Gauge("geo_engine_webhook_events", "Events by state", ["state"], registry=self.registry)
        self.relay = Gauge("geo_engine_relay", "Attempts by outcome", ["outcome"], registry=self.registry)

    def count(self, decisions: Decisions) -> None:
        """Count one step."""
        self.pings.inc(decisions.accepted)
        for reason, count in decisions.rejects.counts().items():
            self.rejected.labels(reason).inc(count)
        for (change, why), count in decisions.transitions.counts().items():
            self.transitions.labels(change.value, why.value).inc(count)
        for (kind, reason), count in decisions.alerts.counts().items():
            sent = isinstance(reason, AlertReason)
            (self.sent if sent else self.suppressed).labels(kind.value, reason.value).inc(count)

    def count_mended(self, added: Sequence[TransitionKind], withdrawn: Sequence[TransitionKind], unplaced: int) -> None:
        """Count what late pings changed in the history, and how many of them could not be placed."""
        for change, kinds in (("added", added), ("withdrawn", withdrawn)):
            for kind in kinds:
                self.mended.labels(kind.value, change).inc()
        self.unplaced.inc(unplaced)

    def page(self, *, waiting: int, relay: Mapping[str, int], store: Mapping[str, int]) -> bytes:
        """Return the text page Prometheus reads.

        Args:
            waiting: pings not yet judged.
            relay: the relay's counts by outcome.
            store: the store's counts by dotted name.
        """
        self.waiting.set(waiting)
        for outcome, count in relay.items():
            self.relay.labels(outcome).set(count)
        for name, count in store.items():
            family, _, label = name.partition(".")
            gauge = {"outbox": self.outbox, "ended": self.ended, "inbox": self.inbox, "webhook": self.webhook_rows}.get(
                family
            )
            if gauge is not None:
                gauge.labels(label).set(count)
        return generate_latest(self.registry)
