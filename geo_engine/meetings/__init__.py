"""Meetings: people who go to one place at one time and may see one another on the way, for that time only."""

from __future__ import annotations

from geo_engine.meetings.meeting import Meeting, Member, Refusal
from geo_engine.meetings.protocol import MeetingStore
from geo_engine.meetings.service import MeetingDesk, MeetingRules

__all__ = ["Meeting", "MeetingDesk", "MeetingRules", "MeetingStore", "Member", "Refusal"]
