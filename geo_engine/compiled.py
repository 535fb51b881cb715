"""Compiles the kernels of the hot path with Numba where it is installed, and leaves them plain Python where it is not.

A kernel is written once, in the part of Python that Numba compiles. Compiled code is cached beside the module, so only
the first start of a new version compiles. Kernels that touch every ping have a NumPy twin for machines without Numba;
those that touch only events run as plain Python there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

numba: Any
try:
    import numba
except ImportError:  # the optional extra "fast" is not installed
    numba = None

__all__ = ["COMPILED", "bare", "inlined", "kernel", "uncounted"]

Function = TypeVar("Function", bound=Callable[..., Any])

COMPILED: Final = numba is not None and not numba.config.DISABLE_JIT
"""Whether kernels run as machine code."""


def kernel(function: Function) -> Function:
    """Compile a function that loops over columns; compiled at its first call, then cached on disk.

    Division by zero gives inf or NaN as in NumPy; nothing is reordered, so floating-point results are those of the
    source text; the interpreter's lock is released.
    """
    return _compile(function)


def inlined(function: Function) -> Function:
    """Compile a small scalar function that LLVM should paste into the kernels that call it."""
    return _compile(function, forceinline=True)


def uncounted(function: Function) -> Function:
    """Compile like ``inlined``, for a function that makes no array and calls none that does.

    It is compiled without Numba's counting of references, which for a tuple of arrays would cost more at every call
    than many such functions do.
    """
    return _compile(function, forceinline=True, _nrt=False)


def bare(function: Function) -> Function:
    """Compile like ``kernel``, for a function that makes no array and calls none that does: see ``uncounted``."""
    return _compile(function, _nrt=False)


def _compile(function: Function, **options: bool) -> Function:
    if numba is None:
        return function
    compiled: Function = numba.njit(cache=True, nogil=True, error_model="numpy", **options)(function)
    return compiled
