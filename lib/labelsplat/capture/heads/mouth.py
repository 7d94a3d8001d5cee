"""Inside the mouth: teeth with gaps and gums, a tongue, the cavity behind them."""

from __future__ import annotations

import numpy as np

from labelsplat.capture.heads import parts
from labelsplat.capture.heads._noise import noise
from labelsplat.capture.heads._random import stream
from labelsplat.capture.heads.identity import Identity
from labelsplat.capture.heads.parts import Part
from labelsplat.capture.heads.regions import smoothstep
from labelsplat.capture.heads.shape import Shape
from labelsplat.capture.heads.skin import skin_colour
from labelsplat.capture.heads.subdivide import (
    normalised,
    quads_to_triangles,
    split_linearly,
)
from labelsplat.capture.heads.template import (
    LOWER_TEETH,
    MOUTH,
    TONGUE,
    UPPER_TEETH,
    Template,
)
from labelsplat.labels import CELEBAMASK

INSIDE_MOUTH = ("mouth", "upper teeth", "lower teeth", "tongue")
"""Names of the parts that :func:`mouth_parts` makes."""

# Where teeth meet: degrees about the vertical axis through z = 0.95 dm, from the front to the back.
_UPPER_GAPS = (0.0, 8.8, 18.5, 28.0, 38.0, 51.0, 64.0, 78.0)
_LOWER_GAPS = (0.0, 6.2, 13.2, 22.0, 32.5, 44.0, 60.0, 76.0)
_ARCH_Z = 0.95
_UPPER_GUM, _LOWER_GUM = 6.712, 6.592  # canonical heights, dm, where the crowns end
_ENAMEL, _GUM = np.array((0.64, 0.59, 0.50)), np.array((0.46, 0.17, 0.16))


def _teeth(template: Template, shape: Shape, identity: Identity, upper: bool) -> Part:
    """One row of teeth, subdivided until the gaps between them can be painted by vertex."""
    rng = stream(identity.seed, "teeth")
    shade, yellow = rng.uniform(0.78, 1.05), rng.uniform(0.0, 1.0)
    aged = max(0.0, identity.years - 35) / 90
    quads = template.quads_of(UPPER_TEETH if upper else LOWER_TEETH)
    points = np.concatenate([shape.vertices, shape.normals, template.canonical], 1)
    for _ in range(2):
        points, quads = split_linearly(quads, points)
        used, corners = np.unique(quads, return_inverse=True)
        points, quads = points[used], corners.reshape(-1, 4)
    vertices, normals, canonical = points[:, :3], normalised(points[:, 3:6]), points[:, 6:]

    x, y, z = canonical.T
    angle = np.degrees(np.arctan2(np.abs(x), z - _ARCH_Z))
    gaps = np.array(_UPPER_GAPS if upper else _LOWER_GAPS)
    nearest = np.abs(angle[:, None] - gaps).min(1)
    gap = np.exp(-((nearest / 1.5) ** 2))
    line = _UPPER_GUM if upper else _LOWER_GUM
    scallop = 0.012 * np.exp(-((nearest / 3.0) ** 2))
    # Gums reach farther down between two teeth than in the middle of one.
    gum = smoothstep(-0.010, 0.010, (y - line + scallop) if upper else (line + scallop - y))
    enamel = _ENAMEL * shade * (1, 1 - 0.10 * yellow - 0.08 * aged, 1 - 0.28 * yellow - 0.2 * aged)
    if not upper:
        enamel = 0.9 * enamel
    colour = enamel * (1 - 0.62 * gap)[:, None]
    colour = colour + (_GUM * (1 - 0.35 * identity.skin.melanin) - colour) * gum[:, None]
    back = smoothstep(28.0, 75.0, angle)[:, None]  # deep in the mouth it is dark
    return Part(
        vertices, normals, quads_to_triangles(quads), parts.MATTE, CELEBAMASK.index("mouth"),
        colour=np.clip(colour * (1 - 0.6 * back), 0.01, 0.9), roughness=0.2, specular=0.6,
    )  # fmt: skip


def _soft(
    template: Template, shape: Shape, quads: np.ndarray, colour: np.ndarray, shade: np.ndarray
) -> Part:
    """A soft part of the mouth; ``shade`` are factors ``[V]`` over the template's fine vertices."""
    fine, corners = np.unique(quads, return_inverse=True)
    return Part(
        shape.vertices[fine], shape.normals[fine], quads_to_triangles(corners.reshape(-1, 4)),
        parts.MATTE, CELEBAMASK.index("mouth"), colour=colour * shade[fine][:, None],
        roughness=0.38, specular=0.35, fine=fine,
    )  # fmt: skip


def mouth_parts(template: Template, shape: Shape, identity: Identity) -> dict[str, Part]:
    """Cavity, both rows of teeth and the tongue, all labelled ``mouth``."""
    x, _, z = template.canonical.T
    mottled = 1 + 0.10 * noise(template.canonical, 22.0, identity.seed, "tongue", 2)
    groove = 1 - 0.30 * np.exp(-((x / 0.022) ** 2))
    inner = skin_colour(0.3 * identity.skin.melanin + 0.3, 2.2) * 0.6
    deep = 0.15 + 0.85 * smoothstep(0.75, 1.40, z)
    tongue = np.array((0.50, 0.20, 0.19)) * (1 - 0.15 * identity.skin.melanin)
    return {
        "mouth": _soft(template, shape, template.quads_of(MOUTH), inner, deep),
        "upper teeth": _teeth(template, shape, identity, upper=True),
        "lower teeth": _teeth(template, shape, identity, upper=False),
        "tongue": _soft(
            template, shape, template.quads_of(TONGUE), tongue, mottled * groove * deep
        ),
    }
