"""The conversation in a chat: what a person says, what is meant, what is answered. Pure: no clock, no I/O."""

from __future__ import annotations

from geo_engine.wechat.conversation.heard import Clicked, Heard, Located, Scanned, Texted
from geo_engine.wechat.conversation.talk import Conversation
from geo_engine.wechat.conversation.turn import Answer, Ports, TalkSettings

__all__ = ["Answer", "Clicked", "Conversation", "Heard", "Located", "Ports", "Scanned", "TalkSettings", "Texted"]
