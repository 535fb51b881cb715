"""From transitions to warnings: visits, the decision to send or not, the words."""
