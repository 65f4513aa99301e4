"""Engines: where units of work run. The only package that imports Dask."""

from __future__ import annotations
