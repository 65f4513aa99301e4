"""Training and evaluation of Deep Potential ensembles."""

from __future__ import annotations
