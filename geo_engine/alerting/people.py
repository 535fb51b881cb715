"""Who drives what, as the rules need it: kept so that other rules can judge everybody anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from geo_engine.alerting.permits import Permits
from geo_engine.model import IntColumn, Vehicle

__all__ = ["People", "Profiles"]

Profiles = list[tuple[IntColumn, IntColumn]]
"""Users and the profile of each, column pair by column pair; later ones replace earlier ones."""


class People:
    """Vehicles by user; a user nobody told about drives the default vehicle under the default consent.

    Attributes:
        default: the vehicle of everybody else.
        changes: how often somebody was told about; a caller sees by it whether what he derived is still true.
        permits: the permits of all of them.
    """

    def __init__(self, default: Vehicle) -> None:
        """Start with nobody known."""
        self.default = default
        self.changes = 0
        self.permits = Permits()
        self._vehicles: dict[int, Vehicle] = {}
        self._fleets: list[tuple[IntColumn, Vehicle]] = []

    def put(self, vehicles: Iterable[Vehicle]) -> None:
        """Set what is known of users; later entries replace earlier ones."""
        for vehicle in vehicles:
            self._vehicles[vehicle.u7] = vehicle
            self.permits.put(vehicle.u7, vehicle.permits)
        self.changes += 1

    def put_fleet(self, u7: IntColumn, vehicle: Vehicle) -> None:
        """Set the same vehicle for many users; what was known of one of them alone is forgotten."""
        self._fleets.append((u7.copy(), vehicle))
        told = u7 if vehicle.permits else u7[self.permits.held_by(u7)]
        for one in told.tolist():
            self.permits.put(one, vehicle.permits)
        if self._vehicles:
            for one in u7.tolist():
                self._vehicles.pop(one, None)
        self.changes += 1

    def forget(self, u7: IntColumn) -> None:
        """Forget users, one by one told about or of a fleet. Cost: a pass over the fleets."""
        for one in u7.tolist():
            self._vehicles.pop(one, None)
            self.permits.put(one, ())
        self._fleets = [(fleet[~np.isin(fleet, u7)], vehicle) for fleet, vehicle in self._fleets]
        self.changes += 1

    def vehicle_of(self, u7: int) -> Vehicle:
        """Return what is known of one user; one of a fleet counts as unknown."""
        return self._vehicles.get(u7) or replace(self.default, u7=u7)

    def profiles(self, profile_of: Callable[[Vehicle], int]) -> Profiles:
        """Judge everybody. Cost: a few microseconds per vehicle told about one by one, nothing per user of a fleet."""
        fleets = [(u7, np.full(len(u7), profile_of(vehicle))) for u7, vehicle in self._fleets]
        alone = self._vehicles.copy()
        users = np.fromiter(alone, dtype=np.int64, count=len(alone))
        profiles = np.fromiter((profile_of(vehicle) for vehicle in alone.values()), dtype=np.int64, count=len(alone))
        return [*fleets, (users, profiles)]
