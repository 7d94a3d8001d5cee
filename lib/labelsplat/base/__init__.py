"""What every stage stands on: errors a user can act on, and files that are never half-written."""

from labelsplat.base.errors import CaptureError, LabelsplatError, ParameterError
from labelsplat.base.files import atomic_dir, atomic_path, cache_dir, read_json, write_json

__all__ = [
    "CaptureError",
    "LabelsplatError",
    "ParameterError",
    "atomic_dir",
    "atomic_path",
    "cache_dir",
    "read_json",
    "write_json",
]
