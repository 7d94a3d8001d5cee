"""Two baked heads that all tests share, and their photographs."""

from dataclasses import replace

import pytest

from labelsplat.capture.cameras import orbit_camera
from labelsplat.capture.heads import bake, build_head, render_view, sample_identity


def camera(yaw, pitch, size=128):
    return orbit_camera(yaw, pitch, distance=1.15, field_of_view=16.5, size=size)


def plain_identity(seed, style="short", expression="1_neutral"):
    """An identity with a chosen hair style and expression."""
    identity = sample_identity(seed)
    return replace(identity, expression=expression, hair=replace(identity.hair, style=style))


@pytest.fixture(scope="session")
def scene():
    """A head with short hair and an open mouth: all unscored classes aside, every class shows."""
    return bake(build_head(plain_identity(3, "short", "3_mouth_stretch")), 3)


@pytest.fixture(scope="session")
def front(scene):
    return render_view(scene, camera(0, 0))
