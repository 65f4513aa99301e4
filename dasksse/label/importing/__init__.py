"""Labels that exist already: read from many formats, made one kind, put into a store."""

from __future__ import annotations

from dasksse.label.importing.deepmd import read_deepmd_data
from dasksse.label.importing.discovery import LabelFile, find_labels
from dasksse.label.importing.extxyz import read_extxyz
from dasksse.label.importing.formats import FOLDERS, FORMATS, LabelFormat
from dasksse.label.importing.intake import FileReport, ImportReport, Origin, import_labels
from dasksse.label.importing.labelled_frames import UNKNOWN_FUNCTIONAL, Reading

__all__ = [
    "FOLDERS",
    "FORMATS",
    "UNKNOWN_FUNCTIONAL",
    "FileReport",
    "ImportReport",
    "LabelFile",
    "LabelFormat",
    "Origin",
    "Reading",
    "find_labels",
    "import_labels",
    "read_deepmd_data",
    "read_extxyz",
]
