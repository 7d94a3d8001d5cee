"""Rigid corrections of cameras."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from labelsplat.capture import orbit_camera
from labelsplat.splats import CameraBatch
from labelsplat.splats.poses import corrected, corrected_cameras, rigid_motions


def twists(size):
    return size * torch.randn(5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_rotations_are_those_of_scipy():
    for size in (2.0, 1e-2, 1e-5, 0.0):
        given = twists(size)
        found = rigid_motions(given)
        wanted = Rotation.from_rotvec(given[:, :3].numpy()).as_matrix()
        np.testing.assert_allclose(found[:, :3, :3], wanted, atol=1e-12)
        np.testing.assert_array_equal(found[:, :3, 3], given[:, 3:])
        np.testing.assert_array_equal(found[:, 3], [[0, 0, 0, 1]] * 5)


def test_motions_have_gradients_at_zero_and_beside():
    for size in (0.0, 1e-4, 0.5):
        torch.autograd.gradcheck(rigid_motions, twists(size).requires_grad_(), eps=1e-7, atol=1e-6)


def test_cameras_outside_and_inside_a_fit_move_alike():
    cameras = [orbit_camera(yaw, 10, 1.1, 20, 32) for yaw in (-50, 0, 20, 70, 90)]
    given = twists(0.05)
    batch = corrected(CameraBatch.of(cameras, torch.float64), given)
    moved = CameraBatch.of(corrected_cameras(cameras, given.numpy()), torch.float64)
    torch.testing.assert_close(batch.view_matrices, moved.view_matrices)
    assert torch.equal(batch.intrinsics, moved.intrinsics)
