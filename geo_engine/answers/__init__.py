"""What people ask and the engine answers: the nearest places, the zones around. Values only, no words."""

from __future__ import annotations

__all__: list[str] = []
