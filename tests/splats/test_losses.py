"""The fused losses against their plain twins, and these against other people's code."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from labelsplat.base import ParameterError
from labelsplat.splats import (
    ColourShares,
    PhotoTarget,
    composed_loss,
    cross_entropy,
    photometric_loss,
    plain_composed_loss,
    plain_cross_entropy,
    plain_photometric_loss,
    ssim_map,
)
from labelsplat.splats.cpu.vectors import WIDTH_VARIABLE, WIDTHS

SIZES = [(5, 3), (16, 16), (23, 37)]  # less than the window; a whole vector; neither


@pytest.fixture(params=WIDTHS)
def width(request, monkeypatch):
    monkeypatch.setenv(WIDTH_VARIABLE, str(request.param))


def photo(size, dtype=torch.float64, seed=0):
    """A drawn image that wants gradients, a photo and weights, some of them zero."""
    draw = torch.Generator().manual_seed(seed)
    image, target = (torch.rand(*size, 3, generator=draw, dtype=dtype) for _ in range(2))
    weights = torch.rand(*size, generator=draw, dtype=dtype)
    weights[weights < 0.3] = 0
    return (0.7 * target + 0.3 * image).requires_grad_(), target, weights


def value_and_gradient(loss, leaf):
    (gradient,) = torch.autograd.grad(loss, leaf)
    return loss.item(), gradient


@pytest.mark.parametrize("share", [1e-6, 0.2, 1.0])
@pytest.mark.parametrize("size", SIZES)
def test_photometric_loss_is_its_twin(width, size, share):
    image, target, weights = photo(size)
    goal = PhotoTarget(target, weights)
    plain, wanted = value_and_gradient(plain_photometric_loss(image, goal, share), image)
    fused, found = value_and_gradient(photometric_loss(image, goal, share), image)
    assert fused == pytest.approx(plain, rel=1e-12)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-15)


def test_photometric_loss_in_single_precision(width):
    image, target, weights = photo((64, 48), torch.float32)
    goal = PhotoTarget(target, weights)
    exact = PhotoTarget(target.double(), weights.double())
    wide = image.detach().double().requires_grad_()
    plain, wanted = value_and_gradient(plain_photometric_loss(wide, exact), wide)
    fused, found = value_and_gradient(photometric_loss(image, goal), image)
    assert fused == pytest.approx(plain, rel=1e-5)
    assert (found - wanted).norm() < 1e-4 * wanted.norm()


def test_photometric_loss_by_differences():
    image, target, weights = photo((6, 5))
    goal = PhotoTarget(target, weights)
    torch.autograd.gradcheck(lambda x: photometric_loss(x, goal, 0.6), image, eps=1e-7, atol=1e-7)


def view(size, dtype=torch.float64):
    """Colours, alpha and background that want gradients, the photo, and a foreground."""
    colours, target, weights = photo(size, dtype)
    draw = torch.Generator().manual_seed(1)
    alpha, foreground = (torch.rand(*size, generator=draw, dtype=dtype) for _ in range(2))
    behind = torch.rand(*size, 3, generator=draw, dtype=dtype)
    leaves = [colours, alpha.requires_grad_(), behind.requires_grad_()]
    return leaves, PhotoTarget(target, weights), foreground


@pytest.mark.parametrize("shares", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.8, 2, 0.15)])
@pytest.mark.parametrize("size", SIZES)
def test_composed_loss_is_its_twin(size, shares):
    leaves, target, foreground = view(size)
    rest = (target, foreground, ColourShares(*shares))
    plain, fused = plain_composed_loss(*leaves, *rest), composed_loss(*leaves, *rest)
    assert fused.item() == pytest.approx(plain.item(), rel=1e-12)
    wanted = torch.autograd.grad(plain, leaves, allow_unused=True, materialize_grads=True)
    for a, b in zip(torch.autograd.grad(3 * fused, leaves), wanted, strict=True):
        torch.testing.assert_close(a, 3 * b, rtol=1e-9, atol=1e-15)


def test_composed_loss_in_single_precision():
    leaves, target, foreground = view((64, 48), torch.float32)
    shares = ColourShares(0.8, 2, 0.15)
    wide = [leaf.detach().double().requires_grad_() for leaf in leaves]
    exact = PhotoTarget(target.image.double(), target.weights.double())
    plain = plain_composed_loss(*wide, exact, foreground.double(), shares)
    fused = composed_loss(*leaves, target, foreground, shares)
    assert fused.item() == pytest.approx(plain.item(), rel=1e-5)
    pairs = zip(torch.autograd.grad(fused, leaves), torch.autograd.grad(plain, wide), strict=True)
    assert all((a - b).norm() < 1e-4 * b.norm() for a, b in pairs)


@pytest.mark.parametrize("loss", [composed_loss, plain_composed_loss])
def test_unknown_pixels_have_no_say_in_a_composed_view(loss):
    leaves, target, foreground = view((24, 31))
    rest = (target, foreground, ColourShares(0.8, 2, 0.15))
    unknown = target.weights == 0
    other = [
        torch.where(unknown.reshape(24, 31, *[1] * (t.ndim - 2)), 7.0, t.detach()).requires_grad_()
        for t in leaves
    ]
    wanted, found = loss(*leaves, *rest), loss(*other, *rest)
    assert found == wanted
    assert not any(g[unknown].any() for g in torch.autograd.grad(found, other))


def test_parts_of_a_view_must_fit():
    (colours, alpha, behind), target, foreground = view((8, 9))
    for wrong in ((colours[:4], alpha, behind), (colours, alpha[1:], behind)):
        with pytest.raises(ParameterError, match="composed_loss"):
            composed_loss(*wrong, target, foreground, ColourShares())


def test_ssim_is_that_of_torchmetrics():
    from torchmetrics.functional.image import structural_similarity_index_measure

    image, target, _ = photo((40, 50))
    _, theirs = structural_similarity_index_measure(
        image.permute(2, 0, 1)[None], target.permute(2, 0, 1)[None],
        sigma=1.5, data_range=1.0, return_full_image=True,
    )  # fmt: skip
    inside = slice(8, -8)  # they mirror the edge, we put zeros beyond it
    ours = ssim_map(image, target).permute(2, 0, 1)
    torch.testing.assert_close(ours[:, inside, inside], theirs[0][:, inside, inside])


def test_equal_images_cost_nothing(width):
    _, target, weights = photo((20, 21))
    same = target.clone().requires_grad_()
    loss, gradient = value_and_gradient(photometric_loss(same, PhotoTarget(target, weights)), same)
    assert loss == pytest.approx(0, abs=1e-14) and gradient.abs().max() < 1e-14


@pytest.mark.parametrize("loss", [photometric_loss, plain_photometric_loss])
def test_pixels_of_weight_zero_have_no_say(width, loss):
    image, target, weights = photo((24, 31))
    unknown = weights[..., None] == 0
    wanted, by_wanted = value_and_gradient(loss(image, PhotoTarget(target, weights), 0.5), image)
    other = torch.where(unknown, 7.0, image.detach()).requires_grad_()
    photo_there = torch.where(unknown, torch.nan, target)
    found, by_found = value_and_gradient(loss(other, PhotoTarget(photo_there, weights), 0.5), other)
    assert found == wanted and torch.equal(by_found, by_wanted)
    assert not (by_found * unknown).any()


def test_shapes_and_types_of_photos():
    image, target, weights = photo((8, 9))
    with pytest.raises(ParameterError, match="photo"):
        PhotoTarget(target[..., :2])
    with pytest.raises(ParameterError, match="weights"):
        PhotoTarget(target, weights[:3])
    with pytest.raises(ParameterError, match="photometric_loss"):
        photometric_loss(image[:4], PhotoTarget(target, weights))


def labels(size, classes, dtype=torch.float64, spread=3.0):
    draw = torch.Generator().manual_seed(classes)
    logits = spread * torch.randn(*size, classes, generator=draw, dtype=dtype)
    targets = torch.rand(*size, classes, generator=draw, dtype=dtype)
    weights = torch.rand(*size, generator=draw, dtype=dtype)
    weights[0] = 0
    return logits.requires_grad_(), targets, weights


@pytest.mark.parametrize("classes", [1, 2, 12, 19])
@pytest.mark.parametrize("size", SIZES)
def test_cross_entropy_is_its_twin(width, size, classes):
    logits, targets, weights = labels(size, classes)
    plain, wanted = value_and_gradient(plain_cross_entropy(logits, targets, weights), logits)
    fused, found = value_and_gradient(cross_entropy(logits, targets, weights), logits)
    assert fused == pytest.approx(plain, rel=1e-12, abs=1e-14)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-15)


def test_cross_entropy_is_that_of_torch():
    logits, targets, _ = labels((7, 6), 5)
    hard = targets.argmax(-1)
    one_hot = torch.nn.functional.one_hot(hard, 5).to(logits)
    theirs = torch.nn.functional.cross_entropy(logits.reshape(-1, 5), hard.reshape(-1))
    assert cross_entropy(logits, one_hot).item() == pytest.approx(theirs.item())


def test_cross_entropy_by_differences():
    logits, targets, weights = labels((3, 2), 4)
    torch.autograd.gradcheck(lambda x: cross_entropy(x, targets, weights), logits)


def test_cross_entropy_of_extreme_logits_is_finite(width):
    logits = torch.tensor([[[1e4, -1e4, 0.0]] * 5], requires_grad=True)
    targets = torch.full((1, 5, 3), 1 / 3)
    loss, gradient = value_and_gradient(cross_entropy(logits, targets), logits)
    plain, wanted = value_and_gradient(
        plain_cross_entropy(logits, targets, torch.ones(1, 5)), logits
    )
    assert np.isfinite(loss) and loss == pytest.approx(plain, rel=1e-5)
    torch.testing.assert_close(gradient, wanted, atol=1e-7, rtol=1e-5)


def test_cross_entropy_names_what_does_not_fit():
    logits, targets, weights = labels((4, 4), 3)
    with pytest.raises(ParameterError, match="do not fit"):
        cross_entropy(logits, targets[..., :2], weights)


@pytest.mark.parametrize("threads", [1, 2])
def test_losses_do_not_depend_on_threads(threads):
    import numba

    image, target, weights = photo((70, 33), torch.float32)
    logits, classes, _ = labels((70, 33), 6, torch.float32)
    before = numba.get_num_threads()
    found = []
    try:
        for number in (1, min(threads, numba.config.NUMBA_NUM_THREADS)):
            numba.set_num_threads(number)
            photometric = photometric_loss(image, PhotoTarget(target, weights))
            found.append(value_and_gradient(photometric, image))
            found[-1] += value_and_gradient(cross_entropy(logits, classes, weights), logits)
    finally:
        numba.set_num_threads(before)
    (a, b, c, d), (e, f, g, h) = found
    assert a == e and c == g and torch.equal(b, f) and torch.equal(d, h)
