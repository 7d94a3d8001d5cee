import numpy as np
import pytest
import torch

from labelsplat.base import ParameterError
from labelsplat.labels import CELEBAMASK, IGNORE
from labelsplat.parsing import Ohem, class_weights, segmentation_loss


def naive(logits, labels, weights):
    """Weighted mean cross-entropy, pixel by pixel."""
    total = mass = 0.0
    for b, row, column in np.ndindex(labels.shape):
        label = labels[b, row, column]
        if label == IGNORE:
            continue
        z = logits[b, :, row, column].astype(np.float64)
        log_sum = np.log(np.exp(z - z.max()).sum()) + z.max()
        total += weights[label] * (log_sum - z[label])
        mass += weights[label]
    return total / mass


def case(seed=0):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 19, (2, 8, 12))
    labels[random.random(labels.shape) < 0.2] = IGNORE
    logits = [random.normal(0, 3, (2, 19, *size)) for size in ((8, 12), (4, 6), (2, 3))]
    return logits, labels, class_weights(CELEBAMASK).double()


def test_equals_the_naive_sum_over_three_heads():
    logits, labels, weights = case()
    expected = naive(logits[0], labels, weights.numpy())
    # The centre of a cell of 2 (4) pixels is at 1 (2): the lower right of the pixels around it.
    expected += 0.4 * naive(logits[1], labels[:, 1::2, 1::2], weights.numpy())
    expected += 0.4 * naive(logits[2], labels[:, 2::4, 2::4], weights.numpy())
    loss = segmentation_loss(
        [torch.from_numpy(part) for part in logits], torch.from_numpy(labels), weights
    )
    assert float(loss) == pytest.approx(expected, rel=1e-12)


def test_without_weights_it_is_torch_s_mean():
    logits, labels, _ = case(1)
    z, y = torch.from_numpy(logits[0]), torch.from_numpy(labels)
    expected = torch.nn.functional.cross_entropy(z, y, ignore_index=IGNORE)
    torch.testing.assert_close(segmentation_loss(z, y), expected)


def test_ignored_pixels_have_no_gradient():
    logits, labels, weights = case(2)
    heads = [torch.from_numpy(part).requires_grad_() for part in logits]
    y = torch.from_numpy(labels)
    segmentation_loss(heads, y, weights).backward()
    ignored = (y == IGNORE)[:, None].expand_as(heads[0])
    assert (heads[0].grad[ignored] == 0).all()
    assert (heads[0].grad[~ignored] != 0).all()


def test_a_batch_without_labels_gives_zero_and_no_gradient():
    z = torch.randn(1, 19, 4, 4, requires_grad=True)
    labels = torch.full((1, 4, 4), IGNORE)
    loss = segmentation_loss([z, z], labels, class_weights(CELEBAMASK))
    loss.backward()
    assert float(loss.detach()) == 0
    assert (z.grad == 0).all()


def test_only_the_small_parts_weigh_more():
    weights = class_weights(CELEBAMASK, 3.0)
    heavy = {CELEBAMASK.classes[i] for i in range(19) if weights[i] == 3}
    assert heavy == {"l_brow", "r_brow", "l_eye", "r_eye", "mouth", "u_lip", "l_lip"}
    assert set(weights.tolist()) == {1.0, 3.0}


def naive_hard(logits, labels, weights, threshold, least):
    """The same over hard pixels: sorted by their loss, the first of them counted one by one."""
    losses = []
    for b, row, column in np.ndindex(labels.shape):
        label = labels[b, row, column]
        if label != IGNORE:
            z = logits[b, :, row, column].astype(np.float64)
            losses.append((np.log(np.exp(z - z.max()).sum()) + z.max() - z[label], weights[label]))
    losses.sort(reverse=True)
    hard = sum(np.exp(-loss) < threshold for loss, _ in losses)
    kept = losses[: max(hard, int(np.ceil(least * len(losses))))]
    return sum(w * loss for loss, w in kept) / sum(w for _, w in kept), hard, len(kept)


@pytest.mark.parametrize(
    ("threshold", "least", "few"), [(0.3, 1 / 16, False), (1e-6, 0.3, True), (1.0, 0.01, False)]
)
def test_hard_pixels_equal_the_naive_sort_over_three_heads(threshold, least, few):
    logits, labels, weights = case(3)
    expected = 0.0
    for factor, part, step in zip((1, 0.4, 0.4), logits, (1, 2, 4), strict=True):
        cells = labels[:, step // 2 :: step, step // 2 :: step]
        loss, hard, kept = naive_hard(part, cells, weights.numpy(), threshold, least)
        assert (hard < kept) == few and kept > 0
        expected += factor * loss
    loss = segmentation_loss(
        [torch.from_numpy(part) for part in logits],
        torch.from_numpy(labels),
        weights,
        ohem=Ohem(threshold, least),
    )
    assert float(loss) == pytest.approx(expected, rel=1e-12)


def test_easy_pixels_have_no_gradient():
    logits, labels, weights = case(4)
    z, y = torch.from_numpy(logits[0]).requires_grad_(), torch.from_numpy(labels)
    segmentation_loss(z, y, weights, ohem=Ohem(0.3)).backward()
    chance = z.detach().softmax(1).gather(1, torch.where(y == IGNORE, 0, y)[:, None])[:, 0]
    hard = (chance < 0.3) & (y != IGNORE)
    assert 0 < hard.sum() < (y != IGNORE).sum()
    assert torch.equal((z.grad != 0).any(1), hard)


def test_a_threshold_of_one_leaves_no_pixel_out():
    logits, labels, weights = case(5)
    z, y = torch.from_numpy(logits[0]), torch.from_numpy(labels)
    everything = segmentation_loss(z, y, weights)
    torch.testing.assert_close(segmentation_loss(z, y, weights, ohem=Ohem(1.0)), everything)


def test_hard_pixels_of_a_batch_without_labels():
    z = torch.randn(1, 19, 4, 4, requires_grad=True)
    labels = torch.full((1, 4, 4), IGNORE)
    loss = segmentation_loss([z, z], labels, class_weights(CELEBAMASK), ohem=Ohem())
    loss.backward()
    assert float(loss.detach()) == 0
    assert (z.grad == 0).all()


def test_shares_that_are_none():
    for values in ({"threshold": 0.0}, {"threshold": 1.1}, {"least": 0.0}, {"least": -1.0}):
        with pytest.raises(ParameterError, match=next(iter(values))):
            Ohem(**values)
