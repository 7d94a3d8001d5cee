"""Catmull-Clark against a naive float64 loop written from the paper's rules."""

import numpy as np
import pytest

from labelsplat.capture.heads.subdivide import (
    catmull_clark,
    quad_normals,
    quads_to_triangles,
    split_linearly,
    triangle_normals,
)

CUBE = np.array([[x, y, z] for x in (-1.0, 1) for y in (-1.0, 1) for z in (-1.0, 1)])
CUBE_QUADS = np.array(
    [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
)


def grid(columns, rows):
    x, y = np.meshgrid(np.arange(columns + 1.0), np.arange(rows + 1.0))
    first = (np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)).ravel()
    quads = np.stack([first, first + 1, first + columns + 2, first + columns + 1], 1)
    return np.stack([x, y, 0 * x], -1).reshape(-1, 3), quads


def naive(vertices, quads):
    """Moved vertices, edge points by vertex pair, face points: plain loops, no shared code."""
    faces = [tuple(map(int, q)) for q in quads]
    face_points = [sum(vertices[v] for v in face) / 4 for face in faces]
    around = {}
    for f, face in enumerate(faces):
        for a, b in zip(face, face[1:] + face[:1], strict=True):
            around.setdefault(frozenset((a, b)), []).append(f)
    edge_points = {}
    for edge, touching in around.items():
        a, b = sorted(edge)
        middle = (vertices[a] + vertices[b]) / 2
        if len(touching) == 2:
            middle = (middle + (face_points[touching[0]] + face_points[touching[1]]) / 2) / 2
        edge_points[edge] = middle
    moved = []
    for v, p in enumerate(vertices):
        edges = [e for e in around if v in e]
        rim = [e for e in edges if len(around[e]) == 1]
        if rim:
            ends = [vertices[next(iter(e - {v}))] for e in rim]
            moved.append(0.75 * p + sum(ends) / 8)
            continue
        n = len(edges)
        faces_mean = sum(face_points[f] for f, face in enumerate(faces) if v in face) / n
        edges_mean = sum(sum(vertices[u] for u in e) / 2 for e in edges) / n
        moved.append((faces_mean + 2 * edges_mean + (n - 3) * p) / n)
    return np.array(moved), edge_points, np.array(face_points)


@pytest.mark.parametrize("mesh", [(CUBE, CUBE_QUADS), grid(3, 2), grid(1, 1)])
def test_equals_a_naive_loop(mesh):
    vertices, quads = mesh
    vertices = vertices + np.random.default_rng(0).normal(0, 0.3, vertices.shape)
    matrix, fine = catmull_clark(quads, len(vertices))
    points = matrix @ vertices
    moved, edge_points, face_points = naive(vertices, quads)
    np.testing.assert_allclose(points[: len(vertices)], moved, atol=1e-12)
    np.testing.assert_allclose(points[-len(quads) :], face_points, atol=1e-12)
    for f, quad in enumerate(quads):
        for k in range(4):
            corner, after, centre, before = fine[4 * f + k]
            assert corner == quad[k]
            assert centre == len(points) - len(quads) + f
            here, following, preceding = (int(quad[(k + d) % 4]) for d in (0, 1, -1))
            np.testing.assert_allclose(
                points[after], edge_points[frozenset((here, following))], atol=1e-12
            )
            np.testing.assert_allclose(
                points[before], edge_points[frozenset((here, preceding))], atol=1e-12
            )


def test_rows_sum_to_one():
    for vertices, quads in ((CUBE, CUBE_QUADS), grid(4, 3)):
        matrix, _ = catmull_clark(quads, len(vertices))
        np.testing.assert_allclose(np.asarray(matrix.sum(1)).ravel(), 1, atol=1e-12)
        assert matrix.data.min() >= 0


def test_cube_becomes_round():
    matrix, quads = catmull_clark(CUBE_QUADS, 8)
    points = matrix @ CUBE
    np.testing.assert_allclose(np.abs(points[:8]), 5 / 9, atol=1e-12)  # (F + 2 R) / 3 by hand
    for _ in range(3):
        matrix, quads = catmull_clark(quads, len(points))
        points = matrix @ points
    radius = np.linalg.norm(points, axis=1)
    assert radius.max() / radius.min() < 1.15  # a cube has 1.73
    assert len(quads) == 6 * 4**4
    outward = (quad_normals(points, quads) * points).sum(1)
    assert (outward > 0).all()


def test_unused_vertices_stay():
    vertices, quads = grid(1, 1)
    matrix, _ = catmull_clark(quads, 6)
    points = matrix @ np.concatenate([vertices, [[7.0, 8, 9], [1.0, 2, 3]]])
    np.testing.assert_array_equal(points[4:6], [[7, 8, 9], [1, 2, 3]])


def test_linear_split_has_the_same_topology_and_keeps_the_shape():
    vertices, quads = grid(3, 2)
    _, smooth = catmull_clark(quads, len(vertices))
    points, fine = split_linearly(quads, vertices)
    np.testing.assert_array_equal(fine, smooth)
    np.testing.assert_allclose(
        points[fine].mean(1).reshape(-1, 4, 3).mean(1), vertices[quads].mean(1)
    )


def test_normals_of_quads_and_their_triangles_agree_on_a_plane():
    vertices, quads = grid(3, 2)
    np.testing.assert_allclose(quad_normals(vertices, quads), np.tile((0, 0, 1.0), (12, 1)))
    np.testing.assert_allclose(
        triangle_normals(vertices, quads_to_triangles(quads)), np.tile((0, 0, 1.0), (12, 1))
    )
