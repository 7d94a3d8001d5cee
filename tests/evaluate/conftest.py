"""A whole project in miniature: made-up heads of 24 pixels, untrained parsers, two rounds.

The heads are balls of coloured Gaussians, the label maps bands across the image: nothing in it
means anything, but every file that the stage reads is there, in its place.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from labelsplat.base.layout import Layout
from labelsplat.capture import orbit_camera, write_facescape, write_truth
from labelsplat.labels import CELEBAMASK, write_label_map
from labelsplat.parsing import SoftPredictions, create, save_checkpoint, save_predictions
from labelsplat.parsing.auxiliary import LabelledViews, write_views
from labelsplat.splats import Fit, Gaussians, write_gaussians
from labelsplat.splats.stage import write_fit

SIZE = 24
ROUNDS = {
    "r1": {"parsers": "models/baseline", "splats": "r1", "arms": ["refined", "self_training"]},
    "r2": {
        "parsers": "models/r1",
        "splats": "r1",
        "arms": ["refined", "refined_novel", "self_training"],
    },
}
TEST_POSES = [(0, 0), (45, 5), (80, 0), (-75, 10), (10, 40), (-10, -45), (150, 0)]
CAPTURE_POSES = [(-85, 0), (-35, 5), (0, 0), (40, -5), (88, 0)]
HELDOUT_POSES = [(-60, 10), (65, 0)]


def band_labels(seed: int, pose: tuple[float, float]) -> np.ndarray:
    """``[SIZE, SIZE]`` uint8: a square of bands of classes on background."""
    rng = np.random.default_rng([seed, int(pose[0]) + 180, int(pose[1]) + 90])
    labels = np.zeros((SIZE, SIZE), np.uint8)
    classes = np.arange(1, 19)[rng.permutation(18)[:12]]
    labels[4:20, 4:20] = np.repeat(classes, 2)[:16, None]
    labels[4:9, 4:20] = np.repeat(classes[:8], 2)[None]
    return labels


def colours(labels: np.ndarray) -> np.ndarray:
    return CELEBAMASK.colours[labels]


def ball(seed: int) -> Gaussians:
    """200 Gaussians in a ball of 8 cm, with random labels."""
    random = torch.Generator().manual_seed(seed)
    direction = torch.randn(200, 3, generator=random)
    direction = direction / direction.norm(dim=1, keepdim=True)
    return Gaussians(
        means=direction * 0.08,
        quaternions=torch.tensor([[1.0, 0, 0, 0]]).expand(200, 4).contiguous(),
        log_scales=torch.full((200, 3), -4.0),
        opacity_logits=torch.full((200,), 2.0),
        colours=torch.rand(200, 3, generator=random),
        label_logits=torch.randn(200, 19, generator=random),
    )


def fitted(seed: int) -> Fit:
    """A fit that left the ball of that seed."""
    views = len(CAPTURE_POSES)
    return Fit(
        gaussians=ball(seed),
        labels=None,
        backgrounds=np.zeros((views, 6, 3)),
        affines=np.zeros((views, 3, 4)),
        cameras=[],
        psnr=20.0,
        dropped=0,
        steps=1,
        seconds=1.0,
    )


def _write_set(photos: Path, truth: Path | None, identities: range, poses: list) -> None:
    for identity in identities:
        subject = f"{identity}/1_neutral"
        names = [str(i) for i in range(len(poses))]
        maps = [band_labels(identity, pose) for pose in poses]
        cameras = [orbit_camera(yaw, pitch, 1.15, 16.5, SIZE) for yaw, pitch in poses]
        write_facescape(photos, subject, names, [colours(m) for m in maps], cameras)
        if truth is not None:
            for name, labels in zip(names, maps, strict=True):
                write_truth(truth, subject, name, labels)


def make_project(root: Path, *, truth: bool = True) -> Layout:
    """Write the whole tree below ``root``."""
    layout = Layout(root)
    for folder in (layout.truth, layout.heldout, layout.test):
        folder.mkdir(parents=True)
    _write_set(layout.capture, layout.truth if truth else None, range(201, 203), CAPTURE_POSES)
    if truth:
        _write_set(layout.heldout_photos, layout.heldout_truth, range(201, 203), HELDOUT_POSES)
        _write_set(layout.test_photos, layout.test_truth, range(301, 304), TEST_POSES)
    net = {"width": 8, "detail": 4}
    arms = [("baseline", "baseline"), ("control", "replay_only")]
    arms += [("oracle", "oracle")] if truth else []
    arms += [(name, arm) for name, entry in ROUNDS.items() for arm in entry["arms"]]
    for seed, (group, arm) in enumerate(arms):
        save_checkpoint(layout.model(group, arm), create("bisenet", seed=seed, **net))
    rng = np.random.default_rng(0)
    names = tuple(str(i) for i in range(len(CAPTURE_POSES)))
    for identity in range(201, 203):
        subject = f"{identity}/1_neutral"
        soft = rng.dirichlet(np.ones(19), (len(names), SIZE, SIZE)).astype(np.float32)
        path = layout.predictions("r1") / "baseline" / f"{subject}.npz"
        save_predictions(path, SoftPredictions(names, soft))
        write_fit(layout.splats("r1") / f"{subject}.safetensors", fitted(identity))
        for name in ROUNDS:
            path = layout.predictions(name) / "refined" / f"{subject}.npz"
            save_predictions(path, SoftPredictions(names, soft))
            sure = rng.random((len(names), SIZE, SIZE)).astype(np.float32)
            folder = layout.refined(name) / subject
            for view, pose in zip(names, CAPTURE_POSES, strict=True):
                labels = band_labels(identity, pose)
                labels[:, 12:] = 0  # half right
                write_label_map(folder / f"{view}.png", labels, CELEBAMASK)
            empty = np.zeros((len(names), SIZE, SIZE), np.uint8)
            pictures = np.zeros((len(names), SIZE, SIZE, 3), np.uint8)
            write_views(
                layout.auxiliary(name),
                "captured",
                LabelledViews(subject, names, pictures, empty, sure),
            )
            facts = {"factors": [1.0] * 19, "vocabulary": CELEBAMASK.name}
            write_gaussians(folder / "gaussians.safetensors", ball(identity), facts)
    return layout


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Layout:
    return make_project(tmp_path_factory.mktemp("with-truth"))


@pytest.fixture(scope="session")
def project_without_truth(tmp_path_factory) -> Layout:
    return make_project(tmp_path_factory.mktemp("without-truth"), truth=False)


@pytest.fixture(scope="session")
def rounds() -> dict:
    return ROUNDS
