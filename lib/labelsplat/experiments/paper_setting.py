"""The paper's own setting through the whole line: FaceScape refined, CelebAMask-HQ learned from.

Neither may be passed on, so drawn heads stand in for both, in exactly their layouts; the line runs
in a copy of the project, by the profile "quick". What is shown is that a holder of both gets
through with a few lines of params.yaml. The scores mean nothing.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from labelsplat.base import read_json
from labelsplat.base.layout import Layout
from labelsplat.capture import ViewSet, open_capture, read_labels
from labelsplat.capture.embedded import Job, make_sets
from labelsplat.capture.labelled import PARTS, PER_FOLDER
from labelsplat.experiments.copied_line import (
    change_params,
    copy_project,
    run_command,
    run_line,
)
from labelsplat.labels import CELEBAMASK

_PHOTO_NUMBER = 1990  # of the first face: two of CelebAMask-HQ's folders of masks are in use


def run_paper_setting(
    layout: Layout, settings: Mapping[str, Any], *, seed: int, processes: int
) -> dict[str, Any]:
    """Write the stand-ins, run the line on them, and gather what it scored.

    Args:
        layout: the project to be copied.
        settings: ``subjects``, ``faces`` and ``size`` of the stand-ins.
        seed: of the heads.
        processes: heads at a time; 0 = one a core.

    Returns:
        ``{<arm>: {miou: {mean, low, high}}, "seconds": …}``; arms on the test photos of
        CelebAMask-HQ's stand-in.

    Raises:
        LabelsplatError: a stage of the line failed; what it said comes along.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        write_stand_ins(folder, settings, seed=seed, processes=processes)
        project = copy_project(layout.root, folder / "project")
        _set_params(project / "params.yaml", folder, settings["size"])
        run_line(project)
        found = read_json(Layout(project).metrics / "evaluate.json")
        timing = read_json(Layout(project).metrics / "timing.json")
    scores = {
        arm: {"miou": {"mean": s["all"]["miou"], "low": s["all"]["low"], "high": s["all"]["high"]}}
        for arm, s in found["arms"].items()
        if s["all"]
    }
    return {**scores, "seconds": timing["total_seconds"]}


def write_stand_ins(
    folder: Path, settings: Mapping[str, Any], *, seed: int, processes: int
) -> None:
    """Write ``facescape`` (without its scale file), ``celebamask`` and ``celebamask_test``."""
    drawn = {name: (folder / name, folder / f"{name}_truth") for name in ("facescape", "faces")}
    jobs = [
        Job(501 + i, "capture", (ViewSet("capture", *drawn["facescape"]),))
        for i in range(settings["subjects"])
    ]
    jobs += [
        Job(601 + i, "standard", (ViewSet("standard", *drawn["faces"]),))
        for i in range(settings["faces"])
    ]
    done = make_sets(jobs, size=settings["size"], supersample=2, seed=seed, processes=processes)
    (folder / "facescape/Rt_scale_dict.json").unlink()
    number = _PHOTO_NUMBER
    people = [one for one in done if one.group == "standard"]
    for place, one in enumerate(people):
        # The last quarter is tested on: all photos of a head are on one side.
        tested = place >= len(people) - max(1, len(people) // 4)
        root = folder / ("celebamask_test" if tested else "celebamask")
        capture = open_capture(drawn["faces"][0], one.subject, "facescape")
        labels = read_labels(drawn["faces"][1], one.subject, capture.names)
        for view, truth in zip(capture.views, labels, strict=True):
            write_face(root, number, view.image, truth)
            number += 1


def write_face(root: Path, number: int, photo: Path, labels) -> None:
    """One face in CelebAMask-HQ's layout: a JPEG, and a mask of each part that it shows.

    Args:
        root: of the set.
        number: of the face.
        photo: its picture.
        labels: ``[H, W]`` uint8, classes of CELEBAMASK.
    """
    image = root / "CelebA-HQ-img" / f"{number}.jpg"
    masks = root / "CelebAMask-HQ-mask-anno" / str(number // PER_FOLDER)
    for parent in (image.parent, masks):
        parent.mkdir(parents=True, exist_ok=True)
    with Image.open(photo) as picture:
        picture.convert("RGB").save(image, quality=95)
    for part in PARTS:
        shown = labels == CELEBAMASK.index(part)
        if shown.any():
            mask = Image.fromarray(shown.astype("uint8") * 255).convert("RGB")
            mask.save(masks / f"{number:05d}_{part}.png")


def _set_params(path: Path, folder: Path, size: int) -> None:
    run_command((sys.executable, "-m", "labelsplat", "profile", "quick"), path.parent)
    learned, tested = str(folder / "celebamask"), str(folder / "celebamask_test")

    def change(params: dict) -> None:
        params["capture"].update(
            source="facescape", root=str(folder / "facescape"), size=size,
            standard_source="celebamask", standard_root=learned, test_source="celebamask",
            test_root=tested,
        )  # fmt: skip

    change_params(path, change)
