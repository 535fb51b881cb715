"""The limits of a text message: 2048 bytes, cut between lines, else at a word, never inside a character or a link."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

__all__ = ["MAX_TEXT_BYTES", "cut_text", "fit_lines", "plain"]

MAX_TEXT_BYTES: Final = 2048
"""Of a passive reply and of a customer-service message, in UTF-8 (error 45002 beyond)."""

_ELLIPSIS: Final = "…"
_LINK: Final = re.compile(r"<a\b[^>]*>.*?</a>", re.DOTALL)


def plain(text: str) -> str:
    """Return a name or label as it may stand in a message: one line, nothing invisible, no bracket of a tag."""
    one_line = " ".join(text.split()).replace("<", "＜").replace(">", "＞")
    return "".join(char for char in one_line if unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"})


def cut_text(text: str, limit: int = MAX_TEXT_BYTES) -> str:
    """Return ``text`` in at most ``limit`` bytes of UTF-8, shortened at a word with a final ``…``.

    A link is kept whole or left out whole. A Latin word or number is not cut in two unless it fills half of the room.

    Raises:
        ValueError: the limit has no room for the ``…``.
    """
    if limit < len(_ELLIPSIS.encode()):
        message = f"found a limit of {limit} bytes, expected room for {_ELLIPSIS}"
        raise ValueError(message)
    if len(text.encode(errors="replace")) <= limit:
        return text
    room = limit - len(_ELLIPSIS.encode())
    kept = text.encode(errors="replace")[:room].decode(errors="ignore")
    for link in _LINK.finditer(text):
        if link.start() < len(kept) < link.end():
            return text[: link.start()].rstrip() + _ELLIPSIS
    if _joins(text[len(kept)]):
        whole = kept.rstrip("".join({char for char in kept if _joins(char)}))
        if 2 * len(whole) >= len(kept):
            kept = whole
    return kept.rstrip(" ,;:(-、，；：（·\n") + _ELLIPSIS


def fit_lines(lines: Sequence[str], more: str, limit: int = MAX_TEXT_BYTES) -> str:
    """Join lines into a text of at most ``limit`` bytes: whole lines, then ``more`` where some had to be left out.

    Args:
        lines: the lines, the most important first; an empty one is a gap.
        more: says how many lines are missing, with ``{count}``.
        limit: bytes of UTF-8.
    """
    text = "\n".join(lines)
    if len(text.encode(errors="replace")) <= limit:
        return text.strip("\n")
    for count in range(1, len(lines)):
        said = "\n".join([*lines[:-count], more.format(count=sum(bool(line) for line in lines[-count:]))])
        if len(said.encode(errors="replace")) <= limit:
            return said
    return cut_text(text, limit)


def _joins(char: str) -> bool:
    return char.isalnum() and unicodedata.east_asian_width(char) not in {"W", "F"}
