"""A project with made-up metrics, as the line would leave them; painted photos and their parser."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from labelsplat.base.files import write_json
from labelsplat.base.layout import Layout
from labelsplat.labels.vocabulary import CELEBAMASK
from labelsplat.parsing import register, save_checkpoint

REPO = Path(__file__).resolve().parents[2]
STRATA = ("extreme", "yaw60", "pitch30", "middle", "standard", "behind", "all")
LEVELS = {  # mIoU at (extreme, yaw60, pitch30, middle, standard, behind, all)
    "baseline": (0.301, 0.232, 0.381, 0.544, 0.699, 0.121, 0.465),
    "replay_only": (0.312, 0.242, 0.393, 0.567, 0.715, 0.118, 0.481),
    "self_training": (0.322, 0.248, 0.407, 0.551, 0.692, 0.124, 0.478),
    "refined": (0.495, 0.483, 0.506, 0.616, 0.699, 0.244, 0.592),
    "refined_novel": (0.497, 0.488, 0.504, 0.618, 0.701, 0.251, 0.594),
    "oracle": (0.538, 0.534, 0.542, 0.636, 0.705, 0.302, 0.621),
}


def per_class(level: float) -> dict:
    """Scores of every class around ``level``; the truth shows no glasses and no hats."""
    out = {}
    for index, name in enumerate(CELEBAMASK.classes):
        absent = name in ("eye_g", "hat")
        value = round(min(level * (0.4 + 0.1 * (index * 7 % 12)), 0.99), 4)
        out[name] = {"iou": None if absent else value, "f1": None if absent else value**0.5}
    return out


def evaluation() -> dict:
    """An evaluate.json with every key."""
    arms = {
        arm: {
            stratum: {
                "miou": level,
                "f1": round(level**0.8, 4),
                "low": round(level - 0.02, 4),
                "high": round(level + 0.02, 4),
                "per_class": per_class(level),
            }
            for stratum, level in zip(STRATA, levels, strict=True)
        }
        for arm, levels in LEVELS.items()
    }
    gain, gap = {}, {}
    for place, stratum in enumerate(STRATA):
        control = max(LEVELS["baseline"][place], LEVELS["replay_only"][place])
        value = round(LEVELS["refined"][place] - control, 4)
        rest = LEVELS["oracle"][place] - control
        gain[stratum] = {"miou": value, "low": value - 0.03, "high": value + 0.03}
        gap[stratum] = round(value / rest, 4) if rest >= 0.02 else None
    labels = {
        "raw": (0.298, 0.224, 0.379, 0.517, 0.727, None, 0.418),
        "refined": (0.543, 0.509, 0.584, 0.671, 0.754, None, 0.610),
        "ceiling": (0.66, 0.666, 0.655, 0.709, 0.711, None, 0.703),
    }
    return {
        "arms": arms,
        "gain": gain,
        "gap_recovered": gap,
        "over_self_training": {"extreme": {"miou": 0.173, "low": 0.15, "high": 0.2}},
        "labels": {
            kind: {s: {"miou": v} for s, v in zip(STRATA, values, strict=True)}
            for kind, values in labels.items()
        },
    }


TIMING = {
    "total_seconds": 1612.4,
    "setup_seconds": 71.0,
    "peak_memory_mb": 3511,
    "cores": 2,
    "device": "cpu",
    "stages": {"capture": 251.0, "parser": 345.2, "predict@r1": 9.0, "refine@r2": 55.0},
}
COUNTS = {
    "images": {"standard": 300, "capture": 77, "heldout": 56, "test": 416},
    "identities": {"standard": 60, "capture": 7, "heldout": 7, "test": 16},
    "label_reprojection_agreement": 0.983,
    "seconds": 251.0,
}


def make_project(root: Path) -> Layout:
    """A project of params.yaml and dvc.yaml with full metrics and no figures."""
    root.mkdir(parents=True, exist_ok=True)
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(REPO / name, root / name)
    layout = Layout(root)
    write_json(layout.metrics / "evaluate.json", evaluation())
    write_json(layout.metrics / "timing.json", TIMING)
    write_json(layout.metrics / "capture.json", COUNTS)
    return layout


@pytest.fixture
def sample() -> SimpleNamespace:
    """What the made-up metrics hold."""
    return SimpleNamespace(levels=LEVELS, strata=STRATA, evaluation=evaluation)


@pytest.fixture
def layout(tmp_path) -> Layout:
    return make_project(tmp_path / "project")


@dataclasses.dataclass(frozen=True)
class NearestConfig:
    classes: int = 19
    size: int = 0


class Nearest(nn.Module):
    """Labels pixels by the nearest of a few colours."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.colours = nn.Parameter(torch.full((config.classes, 3), 9.0))

    def forward(self, images):
        difference = images[:, None] - self.colours[None, :, :, None, None]
        return -40 * difference.square().sum(2)


def painted_photo(labels, colours):
    """The picture of label maps in colours by class."""
    table = np.zeros((256, 3), np.uint8)
    for index, colour in colours.items():
        table[index] = colour
    return table[labels]


def painted_parser(path, colours, size=0):
    """Write a parser that knows the colours; its file."""
    register("nearest-of-colours", NearestConfig, Nearest)
    net = Nearest(NearestConfig(size=size))
    with torch.no_grad():
        for index, colour in colours.items():
            net.colours[index] = torch.tensor(colour) / 255
    save_checkpoint(path, net)
    return path


@pytest.fixture(scope="session")
def painted() -> SimpleNamespace:
    """Photos painted in colours by class, and parsers that tell these apart."""
    return SimpleNamespace(photo=painted_photo, parser=painted_parser)
