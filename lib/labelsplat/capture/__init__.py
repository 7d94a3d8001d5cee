"""Captures: photos and cameras from every layout that users bring, and the sets' own files."""

from labelsplat.capture.cameras import (
    Camera,
    common_focus,
    head_angles,
    orbit_camera,
    scene_extent,
)
from labelsplat.capture.checks import check_camera, check_capture, check_rig
from labelsplat.capture.doors import SOURCES, detect_source, list_subjects, open_capture
from labelsplat.capture.embedded import Photographed, ViewSet, count_sets, photograph
from labelsplat.capture.facescape import (
    EXPRESSIONS,
    list_facescape,
    read_facescape,
    write_facescape,
)
from labelsplat.capture.images import (
    Crop,
    Prepared,
    load_photo,
    prepare,
    restore_mask,
    undistort,
)
from labelsplat.capture.nerfstudio import read_nerfstudio
from labelsplat.capture.poses import (
    POSES,
    RING,
    STANDARD,
    capture_views,
    heldout_views,
    standard_views,
    test_views,
)
from labelsplat.capture.sets import read_alpha, read_depth, read_labels, write_truth
from labelsplat.capture.source import note_source, source_state
from labelsplat.capture.stage import capture_root, gather
from labelsplat.capture.views import NORMAL_EXTENT, Capture, View, angles, normalised

__all__ = [
    "EXPRESSIONS",
    "NORMAL_EXTENT",
    "POSES",
    "RING",
    "SOURCES",
    "STANDARD",
    "Camera",
    "Capture",
    "Crop",
    "Photographed",
    "Prepared",
    "View",
    "ViewSet",
    "angles",
    "capture_root",
    "capture_views",
    "check_camera",
    "check_capture",
    "check_rig",
    "common_focus",
    "count_sets",
    "detect_source",
    "gather",
    "head_angles",
    "heldout_views",
    "list_facescape",
    "list_subjects",
    "load_photo",
    "normalised",
    "note_source",
    "open_capture",
    "orbit_camera",
    "photograph",
    "prepare",
    "read_alpha",
    "read_depth",
    "read_facescape",
    "read_labels",
    "read_nerfstudio",
    "restore_mask",
    "scene_extent",
    "source_state",
    "standard_views",
    "test_views",
    "undistort",
    "write_facescape",
    "write_truth",
]
