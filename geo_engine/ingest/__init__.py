"""Adapters of what comes in: pings from bytes and files, vehicle profiles, tracks and maps of other programs.

Import from the module that does the job; importing the package alone loads none of them.
"""

__all__: list[str] = []
