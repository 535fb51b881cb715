"""The acceptance vectors of the WeChat callback, and pushes made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

PATH: Final = Path(__file__).resolve().parents[3].parent / "shared/data/vectors/wechat_vectors.json"


def rows(section: str) -> list[Any]:
    """Return the rows of a section as parameters; one skipped row where the folder is absent."""
    if not PATH.exists():
        return [pytest.param({}, marks=pytest.mark.skip(reason=f"{PATH} is absent"), id="absent")]
    found = json.loads(PATH.read_text(encoding="utf-8"))[section]
    return [pytest.param(row, id=row["id"]) for row in found]


def row(section: str, name: str) -> dict[str, Any]:
    """Return one row."""
    if not PATH.exists():
        pytest.skip(f"{PATH} is absent")
    found: dict[str, Any] = next(
        row for row in json.loads(PATH.read_text(encoding="utf-8"))[section] if row["id"] == name
    )
    return found
