"""Which pictures are shown: chosen by rules that were fixed before anyone saw a result.

Before and after: the k-th test identity shows its k-th :data:`EXTREMES` view, so that each row is
another head at another kind of pose. The last row is the WORST case instead: of all extreme views
the one on which the refined parser lost most against the baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from labelsplat.evaluate.arms import predict_labels, true_head
from labelsplat.evaluate.confusions import ViewConfusions
from labelsplat.evaluate.labels_quality import CaptureLabels
from labelsplat.parsing import load_checkpoint


@dataclass(frozen=True, eq=False)
class Example:
    """One photo with some label maps.

    Attributes:
        subject, view: where it is from.
        yaw, pitch: of the camera in degrees, NaN without a head frame.
        photo: ``[H, W, 3]`` uint8.
        maps: ``[H, W]`` uint8 by name, e.g. ``baseline``, ``refined``, ``truth``.
        miou: of the maps, by name, on this one view.
        failure: whether it is shown because it went wrong.
    """

    subject: str
    view: str
    yaw: float
    pitch: float
    photo: np.ndarray
    maps: dict[str, np.ndarray]
    miou: dict[str, float] = field(default_factory=dict)
    failure: bool = False


EXTREMES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "farthest to the left": lambda pose: pose[:, 0],
    "farthest to the right": lambda pose: -pose[:, 0],
    "from above": lambda pose: pose[:, 1],
    "from below": lambda pose: -pose[:, 1],
}
"""What a row shows; the view with the largest value is taken, among those not behind the head."""


def pick_before_after(arms: Mapping[str, ViewConfusions]) -> list[tuple[int, bool]]:
    """Indices of the views to show, and whether a view is the failure.

    Args:
        arms: counts of ``baseline`` and ``refined`` on the same views.
    """
    views = arms["baseline"]
    visible = views.inside("all")
    subjects = np.array(views.subjects)
    chosen = []
    # More kinds of poses than heads: go round again.
    heads = list(dict.fromkeys(views.subjects))
    for k, value in enumerate(EXTREMES.values()):
        mine = np.flatnonzero((subjects == heads[k % len(heads)]) & visible)
        if mine.size:
            chosen.append((int(mine[np.argmax(value(views.angles[mine]))]), False))
    extreme = np.flatnonzero(views.inside("extreme"))
    if "refined" in arms and extreme.size:
        change = arms["refined"].view_scores()[extreme] - views.view_scores()[extreme]
        chosen.append((int(extreme[np.argmin(change)]), True))
    return chosen


def before_after(
    arms: Mapping[str, ViewConfusions],
    files: Mapping[str, Path],
    photos: str | Path,
    truth: str | Path,
    size: int,
    device: str = "auto",
) -> list[Example]:
    """Test photos at extreme poses with the maps of the arms and the truth.

    Args:
        arms: counts on the test set; those of ``baseline`` and ``refined`` choose the views.
        files: checkpoints of the arms to show.
        photos: root of the test photos.
        truth: root of their truth.
        size: of the photos, in pixels.
        device: "auto", "cpu" or "cuda".
    """
    nets = {arm: load_checkpoint(path).net for arm, path in files.items()}
    out = []
    for index, failure in pick_before_after(arms):
        views = arms["baseline"]
        head = true_head(photos, truth, views.subjects[index], size)
        i = head.photos.names.index(views.names[index])
        image = head.photos.images[i : i + 1]
        maps = {arm: predict_labels(net, image, device)[0] for arm, net in nets.items()}
        out.append(
            Example(
                subject=views.subjects[index],
                view=views.names[index],
                yaw=float(views.angles[index, 0]),
                pitch=float(views.angles[index, 1]),
                photo=image[0],
                maps={**maps, "truth": head.labels[i]},
                miou={arm: float(arms[arm].view_scores()[index]) for arm in nets},
                failure=failure,
            )
        )
    return out


def profile_example(labels: CaptureLabels) -> Example:
    """The capture view farthest to a side, with its raw and refined labels (and the truth).

    Without a head frame: the first view.
    """
    p = labels.photos
    index, pose = 0, (float("nan"), float("nan"))
    if p.angles is not None:
        index = int(np.argmax(np.abs(p.angles[:, 0])))
        pose = tuple(map(float, p.angles[index]))
    maps = {"raw": labels.raw[index], "refined": labels.last[index]}
    if labels.truth is not None:
        maps["truth"] = labels.truth[index]
    return Example(p.subject, p.names[index], *pose, p.images[index], maps)
