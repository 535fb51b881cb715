"""What a customer-service message may hold, as the fake account looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from geo_engine.wechat.fake_model import FakeMedia

__all__ = ["custom_content"]

_MOST_TEXT_BYTES: Final = 2_048
_MEDIA: Final = frozenset({"image", "voice", "video"})


def custom_content(body: Mapping[str, object], media: Mapping[str, FakeMedia]) -> dict[str, str] | int:
    """Return what the person sees of the body of ``message/custom/send``.

    Or the errcode: 40007 (no such media), 40008 (a type nobody knows here), 45002 (too long, or empty), 45008 (not
    one article), 47001 (no such object).
    """
    kind = body.get("msgtype")
    inside = body.get(str(kind))
    if kind not in _MEDIA | {"text", "news"}:
        return 40008 if isinstance(kind, str) else 47001
    if not isinstance(inside, Mapping):
        return 47001
    if kind == "text":
        content = str(inside.get("content", ""))
        return {"text": content} if 0 < len(content.encode()) <= _MOST_TEXT_BYTES else 45002
    if kind == "news":
        return _article(inside.get("articles"))
    media_id = str(inside.get("media_id", ""))
    return {str(kind): media_id} if media_id in media else 40007


def _article(articles: object) -> dict[str, str] | int:
    if not isinstance(articles, list) or len(articles) != 1 or not isinstance(articles[0], Mapping):
        return 45008
    return {"text": str(articles[0].get("title", "")), "url": str(articles[0].get("url", ""))}
