"""The embedded sets: synthetic heads, photographed and written as FaceScape captures.

Photos and truth go to separate trees: a capture tree holds what a licensed copy of FaceScape would
hold, and comes back through the same reader. Identities are numbers; every random choice follows
from the identity's number and the seed, so the sets do not depend on each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from labelsplat.base import ParameterError, write_json
from labelsplat.base.layout import Layout
from labelsplat.base.parallel import run_jobs
from labelsplat.capture.cameras import HEAD_SHOT, orbit_camera
from labelsplat.capture.facescape import write_facescape
from labelsplat.capture.poses import POSES, Pose
from labelsplat.capture.sets import write_truth

if TYPE_CHECKING:
    from labelsplat.capture.heads import Shot

STANDARD_DISTANCES = (1.0, 1.25)
"""Metres from the head's centre in the standard set; elsewhere it is :data:`HEAD_SHOT`'s."""

PHOTOS_OF_A_SET = 1000
"""More than any set has of one head."""

FEW = "few"
"""``capture.rig`` of the 11 views a head that the paper's setting has; else a name of RIGS."""


@dataclass(frozen=True)
class ViewSet:
    """Views of one identity that go to one pair of trees.

    Attributes:
        poses: key of :data:`labelsplat.capture.poses.POSES`, or of
            :data:`labelsplat.capture.heads.RIGS`.
        photos: root of the tree of photos.
        truth: root of the tree of labels, alpha and depth.
        count: how many of the views to take; None = all.
    """

    poses: str
    photos: Path
    truth: Path
    count: int | None = None

    @property
    def first_photo(self) -> int:
        """Number of its first photo among all of a head: no two share lens, light and noise."""
        return PHOTOS_OF_A_SET if self.poses == "heldout" else 0

    def angles(self, identity: int) -> list[Pose]:
        """The (yaw, pitch) of this set's views of an identity, degrees; not of a rig's."""
        return POSES[self.poses](identity)[: self.count]

    def shots(self, identity: int, seed: int, size: int, level: str) -> list[Shot]:
        """The cameras of this set's views of an identity.

        Args:
            identity: its number.
            seed: of the whole run.
            size: pixels, width and height.
            level: nuisance level: at ``hard`` each photo has a lens of its own.
        """
        from labelsplat.capture.heads import RIGS, Shot, rig, sample_lens

        own = identity + 1000 * seed
        if self.poses in RIGS:
            return rig(self.poses, own, size)[: self.count]
        distance, field_of_view = HEAD_SHOT
        near = STANDARD_DISTANCES if self.poses == "standard" else (distance, distance)
        rng = np.random.default_rng([seed, identity, *self.poses.encode()])
        shots = []
        for number, (yaw, pitch) in enumerate(self.angles(identity)):
            lens = rng.uniform(*near), field_of_view
            if level != "plain":
                lens = sample_lens(own, self.first_photo + number, level)
            camera = orbit_camera(yaw, pitch, *lens, size)
            shots.append(Shot(camera, camera))
        return shots


@dataclass(frozen=True)
class Photographed:
    """What became of one identity: for tables and pictures.

    Attributes:
        subject: ``"{id}/{k_expression}"``.
        group: as of its job.
        images: number of images of each :class:`ViewSet`, in order.
        facts: age, gender, ancestry, hair, expression, in words and numbers.
    """

    subject: str
    group: str
    images: tuple[int, ...]
    facts: dict


@dataclass(frozen=True)
class Job:
    """One identity to be photographed.

    Attributes:
        identity: its number, at least 1.
        group: "standard", "validation", "capture", "test" or "hard".
        sets: which views, and where they go.
        level: nuisance level, a key of :data:`labelsplat.capture.heads.NUISANCE_LEVELS`.
    """

    identity: int
    group: str
    sets: tuple[ViewSet, ...]
    level: str = "plain"


def photograph(job: Job, size: int, supersample: int, seed: int) -> Photographed:
    """Make one head and write all its views; a pure function of its arguments.

    Args:
        job: whom, how, and where to.
        size: pixels, width and height of every image.
        supersample: rays a pixel and axis.
        seed: of the whole run; another seed gives other people under the same numbers.
    """
    # Numba's kernels take a second to import; readers of captures do not need them.
    from labelsplat.capture.heads import (
        bake,
        build_head,
        describe,
        render_view,
        sample_identity,
        sample_photo,
    )

    own = job.identity + 1000 * seed
    person = sample_identity(own, job.level)
    subject = f"{job.identity}/{person.expression}"
    scene = bake(build_head(person), seed=own)
    counts = []
    for view_set in job.sets:
        shots = view_set.shots(job.identity, seed, size, job.level)
        views = [
            render_view(scene, shot.camera, supersample, sample_photo(own, number, job.level))
            for number, shot in enumerate(shots, view_set.first_photo)
        ]
        names = [str(i) for i in range(len(views))]
        photos, cameras = [view.image for view in views], [shot.reported for shot in shots]
        write_facescape(view_set.photos, subject, names, photos, cameras, seed=seed)
        for name, view in zip(names, views, strict=True):
            depth = view.depth if view_set.poses != "standard" else None
            write_truth(view_set.truth, subject, name, view.labels, view.alpha, depth)
        counts.append(len(views))
    return Photographed(subject, job.group, tuple(counts), describe(person))


def default_jobs(layout: Layout, capture: dict) -> list[Job]:
    """Identities and their views for the default run.

    Raises:
        ParameterError: two sets would share an identity, or a nuisance level or a rig is unknown.
    """
    level, poses = capture["nuisance"], capture["rig"]
    standard = (ViewSet("standard", layout.standard_photos, layout.standard_labels),)
    captured = (
        ViewSet("capture" if poses == FEW else poses, layout.capture, layout.truth),
        ViewSet("heldout", layout.heldout_photos, layout.heldout_truth, capture["heldout_views"]),
    )
    test = (ViewSet("test", layout.test_photos, layout.test_truth),)
    hard = (ViewSet("test", layout.hard_photos, layout.hard_truth),)
    first = capture["standard_first"]
    between = first + capture["standard_identities"]
    plan = [
        (first, capture["standard_identities"], "standard", standard, "plain"),
        (between, capture["validation_identities"], "validation", standard, "plain"),
        (capture["capture_first"], capture["capture_identities"], "capture", captured, level),
        (capture["test_first"], capture["test_identities"], "test", test, "plain"),
        (capture["hard_first"], capture["hard_identities"], "hard", hard, "hard"),
    ]
    jobs = [
        Job(first + i, group, sets, level)
        for first, count, group, sets, level in plan
        for i in range(count)
    ]
    numbers = [job.identity for job in jobs]
    twice = sorted({n for n in numbers if numbers.count(n) > 1})
    if twice:
        raise ParameterError(
            f"identity {twice[0]} would be in two sets",
            where="params.yaml: capture",
            remedy="Move standard_first, capture_first, test_first or hard_first apart",
        )
    return jobs


def make_sets(
    jobs: list[Job], *, size: int, supersample: int, seed: int, processes: int
) -> list[Photographed]:
    """Photograph all identities, several processes at a time, in the order of ``jobs``."""
    arguments = [(job, size, supersample, seed) for job in jobs]
    return run_jobs(photograph, arguments, processes=processes, description="heads")


def write_groups(path: Path, done: list[Photographed], groups: tuple[str, ...]) -> None:
    """Write which subjects belong to which of ``groups``: ``{group: [subject, ...]}``."""
    write_json(path, {g: [d.subject for d in done if d.group == g] for g in groups})


def count_sets(done: list[Photographed]) -> dict[str, dict[str, int]]:
    """``{"images": {set: n}, "identities": {set: n}}`` of the default run."""
    images: dict[str, int] = {}
    identities: dict[str, int] = {}
    for item in done:
        names = ("capture", "heldout") if item.group == "capture" else (item.group,)
        for name, count in zip(names, item.images, strict=True):
            images[name] = images.get(name, 0) + count
            identities[name] = identities.get(name, 0) + 1
    return {"images": images, "identities": identities}
