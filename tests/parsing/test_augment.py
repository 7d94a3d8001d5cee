import dataclasses

import numpy as np
import pytest
import torch

from labelsplat.labels import CELEBAMASK, IGNORE
from labelsplat.parsing import Augmentation, augment

OFF = Augmentation(**{field.name: 0.0 for field in dataclasses.fields(Augmentation)})
PAIRED = [CELEBAMASK.index(name) for name in ("l_brow", "r_brow", "l_eye", "r_ear")]


def batch(count=4, size=32, seed=0):
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, size, size, 3)).astype(np.uint8)
    labels = random.integers(0, 19, (count, size, size)).astype(np.uint8)
    labels[:, :3] = IGNORE
    return torch.from_numpy(images), torch.from_numpy(labels)


def draw(images, labels, settings, seed=0):
    return augment(images, labels, CELEBAMASK, torch.Generator().manual_seed(seed), settings)


def test_everything_off_is_the_identity():
    images, labels = batch()
    new, warped = draw(images, labels, OFF)
    torch.testing.assert_close(new, images.permute(0, 3, 1, 2) / 255, atol=2e-5, rtol=0)
    assert torch.equal(warped, labels.long())
    assert new.is_contiguous(memory_format=torch.channels_last)


def test_a_flip_mirrors_and_swaps_left_and_right():
    images, labels = batch()
    new, warped = draw(images, labels, dataclasses.replace(OFF, flip=1.0))
    expected = images.flip(2).permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(new, expected, atol=2e-5, rtol=0)
    swap = np.arange(256)
    swap[:19] = CELEBAMASK.flip
    np.testing.assert_array_equal(warped, swap[labels.numpy()[:, :, ::-1]])
    assert (np.asarray(warped) != labels.numpy()[:, :, ::-1])[:, 3:].any()


def test_without_a_flip_no_class_changes_side():
    """Left classes lie left of the centre in these images, and stay there unless flipped."""
    labels = torch.zeros(64, 32, 32, dtype=torch.uint8)
    left, right = CELEBAMASK.index("l_eye"), CELEBAMASK.index("r_eye")
    labels[:, 12:20, 18:24], labels[:, 12:20, 8:14] = left, right
    images = torch.zeros(64, 32, 32, 3, dtype=torch.uint8)
    columns = torch.arange(32.0)
    for flip in (0.0, 1.0):
        _, warped = draw(images, labels, Augmentation(flip=flip))
        centre = [
            ((warped == side).sum(1) * columns).sum(1) / (warped == side).sum((1, 2))
            for side in (left, right)
        ]
        # The subject's left lies on the image's right; a flip moves AND renames, so it stays so.
        assert (centre[0] > centre[1]).all()
    _, unflipped = draw(images, labels, Augmentation(flip=0.0))
    assert set(unflipped.unique().tolist()) == {0, left, right}


def test_labels_stay_labels_and_ignore_stays_ignore():
    images, labels = batch(16)
    present = set(labels.unique().tolist())
    _, warped = draw(images, labels, Augmentation())
    assert set(warped.unique().tolist()) <= present
    assert (warped == IGNORE).any()
    _, nothing = draw(images, torch.full_like(labels, IGNORE), Augmentation())
    assert (nothing == IGNORE).all()


def test_beyond_the_edge_lies_the_reflection():
    """A one-colour image with one label has nothing else to show, however it is moved."""
    images = torch.full((8, 32, 32, 3), 200, dtype=torch.uint8)
    labels = torch.full((8, 32, 32), 17, dtype=torch.uint8)
    moving = dataclasses.replace(OFF, roll=0.5, zoom=0.5, shift=0.5)
    new, warped = draw(images, labels, moving)
    torch.testing.assert_close(new, torch.full_like(new, 200 / 255), atol=1e-5, rtol=0)
    assert (warped == 17).all()


def test_image_and_labels_move_together():
    """Where the picture IS the label map, it must still be after the warp (away from borders)."""
    labels = torch.zeros(8, 64, 64, dtype=torch.uint8)
    labels[:, 20:44, 20:44] = 17
    images = (labels == 17)[..., None].expand(-1, -1, -1, 3) * torch.tensor(255, dtype=torch.uint8)
    moving = dataclasses.replace(Augmentation(), gamma=0, gain=0, offset=0, contrast=0, grey=0)
    moving = dataclasses.replace(moving, gradient=0, blur=0, noise=0, background=0)
    new, warped = draw(images, labels, moving)
    assert ((new[:, 0] > 0.5) != (warped == 17)).float().mean() < 0.01


def test_only_the_background_is_replaced():
    images, labels = batch()
    labels[:, 10:20, 10:20] = 0
    new, warped = draw(images, labels, dataclasses.replace(OFF, background=1.0))
    kept = (warped != 0)[:, None].expand_as(new)
    original = images.permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(new[kept], original[kept], atol=2e-5, rtol=0)
    assert (new[~kept] != original[~kept]).float().mean() > 0.9


@pytest.mark.parametrize("size", [(32, 32), (31, 45)])
def test_same_state_same_result_and_another_state_another(size):
    images, labels = batch(4, 64)
    images, labels = images[:, : size[0], : size[1]], labels[:, : size[0], : size[1]]
    one, two, other = (draw(images, labels, Augmentation(), seed) for seed in (3, 3, 4))
    assert torch.equal(one[0], two[0])
    assert torch.equal(one[1], two[1])
    assert not torch.equal(one[0], other[0])
    assert one[0].shape == (4, 3, *size)
    assert torch.isfinite(one[0]).all()


def test_what_is_off_draws_no_random_number():
    """Trainings from before these changes existed come out the same."""
    images, labels = batch()
    generators = [torch.Generator().manual_seed(3) for _ in range(2)]
    off = Augmentation(zoom_out=0.0, low_resolution=0.0, occlusion=0.0)
    one = augment(images, labels, CELEBAMASK, generators[0], off)
    two = augment(images, labels, CELEBAMASK, generators[1])
    assert torch.equal(one[0], two[0]) and torch.equal(one[1], two[1])
    plain = torch.Generator().manual_seed(3)
    count = len(images)
    for shape, normal in [
        ((), False), ((), False), ((), False), ((2,), False),  # roll, zoom, flip, shift
        ((1, 1, 1), False), ((3, 1, 1), False), *[((1, 1, 1), False)] * 6,  # light
        ((), False), ((3, 32, 32), True), ((1, 1, 1), False),  # blur and noise
        ((1, 1, 1), False), ((3, 5, 5), False),  # background
    ]:  # fmt: skip
        draw_one = torch.randn if normal else torch.rand
        draw_one(count, *shape, generator=plain)
    assert torch.equal(plain.get_state(), generators[1].get_state())


def test_what_is_covered_is_background():
    images, labels = batch(32)
    labels[labels == 0] = 1
    new, warped = draw(images, labels, dataclasses.replace(OFF, occlusion=1.0))
    original = images.permute(0, 3, 1, 2) / 255
    changed = ((new - original).abs() > 1e-4).any(1)
    covered = warped == 0
    shares = covered.float().mean((1, 2))
    assert (shares > 0).all() and (shares < 0.6).all() and len(shares.unique()) > 16
    # Nothing else changed, and what has no label gets none.
    assert torch.equal(warped[~covered], labels.long()[~covered])
    ignored = labels == IGNORE
    assert not (covered & ignored).any() and (changed & ignored).any()
    assert not (changed & ~covered & ~ignored).any()
    assert changed[covered].float().mean() > 0.99
    _, some = draw(images, labels, dataclasses.replace(OFF, occlusion=0.5))
    assert 4 < (some == 0).any((1, 2)).sum() < 28


def test_low_resolution_takes_detail_and_keeps_the_mean():
    images, labels = batch(16, 64)
    original = images.permute(0, 3, 1, 2) / 255
    new, warped = draw(images, labels, dataclasses.replace(OFF, low_resolution=1.0))
    assert torch.equal(warped, labels.long())
    assert (new.std((1, 2, 3)) < 0.6 * original.std((1, 2, 3))).all()
    torch.testing.assert_close(new.mean((2, 3)), original.mean((2, 3)), atol=0.02, rtol=0)
    some, _ = draw(images, labels, dataclasses.replace(OFF, low_resolution=0.5))
    same = (some - original).abs().amax((1, 2, 3)) < 1e-4
    assert 2 < same.sum() < 14


def test_zooming_out_makes_heads_smaller_only():
    labels = torch.zeros(32, 64, 64, dtype=torch.uint8)
    labels[:, 24:40, 24:40] = 17
    images = torch.zeros(32, 64, 64, 3, dtype=torch.uint8)
    _, warped = draw(images, labels, dataclasses.replace(OFF, zoom_out=1.0))
    sides = (warped[:, 32, 20:44] == 17).sum(1)  # beyond lie reflections
    assert sides.max() <= 16 and sides.min() < 9 and len(sides.unique()) > 4
    assert (sides >= 16 / np.e - 1).all()
