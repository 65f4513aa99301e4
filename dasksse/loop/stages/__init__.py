"""Stages: what a worker does for each kind of unit. Plain functions of payload and context."""
