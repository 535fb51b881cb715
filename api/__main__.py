"""``python -m api`` is ``geo-engine``."""

from api.cli import main

main()
