"""Pieces of an SVG map: the window, paths, texts, and labels that keep apart.

Pixels are rounded to a tenth and every text is escaped, so that the same input gives the same, well-formed bytes.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.model import FloatColumn

__all__ = [
    "INK",
    "MAP_H",
    "MAP_W",
    "Box",
    "Labels",
    "Pen",
    "View",
    "circle",
    "fit",
    "inside_map",
    "path",
    "px",
    "safe",
    "text",
    "text_width",
    "trace",
]

Box = tuple[float, float, float, float]
"""West, south, east, north: degrees on the globe; left, top, right, bottom: pixels in the picture."""

INK: Final = "#1f2933"

MAP_W: Final = 900
MAP_H: Final = 860
"""Size of the map in pixels."""

# XML 1.0 has no way to write these characters, not even escaped.
_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class View:
    """The window on the map: equirectangular at its middle latitude, the same scale both ways."""

    west: float
    north: float
    px_per_lon: float
    px_per_lat: float
    metres_per_px: float

    @classmethod
    def over(cls, box: Box) -> View:
        """Show at least ``box``, widened to the shape of the picture; a box without size shows 45 m."""
        west, south, east, north = box
        mx, my = (float(scale) for scale in metres_per_degree((south + north) / 2))
        metres_per_px = max((east - west) * mx / MAP_W, (north - south) * my / MAP_H, 0.05)
        spare_lon = MAP_W * metres_per_px / mx - (east - west)
        spare_lat = MAP_H * metres_per_px / my - (north - south)
        return cls(west - spare_lon / 2, north + spare_lat / 2, mx / metres_per_px, my / metres_per_px, metres_per_px)

    def project(self, positions: FloatColumn) -> FloatColumn:
        """Turn rows of lon, lat into rows of x, y in pixels."""
        x = (positions[:, 0] - self.west) * self.px_per_lon
        y = (self.north - positions[:, 1]) * self.px_per_lat
        return np.stack([x, y], axis=1)

    def point(self, lon: float, lat: float) -> tuple[float, float]:
        """Return x, y in pixels."""
        return (lon - self.west) * self.px_per_lon, (self.north - lat) * self.px_per_lat

    def shows(self, lon: float, lat: float) -> bool:
        """Say whether the position lies in the window."""
        x, y = self.point(lon, lat)
        return 0 <= x <= MAP_W and 0 <= y <= MAP_H

    def cut(self, geometry: shapely.Geometry) -> BaseGeometry:
        """Project a shape, drop detail finer than the pen and what lies outside the window."""
        drawn = shapely.simplify(shapely.transform(geometry, self.project), 0.4)
        return shapely.intersection(drawn, shapely.box(-8, -8, MAP_W + 8, MAP_H + 8))


@dataclass(slots=True)
class Labels:
    """Keeps texts apart: a label is placed where no earlier one is, or not at all."""

    taken: list[Box] = field(default_factory=list)

    def block(self, x: float, y: float, radius: float) -> None:
        """Keep labels off a place."""
        self.taken.append((x - radius, y - radius, x + radius, y + radius))

    def place(self, content: str, x: float, y: float, *, size: float, gap: float) -> tuple[float, float] | None:
        """Return the start of the base line for ``content`` near x, y, or None when every side is taken.

        With ``gap`` 0 the place itself is tried before its sides.
        """
        width, height = text_width(content, size), size * 1.25
        middle = [(x - width / 2, y - height / 2)] if gap == 0 else []
        sides = (
            *middle,
            (x + gap, y - height / 2),
            (x - gap - width, y - height / 2),
            (x - width / 2, y - gap - height),
            (x - width / 2, y + gap),
        )
        for left, top in sides:
            spot = (left, top, left + width, top + height)
            if inside_map(spot) and not any(_overlap(spot, other) for other in self.taken):
                self.taken.append(spot)
                return left, top + size
        return None


def inside_map(spot: Box) -> bool:
    """Say whether a box of pixels lies in the map with a little room around it."""
    return spot[0] >= 4 and spot[1] >= 4 and spot[2] <= MAP_W - 4 and spot[3] <= MAP_H - 4


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def text_width(content: str, size: float) -> float:
    """Guess the width of a text in pixels: a Chinese sign is a square, a Latin one about half of it."""
    return sum(size if ord(sign) > 0x2E7F else size * 0.56 for sign in content)


def safe(content: str) -> str:
    """Escape a text for XML; what XML 1.0 cannot write becomes the replacement character."""
    return html.escape(_NOT_XML.sub("\ufffd", content), quote=True)


def px(value: float) -> str:
    """Write a pixel with one decimal, without a trailing zero or a minus before zero."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def path(geometry: BaseGeometry) -> str:
    """Write lines and polygons (holes included) as the ``d`` of a path."""
    pieces: list[str] = []
    for part in shapely.get_parts(geometry):
        if part.is_empty:
            continue
        if isinstance(part, shapely.Polygon):
            pieces += [trace(ring.coords[:-1]) + "Z" for ring in (part.exterior, *part.interiors)]
        elif isinstance(part, shapely.LineString):
            pieces.append(trace(part.coords))
        elif isinstance(part, shapely.GeometryCollection):
            pieces.append(path(part))
    return "".join(pieces)


def trace(coordinates: Iterable[Sequence[float]]) -> str:
    """Write one line as the ``d`` of a path."""
    return "M" + "L".join(f"{px(x)} {px(y)}" for x, y in coordinates)


def fit(content: str, size: float, width: float) -> str:
    """Shorten ``content`` until it is at most ``width`` pixels wide."""
    while text_width(content, size) > width:
        content = content[:-2].rstrip() + "…"
    return content


@dataclass(frozen=True, slots=True)
class Pen:
    """How a text looks.

    Attributes:
        size: font size in pixels.
        colour: fill, as SVG writes it.
        weight: 400 = regular, 700 = bold.
        anchor: start, middle or end.
        italic: slanted.
        halo: with a white rim, to be read above lines.
    """

    size: float
    colour: str = INK
    weight: int = 400
    anchor: str = "start"
    italic: bool = False
    halo: bool = False


def text(content: str, x: float, y: float, pen: Pen) -> str:
    """Return a text element whose base line begins (or has its middle) at x, y; ``content`` is escaped."""
    look = f'font-size="{px(pen.size)}" fill="{pen.colour}"'
    look += f' font-weight="{pen.weight}"' if pen.weight != 400 else ""
    look += f' text-anchor="{pen.anchor}"' if pen.anchor != "start" else ""
    look += ' font-style="italic"' if pen.italic else ""
    look += ' stroke="#fff" stroke-width="3" stroke-linejoin="round" paint-order="stroke"' if pen.halo else ""
    return f'<text x="{px(x)}" y="{px(y)}" {look}>{safe(content)}</text>\n'


def circle(x: float, y: float, radius: float, look: str, title: str = "") -> str:
    """Return a circle element; ``look`` are its attributes, ``title`` an escaped text shown under the pointer."""
    inner = f"<title>{title}</title>" if title else ""
    return f'<circle cx="{px(x)}" cy="{px(y)}" r="{px(radius)}" {look}>{inner}</circle>\n'
