"""Which frames of exploration are worth a label."""
