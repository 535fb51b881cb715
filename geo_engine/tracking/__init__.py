"""From pings to movements: screening, order, motion, transitions, approach. Columns in, columns out."""
