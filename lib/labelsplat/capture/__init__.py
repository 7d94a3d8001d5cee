"""Captures: photos and cameras from every layout that users bring, and the sets' own files."""

from labelsplat.capture.cameras import Camera, common_focus, head_angles, orbit_camera, scene_extent
from labelsplat.capture.checks import check_camera, check_capture, check_rig
from labelsplat.capture.colmap import read_colmap
from labelsplat.capture.crop import LOOSE, crop_to_head, head_sphere, looseness
from labelsplat.capture.doors import SOURCES, detect_source, list_subjects, open_capture
from labelsplat.capture.embedded import Photographed, ViewSet, count_sets, photograph
from labelsplat.capture.facescape import (
    EXPRESSIONS,
    list_facescape,
    read_facescape,
    write_facescape,
)
from labelsplat.capture.given_frame import (
    FRAME_FILE,
    frame_facts,
    frame_of_facts,
    known_frame,
    read_frame,
)
from labelsplat.capture.head_frame import (
    HeadFrame,
    apply_frame,
    estimate_frame,
    frame_difference,
    frame_from_cameras,
    frame_from_detections,
    identity_frame,
    scaled_by_landmarks,
)
from labelsplat.capture.images import (
    Crop,
    Prepared,
    load_photo,
    prepare,
    restore_crop,
    undistort,
)
from labelsplat.capture.inspect import (
    Inspection,
    Problem,
    ViewFacts,
    inspect_capture,
    inspection_text,
)
from labelsplat.capture.labelled import LABELLED, LabelledPhoto, LabelledSet, open_labelled
from labelsplat.capture.landmarks import Detections, Landmarks, detect_parts, triangulate_parts
from labelsplat.capture.lenses import straight_pixels, undistortion_maps
from labelsplat.capture.nerfstudio import read_nerfstudio
from labelsplat.capture.nersemble import list_nersemble, read_nersemble
from labelsplat.capture.points import read_points, write_points
from labelsplat.capture.pools import pool_groups, pool_vocabulary, read_pool, sample_standard
from labelsplat.capture.poses import (
    POSES,
    RING,
    STANDARD,
    capture_views,
    heldout_views,
    standard_views,
    test_views,
)
from labelsplat.capture.publish import is_publishable, publishable_ids
from labelsplat.capture.sets import read_alpha, read_depth, read_labels, write_truth
from labelsplat.capture.source import note_parser, note_source, source_state
from labelsplat.capture.stage import capture_root, gather, shown_subjects
from labelsplat.capture.turns import on_their_side, turned_view, upright_turns
from labelsplat.capture.views import NORMAL_EXTENT, Capture, View, angles, normalised
from labelsplat.capture.writers import LAYOUTS, copy_to_facescape, write_capture, write_nerfstudio
from labelsplat.capture.zoom import enlarged

__all__ = [
    "EXPRESSIONS",
    "FRAME_FILE",
    "LABELLED",
    "LAYOUTS",
    "LOOSE",
    "NORMAL_EXTENT",
    "POSES",
    "RING",
    "SOURCES",
    "STANDARD",
    "Camera",
    "Capture",
    "Crop",
    "Detections",
    "HeadFrame",
    "Inspection",
    "LabelledPhoto",
    "LabelledSet",
    "Landmarks",
    "Photographed",
    "Prepared",
    "Problem",
    "View",
    "ViewFacts",
    "ViewSet",
    "angles",
    "apply_frame",
    "capture_root",
    "capture_views",
    "check_camera",
    "check_capture",
    "check_rig",
    "common_focus",
    "copy_to_facescape",
    "count_sets",
    "crop_to_head",
    "detect_parts",
    "detect_source",
    "enlarged",
    "estimate_frame",
    "frame_difference",
    "frame_facts",
    "frame_from_cameras",
    "frame_from_detections",
    "frame_of_facts",
    "gather",
    "head_angles",
    "head_sphere",
    "heldout_views",
    "identity_frame",
    "inspect_capture",
    "inspection_text",
    "is_publishable",
    "known_frame",
    "list_facescape",
    "list_nersemble",
    "list_subjects",
    "load_photo",
    "looseness",
    "normalised",
    "note_parser",
    "note_source",
    "on_their_side",
    "open_capture",
    "open_labelled",
    "orbit_camera",
    "photograph",
    "pool_groups",
    "pool_vocabulary",
    "prepare",
    "publishable_ids",
    "read_alpha",
    "read_colmap",
    "read_depth",
    "read_facescape",
    "read_frame",
    "read_labels",
    "read_nerfstudio",
    "read_nersemble",
    "read_points",
    "read_pool",
    "restore_crop",
    "sample_standard",
    "scaled_by_landmarks",
    "scene_extent",
    "shown_subjects",
    "source_state",
    "standard_views",
    "straight_pixels",
    "test_views",
    "triangulate_parts",
    "turned_view",
    "undistort",
    "undistortion_maps",
    "upright_turns",
    "write_capture",
    "write_facescape",
    "write_nerfstudio",
    "write_points",
    "write_truth",
]
