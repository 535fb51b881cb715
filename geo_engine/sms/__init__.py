"""Short messages: senders of the port ``people.codes.SmsSender``."""
