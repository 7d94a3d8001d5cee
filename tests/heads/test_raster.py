"""The rasteriser's kernels against exact planes and naive counts."""

import numpy as np
import pytest

from labelsplat.capture.cameras import orbit_camera
from labelsplat.capture.heads import raster
from labelsplat.capture.heads.clothes import clip

SIZE, SUPER = 24, 4


def draw(vertices, triangles, camera, supersample=SUPER):
    points = raster.project(
        np.asarray(vertices, np.float32), camera.rotation, camera.translation,
        camera.intrinsics, float(supersample),
    )  # fmt: skip
    shape = (camera.height * supersample, camera.width * supersample)
    depth = np.full(shape, raster.FAR, np.float32)
    triangle_of = np.full(shape, -1, np.int32)
    weights = np.zeros((*shape, 2), np.float32)
    triangles = np.asarray(triangles, np.int32)
    raster.rasterise(points, triangles, 0, len(triangles), depth, triangle_of, weights)
    return points, triangles, depth, triangle_of, weights


@pytest.fixture
def camera():
    return orbit_camera(20, 10, 1.0, 20, SIZE)


def plane(camera, seed=0):
    """A large tilted square that fills the image, as two triangles, and its normal."""
    normal = np.array((0.3, -0.2, 1.0))
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1.0]])
    z = -(corners @ normal[:2]) / normal[2]
    return np.column_stack([corners, z]), [[0, 1, 2], [0, 2, 3]], normal


def plane_depth(camera, normal, x, y):
    """Exact z depth of the plane through the origin at pixel coordinates (x, y), float64."""
    k = camera.intrinsics
    ray = np.stack([(x - k[0, 2]) / k[0, 0], (y - k[1, 2]) / k[1, 1], np.ones_like(x)], -1)
    return -(camera.centre @ normal) / (ray @ camera.rotation @ normal)


def test_depth_of_a_tilted_plane_is_exact(camera):
    vertices, triangles, normal = plane(camera)
    _, _, depth, triangle_of, _ = draw(vertices, triangles, camera)
    assert (triangle_of >= 0).all()
    row, column = np.mgrid[: SIZE * SUPER, : SIZE * SUPER]
    expected = plane_depth(camera, normal, (column + 0.5) / SUPER, (row + 0.5) / SUPER)
    np.testing.assert_allclose(depth, expected, rtol=2e-6)


@pytest.mark.parametrize("supersample", [1, 3, 4])
def test_centre_depth_is_that_of_the_pixels_centre(camera, supersample):
    vertices, triangles, normal = plane(camera)
    points, triangles, _, triangle_of, _ = draw(vertices, triangles, camera, supersample)
    got = raster.centre_depth(points, triangles, triangle_of, supersample)
    row, column = np.mgrid[:SIZE, :SIZE]
    expected = plane_depth(camera, normal, column + 0.5, row + 0.5)
    np.testing.assert_allclose(got, expected, rtol=5e-6)


def test_the_nearer_triangle_wins_whatever_the_order(camera):
    vertices, triangles, _ = plane(camera)
    nearer = vertices + 0.1 * camera.centre / np.linalg.norm(camera.centre)
    both = np.concatenate([vertices, nearer])
    behind, front = np.array(triangles), np.array(triangles) + 4
    for order in ([behind, front], [front, behind]):
        stacked = np.concatenate(order)
        _, _, _, triangle_of, _ = draw(both, stacked, camera)
        assert (stacked[triangle_of][..., 0] >= 4).all()


def test_weights_are_perspective_correct(camera):
    vertices, triangles, _ = plane(camera)
    _, triangles, depth, triangle_of, weights = draw(vertices, triangles, camera)
    corner = vertices[triangles[triangle_of]]
    full = np.concatenate([weights, 1 - weights.sum(-1, keepdims=True)], -1)
    point = (corner * full[..., None]).sum(-2)
    seen = camera.project(point) * SUPER
    row, column = np.mgrid[: SIZE * SUPER, : SIZE * SUPER] + 0.5
    np.testing.assert_allclose(seen, np.stack([column, row], -1), atol=2e-3)
    np.testing.assert_allclose(camera.to_camera(point)[..., 2], depth, rtol=1e-5)


def test_triangles_behind_the_camera_are_dropped(camera):
    vertices, triangles, _ = plane(camera)
    _, _, _, triangle_of, _ = draw(vertices + 5 * camera.centre, triangles, camera)
    assert (triangle_of == -1).all()


def test_vote_counts_like_a_naive_loop():
    samples = np.random.default_rng(0).integers(0, 4, (20, 28)).astype(np.uint8)
    samples[:4, :4] = 0
    samples[:4, 4:8] = 3
    labels, alpha = raster.vote(samples, 4)
    for y in range(5):
        for x in range(7):
            block = samples[4 * y : 4 * y + 4, 4 * x : 4 * x + 4]
            counts = np.bincount(block.ravel(), minlength=32)
            assert labels[y, x] == counts.argmax()  # argmax: the lowest of equals
            assert alpha[y, x] == round(255 * (1 - counts[0] / 16) + 1e-9)
    assert (labels[0, 0], alpha[0, 0]) == (0, 0)
    assert (labels[0, 1], alpha[0, 1]) == (3, 255)


def test_clip_keeps_the_positive_side():
    side = np.linspace(-1, 1, 9)
    x, y = np.meshgrid(side, side)
    vertices = np.stack([x, y], -1).reshape(-1, 2)
    first = (np.arange(8)[:, None] * 9 + np.arange(8)).ravel()
    quads = np.stack([first, first + 1, first + 10, first + 9], 1)
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    inside = vertices @ (1.0, 0.3) - 0.11
    values, kept, rim = clip(vertices, triangles, inside)
    height = values @ (1.0, 0.3) - 0.11
    assert height[kept].min() > -1e-12
    np.testing.assert_allclose(height[rim], 0, atol=1e-12)
    a, b, c = (values[kept[:, k]] for k in range(3))
    area = np.linalg.det(np.stack([b - a, c - a], 1)) / 2
    assert (area > 0).all()  # the winding is kept
    assert area.sum() == pytest.approx(2 - 2 * 0.11, abs=1e-12)
