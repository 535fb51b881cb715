"""Commands of ``geo-engine``, one module each."""
