"""Meshes of a head: parts with a material and a label."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

SKIN, MATTE, HAIR, EYE = range(4)
"""Materials: textured skin, plain or per-vertex colour, hair ribbons, textured eyeball."""

PLAIN, STRIPES, CHECKS = range(3)
"""Patterns of cloth."""

FROM_TEXTURE = -2
"""Label of a part whose labels are painted in the head's texture."""

UNLABELLED = -1
"""Label of a part that is seen but not labelled: what lies behind it keeps its label."""


@dataclass(frozen=True, eq=False)
class Part:
    """A triangle mesh, metres in the head frame.

    Attributes:
        vertices: ``[N, 3]`` float64.
        normals: ``[N, 3]`` float64 unit vectors.
        triangles: ``[T, 3]`` int64.
        material: one of the constants above.
        label: class in CELEBAMASK, or FROM_TEXTURE or UNLABELLED.
        colour: ``[3]`` or ``[N, 3]`` linear RGB albedo; of eyeballs a factor on the texture; unused
            on skin.
        uv: ``[N, 2]`` texture coordinates, or None.
        roughness: of the surface, 0.05 .. 1.
        specular: strength of the mirrored light; 1 is skin.
        fine: ``[N]`` the template's fine vertex that each vertex is, or None.
        tangents: ``[N, 3]`` unit direction of hair; of patterned cloth the second colour; or None.
        pattern: one of the patterns; uv then holds canonical (x, y) in dm.
    """

    vertices: np.ndarray
    normals: np.ndarray
    triangles: np.ndarray
    material: int
    label: int
    colour: np.ndarray = field(default_factory=lambda: np.full(3, 0.5))
    uv: np.ndarray | None = None
    roughness: float = 0.45
    specular: float = 1.0
    fine: np.ndarray | None = None
    tangents: np.ndarray | None = None
    pattern: int = PLAIN
