"""Arrays that grow inside a kernel: the caller keeps what is returned."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import kernel

__all__ = ["longer", "roomy"]


@kernel
def roomy(rows: npt.NDArray[Any], needed: int) -> npt.NDArray[Any]:
    """Return ``rows``, or a copy with twice the room when fewer than ``needed`` rows fit."""
    if needed <= len(rows):
        return rows
    larger = np.empty((2 * needed, rows.shape[1]), dtype=rows.dtype)
    larger[: len(rows)] = rows
    return larger


@kernel
def longer(values: npt.NDArray[Any], needed: int) -> npt.NDArray[Any]:
    """Return ``values``, or a copy with twice the room when fewer than ``needed`` fit."""
    if needed <= len(values):
        return values
    larger = np.empty(2 * needed, dtype=values.dtype)
    larger[: len(values)] = values
    return larger
