"""Catmull-Clark subdivision as a sparse matrix, and small helpers on quad meshes.

The matrix depends on the topology only: it is made once, and each head is one product with it.
Rules: Catmull & Clark 1978; boundaries follow the cubic B-spline (as in Pixar's OpenSubdiv).
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp


def _edges(quads: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges ``[E, 2]`` without direction, each corner's edge ``[F, 4]``, faces an edge ``[E]``."""
    ends = np.stack([quads, np.roll(quads, -1, 1)], -1).reshape(-1, 2)
    edges, of_corner, count = np.unique(
        np.sort(ends, 1), axis=0, return_inverse=True, return_counts=True
    )
    return edges, of_corner.reshape(-1, 4), count


def _split(corners: np.ndarray, edge_points: np.ndarray, face_points: np.ndarray) -> np.ndarray:
    """Four quads for each quad, its corner first: ``[4 F, 4]`` with the same winding."""
    children = [
        np.stack([corners[:, k], edge_points[:, k], face_points, edge_points[:, (k - 1) % 4]], 1)
        for k in range(4)
    ]
    return np.stack(children, 1).reshape(-1, 4)


def _incidence(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> sp.csr_matrix:
    return sp.csr_matrix((np.ones(rows.size), (rows.ravel(), columns.ravel())), shape)


def _scale_rows(matrix: sp.spmatrix, factor: np.ndarray) -> sp.csr_matrix:
    return sp.diags(factor.astype(float)) @ matrix


def catmull_clark(quads: np.ndarray, vertices: int) -> tuple[sp.csr_matrix, np.ndarray]:
    """One Catmull-Clark step.

    Args:
        quads: ``[F, 4]`` int vertex indices; open boundaries are allowed.
        vertices: number of vertices V of the coarse mesh.

    Returns:
        A matrix ``[V + E + F, V]`` whose rows sum to one (moved vertices, then edge points, then
        face points), and the fine quads ``[4 F, 4]``: children ``4 f .. 4 f + 3`` belong to quad f.
    """
    faces = len(quads)
    edges, edge_of_corner, count = _edges(quads)
    face_id = np.repeat(np.arange(faces), 4)
    edge_id = np.repeat(np.arange(len(edges)), 2)
    boundary_edge = count == 1

    face_point = _incidence(face_id, quads, (faces, vertices)) / 4
    midpoint = _incidence(edge_id, edges, (len(edges), vertices)) / 2
    faces_of_edge = _incidence(edge_of_corner, face_id, (len(edges), faces))
    mean_face = _scale_rows(faces_of_edge @ face_point, 1 / count)
    edge_point = _scale_rows(midpoint, np.where(boundary_edge, 1, 0.5)) + _scale_rows(
        mean_face, np.where(boundary_edge, 0, 0.5)
    )

    valence = np.bincount(edges.ravel(), minlength=vertices)
    n = np.maximum(valence, 1)
    faces_of_vertex = _incidence(quads, face_id, (vertices, faces))
    edges_of_vertex = _incidence(edges, edge_id, (vertices, len(edges)))
    face_count = np.maximum(np.asarray(faces_of_vertex.sum(1)).ravel(), 1)
    inside = (
        _scale_rows(faces_of_vertex @ face_point, 1 / (n * face_count))
        + _scale_rows(edges_of_vertex @ midpoint, 2 / (n * n))
        + sp.diags((n - 3) / n)
    )
    rim = edges_of_vertex @ sp.diags(boundary_edge.astype(float))
    rim_count = np.asarray(rim.sum(1)).ravel()
    along_rim = _scale_rows(rim @ midpoint, 0.5 / np.maximum(rim_count, 1)) + 0.5 * sp.identity(
        vertices
    )
    on_rim = rim_count > 0
    moved = (
        _scale_rows(inside, ~on_rim & (valence > 0))
        + _scale_rows(along_rim, on_rim)
        + sp.diags((valence == 0).astype(float))
    )
    matrix = sp.vstack([moved, edge_point, face_point]).tocsr()
    fine = _split(quads, edge_of_corner + vertices, np.arange(faces) + vertices + len(edges))
    return matrix, fine


def split_linearly(quads: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Subdivide a quad mesh without smoothing (for texture coordinates).

    Returns:
        Points ``[V + E + F, D]`` and quads ``[4 F, 4]``, children in :func:`catmull_clark`'s order.
    """
    edges, edge_of_corner, _ = _edges(quads)
    fine = np.concatenate([points, points[edges].mean(1), points[quads].mean(1)])
    first_face = len(points) + len(edges)
    return fine, _split(quads, edge_of_corner + len(points), np.arange(len(quads)) + first_face)


def scatter_sum(index: np.ndarray, values: np.ndarray, size: int) -> np.ndarray:
    """Sum ``values [N, D]`` into ``[size, D]`` at rows ``index [N]``."""
    return np.stack([np.bincount(index, column, size) for column in values.T], 1)


def normalised(vectors: np.ndarray) -> np.ndarray:
    """Vectors ``[..., D]`` at unit length; zero stays zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def quad_normals(vertices: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """Area-weighted vertex normals ``[V, 3]``; counter-clockwise quads face outwards."""
    a, b, c, d = (vertices[quads[:, k]] for k in range(4))
    area = np.cross(c - a, d - b)
    return normalised(scatter_sum(quads.ravel(), np.repeat(area, 4, 0), len(vertices)))


def triangle_normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Area-weighted vertex normals ``[V, 3]``; counter-clockwise triangles face outwards."""
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    area = np.cross(b - a, c - a)
    return normalised(scatter_sum(triangles.ravel(), np.repeat(area, 3, 0), len(vertices)))


def quads_to_triangles(quads: np.ndarray) -> np.ndarray:
    """``[F, 4]`` to ``[2 F, 3]``: all first halves, then all second halves."""
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
