"""The learning loop: plan, stages, driver, display."""

from __future__ import annotations
