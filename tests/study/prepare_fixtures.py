"""A made-up folder as the evaluate stage writes it for the study; its pictures mean nothing."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from labelsplat.labels import CELEBAMASK, IGNORE, write_label_map
from labelsplat.study.key import METHODS
from labelsplat.study.prepare import StudyPlan, StudySettings, prepare_study

SIZE = 24
STRATA = {"standard": 2, "middle": 2, "extreme": 2, "behind": 1}


def made_up_map(person: int, view: int, wrong: float) -> np.ndarray:
    """``[SIZE, SIZE]`` uint8: hair over skin over clothes, a nose; a share of it noise."""
    rng = np.random.default_rng([person, view, int(100 * wrong)])
    labels = np.zeros((SIZE, SIZE), np.uint8)
    labels[3:8, 6:18], labels[8:18, 6:18], labels[18:, 4:20] = 17, 1, 16
    labels[11:14, 11:13] = 10
    labels[9, 7 + view : 9 + view] = 4
    noise = rng.random(labels.shape) < wrong
    labels[noise] = rng.integers(0, 19, noise.sum())
    labels[0, 0] = IGNORE if wrong else 0
    return labels


def write_judged(root: Path, *, people: int = 9, truth: bool = True, poses: bool = True) -> Path:
    """A folder as the evaluate stage writes it; pictures mean nothing."""
    wrong = dict(zip(METHODS, (0.3, 0.2, 0.1, 0.05, 0.0), strict=True))
    if not truth:
        wrong = {m: wrong[m] for m in ("baseline", "self_training", "refined")}
    images, scores = [], []
    strata = [name for name, count in STRATA.items() for _ in range(count)]
    for person, (view, stratum) in itertools.product(range(people), enumerate(strata)):
        subject = f"{301 + person}/1_neutral"
        images.append((subject, view, 301 + person, "", "", stratum if poses else ""))
        photo = np.random.default_rng([person, view]).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
        path = root / "photos" / subject / f"{view}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo).save(path)
        for method, share in wrong.items():
            write_label_map(
                root / "masks" / method / subject / f"{view}.png",
                made_up_map(person, view, share),
                CELEBAMASK,
            )
            if truth:
                scores.append((subject, view, method, round(1 - share, 3)))
    names = ["subject", "view", "identity", "yaw", "pitch", "stratum"]
    pd.DataFrame(images, columns=names).to_csv(root / "images.csv", index=False)
    names = ["subject", "view", "method", "miou"]
    pd.DataFrame(scores, columns=names).to_csv(root / "scores.csv", index=False)
    about = {
        "format": 1, "set": "test" if truth else "capture", "unseen": truth, "reference": truth,
        "vocabulary": CELEBAMASK.name, "classes": CELEBAMASK.classes,
        "palette": CELEBAMASK.palette, "methods": list(wrong),
    }  # fmt: skip
    (root / "judged.json").write_text(json.dumps(about), encoding="utf-8")
    return root


SMALL = StudySettings(images=12, orders=10, absurd=2, repeats=2)


def prepare(
    judged: Path, folder: Path, settings: StudySettings = SMALL, seed: int = 0
) -> StudyPlan:
    """Prepare a study below a folder."""
    return prepare_study(judged, folder / "package", folder / "key.csv", settings, seed=seed)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its name."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
