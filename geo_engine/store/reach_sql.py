"""The ledger of reach and the shared token in a database: windows, grants, standings, attempts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Final

from sqlalchemy import ColumnElement, Connection, case, delete, select, update

from geo_engine.alerting.reach import (
    Begun,
    Channel,
    Dispatch,
    DispatchState,
    Grant,
    Reach,
    SharedToken,
    Standing,
    Trigger,
    Window,
)
from geo_engine.store.dialects import insert_new, upsert
from geo_engine.store.schema import dispatch as dispatches
from geo_engine.store.schema import reply_window, shared_token, standing, template_grant

__all__ = ["SqlReach"]

_LONG_AGO: Final = 0


class SqlReach(ABC):
    """``ReachLedger`` and ``TokenShelf`` as part of a store in a database. Cost: one transaction per call."""

    @abstractmethod
    def _read(self) -> AbstractContextManager[Connection]: ...

    @abstractmethod
    def _write(self) -> AbstractContextManager[Connection]: ...

    def reach(self, open_id: str) -> Reach:
        """Return what is known of a person; see ``ReachLedger.reach``."""
        with self._read() as connection:
            known = connection.execute(select(standing).where(standing.c.open_id == open_id)).one_or_none()
            columns = reply_window.c
            query = select(columns.trigger, columns.opened_ms, columns.used).where(columns.open_id == open_id)
            windows = connection.execute(query.order_by(columns.trigger)).all()
            given = template_grant.c
            wanted = select(given.template_id, given.left, given.at_ms).where(given.open_id == open_id)
            grants = connection.execute(wanted.order_by(given.template_id)).all()
        return Reach(
            standing=Standing.OPEN if known is None else Standing(known.standing),
            calm_until_ms=0 if known is None else known.calm_until_ms,
            windows=tuple(Window(Trigger(trigger), opened_ms, used) for trigger, opened_ms, used in windows),
            grants=tuple(Grant(*row) for row in grants),
            standing_ms=0 if known is None else known.at_ms,
        )

    def set_standing(self, open_id: str, standing: Standing, at_ms: int) -> None:
        """Note whether a person may be written to; see ``ReachLedger.set_standing``."""
        self._note_standing(open_id, {"standing": standing.value, "at_ms": at_ms})

    def calm(self, open_id: str, until_ms: int) -> None:
        """Write only what is gravest until a moment; see ``ReachLedger.calm``."""
        self._note_standing(open_id, {"calm_until_ms": until_ms})

    def _note_standing(self, open_id: str, said: dict[str, object]) -> None:
        """Write what was said; of a person nothing is known of, the rest is open and calm for nobody."""
        first = {"open_id": open_id, "standing": Standing.OPEN.value, "at_ms": _LONG_AGO, "calm_until_ms": 0, **said}
        with self._write() as connection:
            statement = upsert(connection, standing).values(first)
            newer: ColumnElement[bool] = (
                standing.c.at_ms <= statement.excluded.at_ms
                if "at_ms" in said
                else standing.c.calm_until_ms < statement.excluded.calm_until_ms
            )
            connection.execute(statement.on_conflict_do_update(index_elements=["open_id"], set_=said, where=newer))

    def open_window(self, open_id: str, trigger: Trigger, at_ms: int) -> None:
        """Open a window anew; see ``ReachLedger.open_window``."""
        values = {"open_id": open_id, "trigger": trigger.value, "opened_ms": at_ms, "used": 0}
        with self._write() as connection:
            changed = upsert(connection, reply_window).on_conflict_do_update(
                index_elements=["open_id", "trigger"],
                set_={"opened_ms": at_ms, "used": 0},
                where=reply_window.c.opened_ms < at_ms,
            )
            connection.execute(changed, values)

    def close_window(self, open_id: str, window: Window) -> None:
        """Forget a window; see ``ReachLedger.close_window``."""
        older = reply_window.c.opened_ms <= window.opened_ms
        with self._write() as connection:
            connection.execute(delete(reply_window).where(*_window_key(open_id, window.trigger), older))

    def accept(self, open_id: str, template_id: str, at_ms: int, *, for_good: bool = False) -> None:
        """Note that a person accepted a template; see ``ReachLedger.accept``."""
        # NULL, which is for good, stays NULL when one is added.
        left = None if for_good else template_grant.c.left + 1
        self._say(open_id, template_id, at_ms, (None if for_good else 1, left), template_grant.c.at_ms < at_ms)

    def refuse(self, open_id: str, template_id: str, at_ms: int) -> None:
        """Note that a grant is used up or withdrawn; see ``ReachLedger.refuse``."""
        self._say(open_id, template_id, at_ms, (0, 0), template_grant.c.at_ms <= at_ms)

    def _say(
        self,
        open_id: str,
        template_id: str,
        at_ms: int,
        left: tuple[int | None, ColumnElement[int] | int | None],
        newer: ColumnElement[bool],
    ) -> None:
        """Write what a person said of a template: what is left when nothing was known, else what becomes of it."""
        values = {"open_id": open_id, "template_id": template_id, "left": left[0], "at_ms": at_ms}
        with self._write() as connection:
            changed = upsert(connection, template_grant).on_conflict_do_update(
                index_elements=["open_id", "template_id"], set_={"left": left[1], "at_ms": at_ms}, where=newer
            )
            connection.execute(changed, values)

    def begin(self, dispatch: Dispatch, spends: Window | Grant | None) -> Begun:
        """Note an attempt that leaves now; see ``ReachLedger.begin``."""
        with self._write() as connection:
            earlier = _dispatch(connection, dispatch.client_msg_id)
            if earlier is not None and not earlier.may_be_followed_by(dispatch):
                return Begun(ok=False, earlier=earlier)
            if not _spend(connection, dispatch.open_id, spends):
                return Begun(ok=False)
            values = _dispatch_values(dispatch, spends)
            statement = upsert(connection, dispatches)
            connection.execute(statement.on_conflict_do_update(index_elements=["client_msg_id"], set_=values), values)
        return Begun(ok=True)

    def settle(self, client_msg_id: str, state: DispatchState, msg_id: str | None = None) -> None:
        """Note what became of the attempt under way; see ``ReachLedger.settle``."""
        columns = dispatches.c
        open_one = (columns.client_msg_id == client_msg_id) & (columns.state == DispatchState.UNDER_WAY.value)
        with self._write() as connection:
            found = connection.execute(select(dispatches).where(open_one)).one_or_none()
            if found is None:
                return
            connection.execute(update(dispatches).where(open_one).values(state=state.value, msg_id=msg_id))
            if state is DispatchState.NOT_TAKEN and found.trigger is not None:
                same = (
                    *_window_key(found.open_id, Trigger(found.trigger)),
                    reply_window.c.opened_ms == found.window_ms,
                )
                fewer = case((reply_window.c.used > 0, reply_window.c.used - 1), else_=0)
                connection.execute(update(reply_window).where(*same).values(used=fewer))
            elif state is DispatchState.NOT_TAKEN and found.channel in (Channel.ONE_TIME, Channel.LONG_TERM):
                key = _grant_key(found.open_id, found.template_id)
                connection.execute(update(template_grant).where(*key).values(left=template_grant.c.left + 1))

    def dispatch(self, client_msg_id: str) -> Dispatch | None:
        """Return the last attempt of a message; see ``ReachLedger.dispatch``."""
        with self._read() as connection:
            return _dispatch(connection, client_msg_id)

    def drop_dispatches(self, before_ms: int) -> int:
        """Erase old attempts; see ``ReachLedger.drop_dispatches``. Cost: one look at each of the last days'."""
        with self._write() as connection:
            return int(connection.execute(delete(dispatches).where(dispatches.c.at_ms < before_ms)).rowcount)

    def forget_reach(self, open_id: str) -> None:
        """Erase everything about a person; see ``ReachLedger.forget_reach``."""
        with self._write() as connection:
            for table in (reply_window, template_grant, standing, dispatches):
                connection.execute(delete(table).where(table.c.open_id == open_id))

    def shared_token(self, account: str) -> SharedToken:
        """Return the token of an account; see ``TokenShelf.shared_token``."""
        with self._read() as connection:
            found = connection.execute(select(shared_token).where(shared_token.c.account == account)).one_or_none()
        if found is None:
            return SharedToken()
        return SharedToken(found.value, found.renew_at_ms, found.version, found.lease_until_ms, found.forced_at_ms)

    def swap_token(self, account: str, token: SharedToken, *, seen: int) -> bool:
        """Compare and swap; see ``TokenShelf.swap_token``."""
        values = {
            "value": token.value,
            "renew_at_ms": token.renew_at_ms,
            "version": seen + 1,
            "lease_until_ms": token.lease_until_ms,
            "forced_at_ms": token.forced_at_ms,
        }
        mine = (shared_token.c.account == account) & (shared_token.c.version == seen)
        with self._write() as connection:
            if seen == 0:
                return insert_new(connection, shared_token, {"account": account, **values})
            return bool(connection.execute(update(shared_token).where(mine).values(values)).rowcount)


def _window_key(open_id: str, trigger: Trigger) -> tuple[ColumnElement[bool], ...]:
    return reply_window.c.open_id == open_id, reply_window.c.trigger == trigger.value


def _grant_key(open_id: str, template_id: str) -> tuple[ColumnElement[bool], ...]:
    return template_grant.c.open_id == open_id, template_grant.c.template_id == template_id


def _spend(connection: Connection, open_id: str, spends: Window | Grant | None) -> bool:
    """Take one message out of a window or grant; False when it is no longer as it was seen."""
    if spends is None:
        return True
    if isinstance(spends, Window):
        columns = reply_window.c
        seen = (columns.opened_ms == spends.opened_ms) & (columns.used == spends.used)
        key = _window_key(open_id, spends.trigger)
        return bool(connection.execute(update(reply_window).where(*key, seen).values(used=spends.used + 1)).rowcount)
    given = template_grant.c
    same = given.left.is_not_distinct_from(spends.left) & (given.at_ms == spends.at_ms)
    key = _grant_key(open_id, spends.template_id)
    # NULL, which is for good, stays NULL; below nothing there is nothing.
    fewer = case((given.left.is_(None), None), (given.left > 0, given.left - 1), else_=0)
    return bool(connection.execute(update(template_grant).where(*key, same).values(left=fewer)).rowcount)


def _dispatch_values(dispatch: Dispatch, spends: Window | Grant | None) -> dict[str, object]:
    window = spends if isinstance(spends, Window) else None
    return {
        "client_msg_id": dispatch.client_msg_id,
        "open_id": dispatch.open_id,
        "channel": dispatch.channel.value,
        "template_id": dispatch.template_id,
        "trigger": None if window is None else window.trigger.value,
        "window_ms": None if window is None else window.opened_ms,
        "state": dispatch.state.value,
        "msg_id": dispatch.msg_id,
        "at_ms": dispatch.at_ms,
    }


def _dispatch(connection: Connection, client_msg_id: str) -> Dispatch | None:
    query = select(dispatches).where(dispatches.c.client_msg_id == client_msg_id)
    found = connection.execute(query).one_or_none()
    if found is None:
        return None
    return Dispatch(
        client_msg_id=client_msg_id,
        open_id=found.open_id,
        channel=Channel(found.channel),
        at_ms=found.at_ms,
        template_id=found.template_id,
        state=DispatchState(found.state),
        msg_id=found.msg_id,
    )
