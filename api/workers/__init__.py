"""Threads of the service: one that judges, one that delivers."""
