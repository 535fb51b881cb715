"""The ledger of reach and the shared token in memory: the twin of ``reach_sql``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import replace

from geo_engine.alerting.reach import (
    Begun,
    Dispatch,
    DispatchState,
    Grant,
    Reach,
    SharedToken,
    Standing,
    Trigger,
    Window,
)

__all__ = ["MemoryReach"]


class MemoryReach(ABC):
    """``ReachLedger`` and ``TokenShelf`` as part of a store in memory."""

    def __init__(self) -> None:
        """Start knowing nobody."""
        self._windows: dict[tuple[str, Trigger], Window] = {}
        self._grants: dict[tuple[str, str], Grant] = {}
        self._standings: dict[str, tuple[Standing, int]] = {}
        self._calm: dict[str, int] = {}
        self._dispatches: dict[str, tuple[Dispatch, Window | Grant | None]] = {}
        self._tokens: dict[str, SharedToken] = {}

    @abstractmethod
    def _locked(self) -> AbstractContextManager[None]: ...

    def reach(self, open_id: str) -> Reach:
        """Return what is known of a person; see ``ReachLedger.reach``."""
        with self._locked():
            return Reach(
                standing=self._standings.get(open_id, (Standing.OPEN, 0))[0],
                calm_until_ms=self._calm.get(open_id, 0),
                windows=tuple(one for (owner, _), one in sorted(self._windows.items()) if owner == open_id),
                grants=tuple(one for (owner, _), one in sorted(self._grants.items()) if owner == open_id),
                standing_ms=self._standings.get(open_id, (Standing.OPEN, 0))[1],
            )

    def set_standing(self, open_id: str, standing: Standing, at_ms: int) -> None:
        """Note whether a person may be written to; see ``ReachLedger.set_standing``."""
        with self._locked():
            if open_id not in self._standings or self._standings[open_id][1] <= at_ms:
                self._standings[open_id] = (standing, at_ms)

    def calm(self, open_id: str, until_ms: int) -> None:
        """Write only what is gravest until a moment; see ``ReachLedger.calm``."""
        with self._locked():
            self._calm[open_id] = max(self._calm.get(open_id, 0), until_ms)

    def open_window(self, open_id: str, trigger: Trigger, at_ms: int) -> None:
        """Open a window anew; see ``ReachLedger.open_window``."""
        with self._locked():
            known = self._windows.get((open_id, trigger))
            if known is None or known.opened_ms < at_ms:
                self._windows[open_id, trigger] = Window(trigger, at_ms)

    def close_window(self, open_id: str, window: Window) -> None:
        """Forget a window; see ``ReachLedger.close_window``."""
        with self._locked():
            known = self._windows.get((open_id, window.trigger))
            if known is not None and known.opened_ms <= window.opened_ms:
                del self._windows[open_id, window.trigger]

    def accept(self, open_id: str, template_id: str, at_ms: int, *, for_good: bool = False) -> None:
        """Note that a person accepted a template; see ``ReachLedger.accept``."""
        with self._locked():
            known = self._grants.get((open_id, template_id))
            if known is not None and known.at_ms >= at_ms:
                return
            unlimited = for_good or (known is not None and known.left is None)
            left = None if unlimited else 1 + ((known.left or 0) if known is not None else 0)
            self._grants[open_id, template_id] = Grant(template_id, left, at_ms)

    def refuse(self, open_id: str, template_id: str, at_ms: int) -> None:
        """Note that a grant is used up or withdrawn; see ``ReachLedger.refuse``."""
        with self._locked():
            known = self._grants.get((open_id, template_id))
            if known is None or known.at_ms <= at_ms:
                self._grants[open_id, template_id] = Grant(template_id, 0, at_ms)

    def begin(self, dispatch: Dispatch, spends: Window | Grant | None) -> Begun:
        """Note an attempt that leaves now; see ``ReachLedger.begin``."""
        with self._locked():
            earlier = self._dispatches.get(dispatch.client_msg_id)
            if earlier is not None and not earlier[0].may_be_followed_by(dispatch):
                return Begun(ok=False, earlier=earlier[0])
            if not self._spend(dispatch.open_id, spends):
                return Begun(ok=False)
            self._dispatches[dispatch.client_msg_id] = (dispatch, spends)
            return Begun(ok=True)

    def _spend(self, open_id: str, spends: Window | Grant | None) -> bool:
        if isinstance(spends, Window):
            if self._windows.get((open_id, spends.trigger)) != spends:
                return False
            self._windows[open_id, spends.trigger] = replace(spends, used=spends.used + 1)
        if isinstance(spends, Grant):
            if self._grants.get((open_id, spends.template_id)) != spends:
                return False
            left = None if spends.left is None else max(spends.left - 1, 0)
            self._grants[open_id, spends.template_id] = replace(spends, left=left)
        return True

    def settle(self, client_msg_id: str, state: DispatchState, msg_id: str | None = None) -> None:
        """Note what became of the attempt under way; see ``ReachLedger.settle``."""
        with self._locked():
            dispatch, spent = self._dispatches.get(client_msg_id, (None, None))
            if dispatch is None or dispatch.state is not DispatchState.UNDER_WAY:
                return
            self._dispatches[client_msg_id] = (replace(dispatch, state=state, msg_id=msg_id), None)
            if state is DispatchState.NOT_TAKEN:
                self._give_back(dispatch.open_id, spent)

    def _give_back(self, open_id: str, spent: Window | Grant | None) -> None:
        if isinstance(spent, Window):
            window = self._windows.get((open_id, spent.trigger))
            if window is not None and window.opened_ms == spent.opened_ms and window.used:
                self._windows[open_id, spent.trigger] = replace(window, used=window.used - 1)
        if isinstance(spent, Grant):
            grant = self._grants.get((open_id, spent.template_id))
            if grant is not None and grant.left is not None:
                self._grants[open_id, spent.template_id] = replace(grant, left=grant.left + 1)

    def dispatch(self, client_msg_id: str) -> Dispatch | None:
        """Return the last attempt of a message; see ``ReachLedger.dispatch``."""
        with self._locked():
            found = self._dispatches.get(client_msg_id)
            return None if found is None else found[0]

    def drop_dispatches(self, before_ms: int) -> int:
        """Erase old attempts; see ``ReachLedger.drop_dispatches``."""
        with self._locked():
            kept = {key: one for key, one in self._dispatches.items() if one[0].at_ms >= before_ms}
            dropped, self._dispatches = len(self._dispatches) - len(kept), kept
            return dropped

    def forget_reach(self, open_id: str) -> None:
        """Erase everything about a person; see ``ReachLedger.forget_reach``."""
        with self._locked():
            self._drop_reach(open_id)

    def _drop_reach(self, open_id: str) -> None:
        self._windows = {key: one for key, one in self._windows.items() if key[0] != open_id}
        self._grants = {key: one for key, one in self._grants.items() if key[0] != open_id}
        self._dispatches = {key: one for key, one in self._dispatches.items() if one[0].open_id != open_id}
        self._standings.pop(open_id, None)
        self._calm.pop(open_id, None)

    def shared_token(self, account: str) -> SharedToken:
        """Return the token of an account; see ``TokenShelf.shared_token``."""
        with self._locked():
            return self._tokens.get(account, SharedToken())

    def swap_token(self, account: str, token: SharedToken, *, seen: int) -> bool:
        """Compare and swap; see ``TokenShelf.swap_token``."""
        with self._locked():
            if self._tokens.get(account, SharedToken()).version != seen:
                return False
            self._tokens[account] = replace(token, version=seen + 1)
            return True
