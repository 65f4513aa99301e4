"""Configuration: schema, loading, messages, presets."""

from __future__ import annotations
