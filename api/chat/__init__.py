"""The chat of the account, joined: what people do in it becomes effects and answers."""
