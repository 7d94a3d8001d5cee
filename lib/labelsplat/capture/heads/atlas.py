"""The head's texture: which texel lies where on the canonical head, and its unpainted label."""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from labelsplat.capture.heads import regions
from labelsplat.capture.heads.data import read_lip_mask
from labelsplat.capture.heads.subdivide import quads_to_triangles
from labelsplat.labels import CELEBAMASK

WIDTH, HEIGHT = 528, 1000
"""Size of the head's texture: one texel is about 0.3 mm on the face."""

_U, _V = (0.640, 0.9945), (0.148, 0.8185)
"""Window of the base mesh's texture space that the head's island fills."""

_RIM_REACH, _MOUTH_REACH = 0.3, 0.4  # decimetres beyond which a distance no longer matters
_GUTTER = 4  # texels painted beyond the island's edge, so that filtering never reads blanks


@dataclass(frozen=True, eq=False)
class Atlas:
    """What is known of each painted texel before any identity. N texels, in row-major order.

    Attributes:
        mask: ``[HEIGHT, WIDTH]`` bool: the N painted texels.
        position: ``[N, 3]`` float32 canonical position, dm.
        label: ``[N]`` uint8 class in CELEBAMASK: skin, neck, nose, lips or ear.
        lips: ``[N]`` float32 in 0..1.
        ear: ``[N]`` bool: on an outer ear.
        rim_distance: ``[N]`` float32 dm to the eyelids' rim, at most 0.3.
        mouth_distance: ``[N]`` float32 dm to the line where the lips meet, at most 0.4.
    """

    mask: np.ndarray
    position: np.ndarray
    label: np.ndarray
    lips: np.ndarray
    ear: np.ndarray
    rim_distance: np.ndarray
    mouth_distance: np.ndarray

    def image(self, values: np.ndarray, blank: float) -> np.ndarray:
        """Values of the texels ``[N, ...]`` as an image ``[HEIGHT, WIDTH, ...]``."""
        out = np.full((*self.mask.shape, *values.shape[1:]), blank, values.dtype)
        out[self.mask] = values
        return out


def to_window(uv: np.ndarray) -> np.ndarray:
    """Texture coordinates ``[..., 2]`` of the base mesh, in 0..1 over the atlas (v upwards)."""
    low = np.array([_U[0], _V[0]])
    return (uv - low) / (np.array([_U[1], _V[1]]) - low)


@nb.njit(cache=True, nogil=True)
def _cover(corners, triangle_of, weights):
    """Write the triangle and the barycentric weights of every texel whose centre one covers."""
    height, width = triangle_of.shape
    for t in range(len(corners)):
        (x0, y0), (x1, y1), (x2, y2) = corners[t, 0], corners[t, 1], corners[t, 2]
        area = (y1 - y2) * (x0 - x2) + (x2 - x1) * (y0 - y2)
        if abs(area) < 1e-12:
            continue
        left = max(0, int(np.floor(min(x0, x1, x2) - 0.5)))
        right = min(width - 1, int(np.ceil(max(x0, x1, x2) - 0.5)))
        top = max(0, int(np.floor(min(y0, y1, y2) - 0.5)))
        bottom = min(height - 1, int(np.ceil(max(y0, y1, y2) - 0.5)))
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                px, py = column + 0.5, row + 0.5
                a = ((y1 - y2) * (px - x2) + (x2 - x1) * (py - y2)) / area
                b = ((y2 - y0) * (px - x2) + (x0 - x2) * (py - y2)) / area
                c = 1 - a - b
                if min(a, b, c) >= -1e-6:
                    triangle_of[row, column] = t
                    weights[row, column] = (a, b, c)


def _distance(position: np.ndarray, points: np.ndarray, reach: float) -> np.ndarray:
    distance, _ = cKDTree(points).query(position, distance_upper_bound=reach)
    return np.minimum(distance, reach).astype(np.float32)


def _labels(position, ear_side, lips, u) -> np.ndarray:
    """Labels of all texels ``[HEIGHT, WIDTH]``, ears as 0, 1 (left), 2 (right)."""
    index = CELEBAMASK.index
    label = np.full(lips.shape, index("skin"), np.uint8)
    label[position[..., 1] < regions.jaw_height(position[..., 2])] = index("neck")
    label[regions.inside_nose(position)] = index("nose")
    label[(lips > 0.5) & (u < regions.LIP_SPLIT_U)] = index("u_lip")
    label[(lips > 0.5) & (u >= regions.LIP_SPLIT_U)] = index("l_lip")
    for side, name in ((1, "l_ear"), (2, "r_ear")):
        # The ear is known by face: smoothing the staircase of faces gives it a round outline.
        soft = ndimage.gaussian_filter((ear_side == side).astype(np.float32), 2.2)
        label[soft > 0.5] = index(name)
    return label


def build_atlas(
    canonical: np.ndarray,
    quads: np.ndarray,
    window_uv: np.ndarray,
    ear_side: np.ndarray,
    eyelid_rim: np.ndarray,
    mouth_rim: np.ndarray,
) -> Atlas:
    """Rasterise the head's island into its texture.

    Args:
        canonical: ``[V, 3]`` canonical positions, dm.
        quads: ``[Q, 4]`` the island's quads.
        window_uv: ``[Q, 4, 2]`` their corners by :func:`to_window`.
        ear_side: ``[Q]`` 0 none, 1 left ear, 2 right ear.
        eyelid_rim: ``[R, 3]`` canonical points along the eyelids' rims.
        mouth_rim: ``[M, 3]`` canonical points along the line where the lips meet.
    """
    pixels = window_uv * (WIDTH, -HEIGHT) + (0, HEIGHT)
    corners = np.concatenate([pixels[:, [0, 1, 2]], pixels[:, [0, 2, 3]]])
    triangles = quads_to_triangles(quads)
    triangle_of = np.full((HEIGHT, WIDTH), -1, np.int32)
    weights = np.zeros((HEIGHT, WIDTH, 3))
    _cover(corners, triangle_of, weights)

    empty = triangle_of < 0
    nearest = ndimage.distance_transform_edt(empty, return_distances=False, return_indices=True)
    triangle_of, weights = triangle_of[tuple(nearest)], weights[tuple(nearest)]
    position = (canonical[triangles[triangle_of]] * weights[..., None]).sum(2)
    ear = np.concatenate([ear_side, ear_side])[triangle_of]

    row, column = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    u = _U[0] + column / WIDTH * (_U[1] - _U[0])
    v = _V[1] - row / HEIGHT * (_V[1] - _V[0])
    body_mask = read_lip_mask()
    size = len(body_mask)
    lips = ndimage.map_coordinates(
        body_mask, [(1 - v) * size - 0.5, u * size - 0.5], order=1
    ).astype(np.float32)

    mask = ndimage.binary_dilation(~empty, iterations=_GUTTER)
    inside = position[mask]
    return Atlas(
        mask=mask,
        position=inside.astype(np.float32),
        label=_labels(position, ear, lips, u)[mask],
        lips=lips[mask],
        ear=ear[mask] > 0,
        rim_distance=_distance(inside, eyelid_rim, _RIM_REACH),
        mouth_distance=_distance(inside, mouth_rim, _MOUTH_REACH),
    )
