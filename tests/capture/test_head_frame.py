"""Which way does the face look? From made-up landmarks, from rendered heads, from cameras alone."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from labelsplat.base import CaptureError
from labelsplat.capture import (
    LOOSE,
    RING,
    Capture,
    Detections,
    HeadFrame,
    apply_frame,
    estimate_frame,
    frame_facts,
    frame_from_cameras,
    frame_from_detections,
    frame_of_facts,
    head_angles,
    head_sphere,
    identity_frame,
    inspect_capture,
    inspection_text,
    known_frame,
    looseness,
    normalised,
    open_capture,
    orbit_camera,
    prepare,
    read_frame,
    write_capture,
)
from labelsplat.capture.head_frame import MEAN_HEAD, USABLE, similarity
from labelsplat.labels import CELEBAMASK
from labelsplat.parsing import choose_frame

SIZE = 128
NAMES = tuple(MEAN_HEAD)
TWIN = {n: n.replace("l_", "r_") if n[0] == "l" else n.replace("r_", "l_") for n in NAMES}
TWIN["lips"] = "lips"


def random_world(seed):
    """(rotation, translation, scale) of a made-up world."""
    rng = np.random.default_rng(seed)
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.linalg.det(q), rng.normal(0, 2, 3), float(rng.uniform(0.3, 4))


def in_world(cameras, seed):
    """Cameras of the head frame as a reader gives those of an arbitrary world, and the way back."""
    rotation, translation, scale = random_world(seed)
    moved, factor = normalised([c.transformed(rotation, translation, scale) for c in cameras])
    return moved, rotation.T, 1 / (scale * factor)


def off_by(frame: HeadFrame, true_rotation) -> float:
    cosine = (np.trace(frame.rotation @ true_rotation.T) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def ring(count=23):
    return [orbit_camera(yaw, pitch, 1.15, 16.5, SIZE) for yaw, pitch in RING[:count]]


def made_up(cameras, seed, *, noise=1.5, wrong=0.3):
    """Detections of one person's landmarks: hidden ones missing, some at other places."""
    rng = np.random.default_rng(seed)
    shape = rng.uniform(0.92, 1.08, 3)
    points = np.array([MEAN_HEAD[n] for n in NAMES]) * shape + rng.normal(0, 0.003, (len(NAMES), 3))
    pixels = np.full((len(cameras), len(NAMES), 2), np.nan)
    weights = np.zeros(pixels.shape[:2])
    for v, camera in enumerate(cameras):
        seen = camera.project(points)
        towards = camera.centre / np.linalg.norm(camera.centre)
        facing = points @ towards / np.linalg.norm(points, axis=1)
        for i, name in enumerate(NAMES):
            place = seen[i] + rng.normal(0, noise, 2)
            if facing[i] < -0.1:
                continue
            if rng.uniform() < wrong:
                # A twin's place, as parsers swap sides, or anywhere on the head.
                swapped = seen[NAMES.index(TWIN[name])]
                place = swapped if rng.uniform() < 0.4 else rng.uniform(0.2, 0.8, 2) * SIZE
            pixels[v, i], weights[v, i] = place, rng.uniform(0.6, 1)
    return Detections(NAMES, pixels, weights)


@pytest.mark.parametrize("seed", range(6))
def test_frame_is_found_with_a_third_of_the_detections_wrong(seed):
    cameras = ring()
    detections = made_up(cameras, seed)
    moved, truth, scale = in_world(cameras, seed)
    frame = frame_from_detections(detections, moved, seed=seed)
    assert frame.method == "landmarks" and len(frame.landmarks) >= 5
    assert off_by(frame, truth) < 6
    assert frame.confidence > 2 * USABLE and frame.uncertainty < 10
    assert frame.scale == pytest.approx(scale, rel=0.15)
    true_angles = np.array([head_angles(c) for c in cameras])
    away = np.abs((frame.angles(moved) - true_angles + 180) % 360 - 180)
    assert np.median(away) < 5


def test_few_views_of_one_side_still_give_a_frame():
    cameras = [
        orbit_camera(yaw, p, 1.15, 16.5, SIZE) for yaw, p in [(-20, 0), (0, 10), (15, -5), (35, 5)]
    ]
    moved, truth, _ = in_world(cameras, 3)
    frame = frame_from_detections(made_up(cameras, 3, noise=0.5, wrong=0.0), moved)
    assert off_by(frame, truth) < 8


def test_confidence_falls_with_the_share_of_wrong_detections():
    cameras = ring()
    confidences = []
    for wrong in (0.0, 0.4, 0.95):
        found = [frame_from_detections(made_up(cameras, s, wrong=wrong), cameras) for s in range(4)]
        confidences.append(np.mean([0 if f is None else f.confidence for f in found]))
    assert confidences[0] > confidences[1] > confidences[2]
    assert confidences[2] < USABLE


def test_nothing_detected_is_no_frame_by_landmarks():
    cameras = ring()
    nothing = Detections(NAMES, np.full((23, len(NAMES), 2), np.nan), np.zeros((23, len(NAMES))))
    assert frame_from_detections(nothing, cameras) is None


@pytest.fixture(scope="module")
def rendered():
    """True labels of one rendered head from nine sides, as one-hot probabilities; its cameras."""
    from labelsplat.capture.heads import bake, build_head, render_view, sample_identity

    scene = bake(build_head(sample_identity(5)), 5)
    poses = [
        (0, 0),
        (-30, 5),
        (30, -8),
        (-60, 0),
        (60, 10),
        (-85, -5),
        (85, 0),
        (10, 35),
        (-15, -30),
    ]
    cameras = [orbit_camera(yaw, pitch, 1.15, 16.5, 96) for yaw, pitch in poses]
    labels = np.stack([render_view(scene, camera, 1).labels for camera in cameras])
    return np.eye(len(CELEBAMASK), dtype=np.float32)[labels], cameras


def test_frame_of_a_rendered_head(rendered):
    probabilities, cameras = rendered
    moved, truth, _ = in_world(cameras, 11)
    frame = estimate_frame(probabilities, moved)
    assert frame.method == "landmarks" and off_by(frame, truth) < 8
    assert frame.usable


def test_frame_of_a_rendered_head_with_a_third_of_the_views_mirrored(rendered):
    """Left and right swapped in three of nine views: as parsers err in profile."""
    probabilities, cameras = rendered
    wrong = np.array(probabilities)
    for view in (2, 5, 6):
        wrong[view] = wrong[view][..., CELEBAMASK.flip]
    moved, truth, _ = in_world(cameras, 12)
    assert off_by(estimate_frame(wrong, moved), truth) < 10


def test_without_landmarks_the_cameras_tell():
    yaws = (-60, -30, 0, 20, 50)
    cameras = [orbit_camera(yaw, 10, 1.15, 16.5, SIZE) for yaw in yaws]
    moved, truth, _ = in_world(cameras, 4)
    blank = np.zeros((5, 32, 32, len(CELEBAMASK)), np.float32)
    blank[..., 0] = 1
    frame = estimate_frame(blank, moved)
    assert frame.method == "cameras" and frame.scale is None and not frame.landmarks
    assert off_by(frame, truth) < 10  # the mean yaw is -4
    assert USABLE < frame.confidence <= 0.5


def test_a_full_ring_of_cameras_says_nothing_of_the_front():
    cameras = [orbit_camera(yaw, 0, 1.15, 16.5, SIZE) for yaw in range(-180, 180, 30)]
    moved, truth, _ = in_world(cameras, 5)
    frame = frame_from_cameras(moved)
    assert frame.confidence < 0.01 and not frame.usable
    assert frame.rotation[1] @ truth[1] > 0.99  # but it knows up


def test_similarity_is_exact_and_no_reflection():
    rng = np.random.default_rng(0)
    rotation, translation, scale = random_world(1)
    points = rng.normal(size=(6, 3))
    s, r, t = similarity(points, scale * points @ rotation.T + translation, np.ones(6))
    assert s == pytest.approx(scale)
    np.testing.assert_allclose(r, rotation, atol=1e-9)
    np.testing.assert_allclose(t, translation, atol=1e-9)
    s, r, t = similarity(points, points * (-1, 1, 1), np.ones(6))
    assert np.linalg.det(r) == pytest.approx(1)


@pytest.fixture
def prepared(nerfstudio):
    return prepare(open_capture(nerfstudio), 24)


def test_a_frame_gives_photos_their_angles(prepared, cameras):
    """The made-up nerfstudio capture's world is the head's, but for origin and scale."""
    assert prepared.angles is None
    turned = apply_frame(prepared, identity_frame())
    true_angles = np.array([head_angles(c) for c in cameras])
    np.testing.assert_allclose(turned.angles, true_angles, atol=2)  # its origin is their focus
    assert turned.cameras is prepared.cameras
    weak = replace(identity_frame(), confidence=USABLE / 2)
    assert apply_frame(turned, weak).angles is None
    assert apply_frame(turned, None).angles is None


def test_a_camera_goes_to_the_head_and_back():
    rotation, translation, _ = random_world(2)
    frame = HeadFrame(rotation, translation, None, 1.0, "given")
    camera = orbit_camera(20, 30, 1, 20, 8)
    again = frame.back(frame.camera(camera))
    np.testing.assert_allclose(again.view_matrix, camera.view_matrix, atol=1e-12)
    np.testing.assert_allclose(frame.rotation @ frame.origin + frame.translation, 0, atol=1e-12)


def write(path, value):
    path.write_text(json.dumps(value))
    return path


def test_given_frames_in_every_form(tmp_path):
    rotation, translation, _ = random_world(7)
    axes = dict(zip(("left", "up", "front"), (3 * rotation).tolist(), strict=True))
    origin = (-rotation.T @ translation).tolist()
    matrix = np.column_stack([rotation, translation]).tolist()
    found = HeadFrame(rotation, translation, 0.5, 0.7, "landmarks", {"nose": 0.004}, 3.25)
    forms = [
        {"axes": axes, "origin": origin},
        {"transform": matrix},
        {"transform": [*matrix, [0, 0, 0, 1]]},
        frame_facts(found),
    ]
    for form in forms:
        frame = read_frame(write(tmp_path / "head_frame.json", form))
        np.testing.assert_allclose(frame.rotation, rotation, atol=1e-9)
        np.testing.assert_allclose(frame.translation, translation, atol=1e-9)
        assert frame.method == "given" and frame.usable
    again = frame_of_facts(json.loads(json.dumps(frame_facts(found))))
    assert (again.method, again.confidence, again.uncertainty) == ("landmarks", 0.7, 3.25)
    assert again.residuals == {"nose": 0.004} and again.scale == 0.5


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({}, "rotation"),
        ({"axes": [1]}, "left, up, front"),
        ({"axes": {"left": [1, 0, 0], "up": [0, 1, 0]}}, "front"),
        ({"axes": {"left": [1, 0, 0], "up": [0, 1, 0], "front": [0, 0, -1]}}, "right-handed"),
        ({"axes": {"left": [1, 0, 0], "up": [1, 1, 0], "front": [0, 0, 1]}}, "right-handed"),
        ({"axes": {"left": [0, 0, 0], "up": [0, 1, 0], "front": [0, 0, 1]}}, "no length"),
        ({"transform": [[1, 0, 0], [0, 1, 0]]}, "transform"),
        ({"transform": [[1, 0, 0, 5], [0, 2, 0, 5], [0, 0, 1, 5]]}, "scales the axes by 1, 2, 1"),
        ({"transform": [[2, 0, 0, 5], [0, 2, 0, 5], [0, 0, 2, 5]], "scale": 3}, "scales by 2"),
        ({"rotation": [[1, 0, 0], [0, 1, 0], [0, 0, 1]], "scale": 0}, "scale"),
    ],
)
def test_a_broken_frame_is_named(tmp_path, value, words):
    path = write(tmp_path / "head_frame.json", value)
    with pytest.raises(CaptureError, match=words) as caught:
        read_frame(path)
    assert "head_frame.json" in str(caught.value)


AXES = {"left": [0, 0, -1], "up": [0, 1, 0], "front": [1, 0, 0]}
NOTHING = np.zeros((6, 24, 24, len(CELEBAMASK)), np.float32)


@pytest.mark.parametrize("aligned", [True, False])
def test_the_users_frame_comes_first_wherever_it_is_asked_for(facescape, params, aligned):
    """Then the capture's own, then an estimate: the same for a look and for the line."""
    if not aligned:
        (facescape / "Rt_scale_dict.json").unlink()
    capture = open_capture(facescape)
    photos = prepare(capture, 24)
    own = known_frame(capture)
    assert (own and own.method) == ("own" if aligned else None)
    facts = choose_frame(capture, photos, NOTHING)
    assert facts["method"] == ("own" if aligned else "cameras")
    assert choose_frame(capture, photos, NOTHING, "estimate")["method"] == "cameras"
    words = "knows its head frame" if aligned else "not known"
    assert words in inspection_text(inspect_capture(facescape))
    write(params.parent / "head_frame.json", {"axes": AXES})
    facts = choose_frame(capture, photos, NOTHING)
    assert facts["method"] == "given"
    assert facts["scale"] == (1 if aligned else None)  # the world of a head frame is in metres
    np.testing.assert_allclose(facts["rotation"], list(AXES.values()), atol=1e-9)
    found = inspect_capture(facescape)
    np.testing.assert_allclose(found.frame.rotation, facts["rotation"])
    assert "given in head_frame.json" in inspection_text(found)
    write(params.parent / "head_frame.json", {})
    with pytest.raises(CaptureError, match=r"head_frame\.json"):
        choose_frame(capture, photos, NOTHING)
    found = inspect_capture(facescape)
    assert [p.level for p in found.problems if "head_frame.json" in p.where] == ["error"]
    assert found.frame.method == ("own" if aligned else "cameras")


def test_a_transform_may_scale(tmp_path):
    """Given in metres and in world units, it is the same frame."""
    rotation, translation, _ = random_world(7)
    matrix = np.column_stack([0.3 * rotation, 0.3 * translation])
    for form in ({"transform": matrix.tolist()}, {"transform": matrix.tolist(), "scale": 0.3}):
        frame = read_frame(write(tmp_path / "head_frame.json", form))
        np.testing.assert_allclose(frame.rotation, rotation, atol=1e-9)
        np.testing.assert_allclose(frame.translation, translation, atol=1e-9)
        assert frame.scale == pytest.approx(0.3)
    rounded = np.column_stack([rotation, translation]).round(4).tolist()
    frame = read_frame(write(tmp_path / "head_frame.json", {"transform": rounded, "scale": 2}))
    assert frame.scale == 2
    np.testing.assert_allclose(frame.translation, translation, atol=1e-4)


@pytest.mark.parametrize("layout", ["facescape", "nerfstudio"])
@pytest.mark.parametrize("invalid", [(), ("frame_1", "frame_4")])
def test_a_converted_capture_keeps_its_users_frame(nerfstudio, tmp_path, layout, invalid):
    """The head stays where it is in the photos, also when origin and scale change."""
    rotation, translation, _ = random_world(3)
    given = {"rotation": rotation.tolist(), "translation": translation.tolist(), "scale": 0.7}
    write(nerfstudio / "head_frame.json", given)
    capture = open_capture(nerfstudio)
    write_capture(capture, tmp_path / "out", layout, invalid=invalid)
    again = open_capture(tmp_path / "out")
    assert len(again.views) == 6 - len(invalid)
    frame, before = known_frame(again), known_frame(capture)
    assert frame.method == "given"
    points = np.random.default_rng(0).normal(0, 0.1, (9, 3))  # metres in the head frame
    for view in again.views:
        other = next(v for v in capture.views if v.name == view.name)
        pixels = [
            v.camera.project((points / f.scale - f.translation) @ f.rotation)
            for v, f in ((view, frame), (other, before))
        ]
        np.testing.assert_allclose(*pixels, atol=1e-6)


def test_a_frame_without_scale_takes_it_from_the_landmarks(rendered, tmp_path):
    """Only so it shows that photos are framed loosely, here twice as wide as a head needs."""
    probabilities, cameras = rendered
    wide = np.pad(probabilities, ((0, 0), (48, 48), (48, 48), (0, 0)))
    wide[..., 0] = 1 - wide[..., 1:].sum(-1)
    moved, truth, scale = in_world([c.padded(48, 48, 192, 192) for c in cameras], 8)
    write(tmp_path / "head_frame.json", {"rotation": truth.tolist()})
    capture = Capture("s", (), "arbitrary", "made up", tmp_path, 1.0)
    photos = SimpleNamespace(cameras=moved, valid=None)
    facts = choose_frame(capture, photos, wide)
    assert facts["method"] == "given" and facts["scale"] == pytest.approx(scale, rel=0.2)
    np.testing.assert_allclose(facts["rotation"], truth, atol=1e-9)
    assert looseness(moved, *head_sphere(moved, frame_of_facts(facts))) > LOOSE
    write(tmp_path / "head_frame.json", {"rotation": truth.tolist(), "scale": 0.123})
    assert choose_frame(capture, photos, wide)["scale"] == 0.123
    wide[..., 1:] = 0  # nothing is seen, nothing is known
    write(tmp_path / "head_frame.json", {"rotation": truth.tolist()})
    assert choose_frame(capture, photos, wide)["scale"] is None
