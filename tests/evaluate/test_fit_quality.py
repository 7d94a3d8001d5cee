"""PSNR and SSIM after a colour affine, and what is measured of a whole head."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from labelsplat.capture import orbit_camera
from labelsplat.evaluate import (
    Likeness,
    compare_head,
    fit_quality,
    likeness,
    read_capture_labels,
    summarise_fit,
    true_head,
)
from labelsplat.labels import IGNORE
from labelsplat.refine import render_posteriors, vote_equally
from labelsplat.splats import render


def foreground_psnr(*pictures):
    return compare_head(*pictures).psnr


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    rendered = rng.uniform(0.2, 0.6, (20, 20, 3))
    mask = np.zeros((20, 20), bool)
    mask[3:15, 4:18] = True
    return rendered, mask, rng


def test_any_affine_change_of_colour_costs_nothing(pictures):
    rendered, mask, _ = pictures
    matrix = np.array([[0.9, 0.1, 0.0], [0.05, 0.8, 0.0], [0.0, 0.1, 1.1]])
    assert foreground_psnr(rendered, rendered @ matrix + 0.05, mask) > 100


def test_noise_of_known_size(pictures):
    """An affine can fit only a little of the noise: 4 of 168 degrees of freedom."""
    rendered, mask, rng = pictures
    noise = rng.normal(0, 0.05, rendered.shape)
    plain = -10 * np.log10(np.mean(noise[mask] ** 2))
    assert plain <= foreground_psnr(rendered, rendered + noise, mask) <= plain + 0.4


def test_pixels_outside_the_mask_do_not_matter(pictures):
    rendered, mask, rng = pictures
    photo = np.clip(rendered + rng.normal(0, 0.02, rendered.shape), 0, 1)
    changed = np.where(mask[..., None], photo, 0.9)
    assert foreground_psnr(rendered, photo, mask) == foreground_psnr(rendered, changed, mask)


def test_too_few_pixels_is_nan(pictures):
    rendered, mask, _ = pictures
    assert np.isnan(foreground_psnr(rendered, rendered, np.zeros_like(mask)))


def test_likeness_of_equal_pictures_is_one(pictures):
    rendered, mask, _ = pictures
    assert compare_head(rendered, rendered, mask).ssim == pytest.approx(1)
    blurred = (rendered + np.roll(rendered, 1, 0) + np.roll(rendered, 1, 1)) / 3
    assert compare_head(blurred, rendered, mask).ssim < 0.9


@pytest.fixture
def head(project, rounds):
    subject = "201/1_neutral"
    return (
        read_capture_labels(project, subject, rounds, 24),
        true_head(project.heldout_photos, project.heldout_truth, subject, 24),
    )


def test_views_without_a_head_have_no_likeness(head):
    """They are left out of both means; where no view shows a head, neither is known."""
    gaussians = head[0].gaussians
    cameras = [orbit_camera(yaw, 0, 1.15, 16.5, 24) for yaw in (0, 90)]
    with torch.no_grad():
        drawn = render(gaussians, cameras).features.numpy()
    noise = np.random.default_rng(0).normal(0, 0.1, drawn.shape)
    images = (np.clip(drawn + noise, 0, 1) * 255).astype(np.uint8)
    masks = np.zeros((2, 24, 24), bool)
    nothing = likeness(gaussians, cameras, images, masks)
    assert math.isnan(nothing.psnr) and math.isnan(nothing.ssim)
    masks[0, 4:20, 4:20] = True
    one = likeness(gaussians, cameras, images, masks)
    assert one == likeness(gaussians, cameras[:1], images[:1], masks[:1])
    assert 0 < one.ssim < 1


def blank(photos):
    return np.zeros(photos.images.shape[:3], np.uint8)


def test_a_mean_of_zero_decibels_is_a_mean(head):
    fit = replace(
        fit_quality(*head, 1, blank),
        likeness={"train": Likeness(0.0, 0.0), "heldout": Likeness(math.nan, math.nan)},
    )
    report = json.loads(json.dumps(summarise_fit([fit]), allow_nan=False))
    for row in (report["mean"], *report["subjects"].values()):
        assert row["psnr"] == 0 and row["ssim"] == 0
        assert row["heldout"] == {"psnr": None, "ssim": None}


def test_unlabelled_pixels_are_no_foreground(head):
    """Colours of pixels whose class nobody knows do not enter the likeness."""
    labels, heldout = head
    truth = heldout.labels.copy()
    truth[:, :12] = IGNORE
    images = heldout.photos.images.copy()
    images[:, :12] = 255 - images[:, :12]
    found = [
        fit_quality(labels, replace(heldout, photos=photos, labels=truth), 1, blank)
        for photos in (heldout.photos, replace(heldout.photos, images=images))
    ]
    psnr = [fit.likeness["heldout"].psnr for fit in found]
    assert psnr[0] == psnr[1]


def test_the_vote_heeds_the_photos_edges(head):
    labels, heldout = head
    valid = np.ones_like(labels.photos.valid)
    valid[:, :, :14] = False
    cut = replace(labels, photos=replace(labels.photos, valid=valid))
    votes = vote_equally(cut.gaussians, cut.photos, cut.votes)
    maps = render_posteriors(cut.gaussians, votes, heldout.photos.cameras).argmax(-1)
    right = np.sum((maps == heldout.labels) & (heldout.labels != IGNORE))
    found, whole = (
        np.trace(fit_quality(one, heldout, 1, blank).labels["heldout"]["vote"].matrices.sum(0))
        for one in (cut, labels)
    )
    assert found == right != whole
