"""The journal: what the engine was given, on disk before anybody is answered, so that a restart decides the same."""

from geo_engine.journal.disk import Disk
from geo_engine.journal.files import Damage, Journal, JournalError
from geo_engine.journal.records import Kind, Record, pack_pings, unpack_pings

__all__ = ["Damage", "Disk", "Journal", "JournalError", "Kind", "Record", "pack_pings", "unpack_pings"]
