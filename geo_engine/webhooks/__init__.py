"""Webhooks: events as CloudEvents, signed as Standard Webhooks ask, posted to other systems."""
