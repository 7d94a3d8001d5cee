"""Photographs of heads: labels, sides, coverage, depth, reproducibility."""

import hashlib
import os
import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest

from labelsplat.capture.cameras import orbit_camera
from labelsplat.capture.heads import bake, build_head, render_view, sample_identity
from labelsplat.labels import CELEBAMASK

from .conftest import camera, plain_identity

INDEX = CELEBAMASK.index
FACE = [
    "background",
    "skin",
    "l_brow",
    "r_brow",
    "l_eye",
    "r_eye",
    "l_ear",
    "r_ear",
    "nose",
    "mouth",
    "u_lip",
    "l_lip",
    "neck",
    "cloth",
    "hair",
]


def digest(view):
    joined = b"".join(getattr(view, f.name).tobytes() for f in fields(view))
    return hashlib.sha256(joined).hexdigest()


def test_shapes_and_types(front):
    assert front.image.shape == (128, 128, 3)
    assert front.image.dtype == front.labels.dtype == front.alpha.dtype == np.uint8
    assert front.depth.dtype == np.float32
    assert front.labels.shape == front.alpha.shape == front.depth.shape == (128, 128)


def test_every_class_is_seen_from_the_front(front):
    seen = {CELEBAMASK.classes[k]: n for k, n in enumerate(np.bincount(front.labels.ravel())) if n}
    assert set(seen) == set(FACE)
    assert min(seen.values()) >= 4, seen


def test_a_plain_head_never_shows_occluders(scene):
    for yaw, pitch in ((-80, 0), (40, 50), (180, 0), (20, -50)):
        labels = render_view(scene, camera(yaw, pitch), 1).labels
        assert set(np.unique(labels)) <= {INDEX(name) for name in FACE}


@pytest.mark.parametrize("part", ["brow", "eye", "ear"])
def test_the_subjects_left_is_on_the_images_right(front, part):
    left = np.nonzero(front.labels == INDEX(f"l_{part}"))[1].mean()
    right = np.nonzero(front.labels == INDEX(f"r_{part}"))[1].mean()
    assert left > 64 > right


def test_parts_are_stacked_as_in_a_face(front):
    order = ("hair", "l_brow", "l_eye", "nose", "u_lip", "mouth", "l_lip", "neck", "cloth")
    rows = [np.nonzero(front.labels == INDEX(name))[0].mean() for name in order]
    assert rows == sorted(rows)


def test_profiles_show_one_ear(scene):
    for yaw, seen, hidden in ((80, "l_ear", "r_ear"), (-80, "r_ear", "l_ear")):
        labels = render_view(scene, camera(yaw, 0)).labels
        assert (labels == INDEX(seen)).sum() > 15
        assert (labels == INDEX(hidden)).sum() == 0


def test_alpha_agrees_with_labels(front):
    assert (front.labels[front.alpha == 0] == 0).all()
    assert (front.labels[front.alpha == 255] != 0).all()
    assert (front.alpha[front.labels == 0] < 255).all()
    mixed = (front.alpha > 0) & (front.alpha < 255)
    assert 0 < mixed.mean() < 0.1


def test_depth_agrees_with_alpha_and_scale(front):
    assert (front.depth[front.alpha == 255] > 0).all()
    assert (front.depth[front.alpha == 0] == 0).all()
    seen = front.depth[front.depth > 0]
    assert 0.9 < seen.min() < 1.1  # the nose is nearest: 1.15 m less half a head
    assert seen.max() < 1.5


def unproject(view, cam):
    row, column = np.nonzero(view.depth > 0)
    z = view.depth[row, column].astype(float)
    k = cam.intrinsics
    x = (column + 0.5 - k[0, 2]) / k[0, 0] * z
    y = (row + 0.5 - k[1, 2]) / k[1, 1] * z
    world = (np.stack([x, y, z], 1) - cam.translation) @ cam.rotation
    return view.labels[row, column], world


def look_up(view, cam, world):
    """Label and depth of the other view at each point's pixel; the points that fall inside."""
    column, row = np.floor(cam.project(world)).astype(int).T
    inside = (column >= 0) & (row >= 0) & (column < cam.width) & (row < cam.height)
    row, column = row[inside], column[inside]
    return inside, view.labels[row, column], view.depth[row, column]


@pytest.mark.parametrize("pair", [((0, 0), (20, 4)), ((-50, 10), (-25, -5)), ((70, -10), (100, 0))])
def test_labels_agree_between_views(scene, pair):
    first, second = (camera(*pose, size=192) for pose in pair)
    a, b = render_view(scene, first), render_view(scene, second)
    labels, world = unproject(a, first)
    inside, other, depth = look_up(b, second, world)
    away = depth - second.to_camera(world[inside])[:, 2]
    same_point = np.abs(away) < 0.002
    assert same_point.mean() > 0.4
    assert (labels[inside] == other)[same_point].mean() >= 0.96


def test_a_point_seen_is_never_behind_what_the_other_view_sees_by_much(scene):
    """Unprojected pixels lie on surfaces: seen from 3 degrees beside, their depths coincide."""
    first, second = camera(10, 0), camera(13, 0)
    a, b = render_view(scene, first), render_view(scene, second)
    _, world = unproject(a, first)
    inside, _, depth = look_up(b, second, world)
    away = np.abs(depth - second.to_camera(world[inside])[:, 2])[depth > 0]
    assert np.median(away) < 0.001
    assert (away < 0.004).mean() > 0.8


def test_any_pinhole_camera_gives_the_same_photo(scene):
    """Padding and a wider image only move the window; half a height halves the rows."""
    cam = camera(25, -10, 96)
    wide = cam.padded(13, 5, 130, 110)
    a, b = render_view(scene, cam), render_view(scene, wide)
    window = (slice(5, 101), slice(13, 109))
    assert (a.labels == b.labels[window]).mean() > 0.998
    # Points of the photo, so the background's blur and rounding aside, colours are equal, too.
    assert np.abs(a.image.astype(int) - b.image[window]).mean() < 0.3

    flat = cam.resized(96, 48)
    c = render_view(scene, flat)
    assert c.labels.shape == (48, 96)
    pairs = a.labels.reshape(48, 2, 96)
    alike = pairs[:, 0] == pairs[:, 1]
    assert (c.labels == pairs[:, 0])[alike].mean() > 0.98


def test_nothing_in_view_is_background(scene):
    cam = camera(0, 0, 32)
    away = replace(cam, translation=cam.translation + np.array((3.0, 0, 0)))
    view = render_view(scene, away)
    assert not view.labels.any()
    assert not view.alpha.any()
    assert not view.depth.any()
    assert view.image.std() < 60


def test_supersample_must_be_positive(scene):
    with pytest.raises(ValueError, match="supersample"):
        render_view(scene, camera(0, 0, 16), 0)


@pytest.mark.parametrize("style", ["afro", "bun", "bald"])
def test_the_head_fits_in_the_frame(style):
    scene = bake(build_head(plain_identity(11, style)), 0)
    for yaw, pitch in ((0, 0), (60, 0), (-110, 0), (0, 45), (20, -40)):
        labels = render_view(scene, camera(yaw, pitch, 64), 2).labels
        border = np.concatenate([labels[0], labels[:48, 0], labels[:48, -1]])
        allowed = [INDEX(name) for name in ("background", "cloth", "neck", "hair")]
        assert np.isin(border, allowed).all()
        assert (border == INDEX("hair")).mean() < {"afro": 0.25, "bun": 0.10, "bald": 0.001}[style]
        assert 0.08 < (~np.isin(labels, allowed[:3])).mean() < 0.6


def test_the_bust_is_closed_from_below():
    """Straight from below one sees cloth, never the inside of the skin through the cut waist."""
    scene = bake(build_head(plain_identity(8, "bald")), 0)
    cam = orbit_camera(0, -89, distance=1.2, field_of_view=7, size=48, target=(0, -0.3, -0.03))
    assert set(np.unique(render_view(scene, cam, 2).labels)) == {INDEX("cloth")}


_HASHES = """
import hashlib
from labelsplat.capture.cameras import orbit_camera
from labelsplat.capture.heads import bake, build_head, render_view, sample_identity
view = render_view(bake(build_head(sample_identity(5)), 5), orbit_camera(30, 5, 1.15, 16.5, 64))
arrays = (view.image, view.labels, view.alpha, view.depth)
print(hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest())
"""


def test_same_seed_same_bytes_in_another_process_with_more_threads():
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, "3")
    result = subprocess.run(
        [sys.executable, "-c", _HASHES], env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    here = render_view(bake(build_head(sample_identity(5)), 5), camera(30, 5, 64))
    assert result.stdout.strip() == digest(here)


def test_other_seeds_are_other_heads_and_other_light(scene, front):
    other = bake(build_head(plain_identity(4, "short", "3_mouth_stretch")), 3)
    assert (render_view(other, camera(0, 0)).labels != front.labels).mean() > 0.02
    head = build_head(plain_identity(3, "short", "3_mouth_stretch"))
    relit = render_view(bake(head, 4), camera(0, 0))
    np.testing.assert_array_equal(relit.labels, front.labels)
    assert np.abs(relit.image.astype(int) - front.image).mean() > 3


def test_lashes_colour_the_image_but_have_no_label(scene, front):
    kept = scene.mesh._replace(
        triangles=scene.mesh.triangles[: scene.labelled],
        part_of=scene.mesh.part_of[: scene.labelled],
    )
    without = render_view(replace(scene, mesh=kept), camera(0, 0))
    np.testing.assert_array_equal(without.labels, front.labels)
    np.testing.assert_array_equal(without.depth, front.depth)
    assert (without.image != front.image).any(-1).sum() > 10
