"""Who drives what and agreed to what, as the engine needs it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from geo_engine.model import Vehicle

__all__ = ["People"]


class People:
    """Vehicles by user; a user nobody told about drives the default vehicle under the default consent."""

    def __init__(self, default: Vehicle) -> None:
        """Start with nobody known."""
        self.default = default
        self._vehicles: dict[int, Vehicle] = {}

    def put(self, vehicles: Iterable[Vehicle]) -> None:
        """Set what is known of users; later entries replace earlier ones."""
        self._vehicles.update((vehicle.u7, vehicle) for vehicle in vehicles)

    def vehicle(self, u7: int) -> Vehicle:
        """Return the vehicle of a user."""
        known = self._vehicles.get(u7)
        return replace(self.default, u7=u7) if known is None else known
