"""Sequences whose items are made when they are asked for, so that a step can hand out columns."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Self, TypeVar, overload

import numpy as np

from geo_engine.model import IntColumn

__all__ = ["ColumnSequence"]

Item = TypeVar("Item")


class ColumnSequence(Sequence[Item]):
    """A sequence over columns. Each look at an item makes it anew; equal to any sequence of equal items.

    To read all items more than once, make a list of them first.
    """

    __slots__ = ()

    @abstractmethod
    def item(self, row: int) -> Item:
        """Make the item of a row, ``0 <= row < len(self)``."""

    @abstractmethod
    def take(self, rows: IntColumn) -> Self:
        """Return the given rows as columns again."""

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Item | Self:
        """Return an item, or a part of the columns."""
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        row = range(len(self))[index]
        return self.item(row)

    def __iter__(self) -> Iterator[Item]:
        """Make the items one after the other."""
        return map(self.item, range(len(self)))

    def __eq__(self, other: object) -> bool:
        """Say whether ``other`` is a sequence of the same items. Cost: makes the items."""
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as a list: equal to other sequences that hash otherwise
