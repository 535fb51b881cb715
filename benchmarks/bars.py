"""A bar chart as SVG, written by hand so that a benchmark needs no plotting package."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

__all__ = ["bar_chart"]

WIDTH, LABEL, BAR, ROW = 760, 250, 380, 34
STYLE = "text{font:13px sans-serif;fill:#24292f}.head{font-weight:600;font-size:14px}.note{font-size:11px;fill:#57606a}"


def bar_chart(title: str, note: str, rows: Sequence[tuple[str, float, str]]) -> str:
    """Return an SVG with one bar per row of (label, value, text behind the bar); lengths are linear from zero."""
    height = 64 + ROW * len(rows)
    longest = max(value for _, value, _ in rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text class="head" x="12" y="24">{escape(title)}</text>',
    ]
    for number, (label, value, text) in enumerate(rows):
        top = 40 + ROW * number
        length = max(BAR * value / longest, 1.0)
        parts += [
            f'<text x="{LABEL - 10}" y="{top + 16}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{LABEL}" y="{top}" width="{length:.1f}" height="22" rx="3" fill="#1f6feb"/>',
            f'<text x="{LABEL + length + 8:.1f}" y="{top + 16}">{escape(text)}</text>',
        ]
    parts += [f'<text class="note" x="12" y="{height - 10}">{escape(note)}</text>', "</svg>", ""]
    return "\n".join(parts)
