"""Zones: the document staff edit, its validation, who a zone concerns, when it is in force, the immutable set."""
