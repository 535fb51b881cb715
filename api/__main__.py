"""``python -m api`` is ``geo-engine``."""

from __future__ import annotations

from api.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
