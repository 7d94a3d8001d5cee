"""A look at a capture before anything is computed: what is there, what is wrong, what to do.

Unlike a reader this goes on after a fault where it can, and it also tells of things that are no
faults but cost quality: blurred or duplicate photos, views that look past the head, colours that
differ, sides of the head that no camera sees.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from labelsplat.base import LabelsplatError
from labelsplat.capture._fields import some
from labelsplat.capture.cameras import Camera
from labelsplat.capture.given_frame import FRAME_FILE, known_frame
from labelsplat.capture.head_frame import HeadFrame, frame_from_cameras, identity_frame
from labelsplat.capture.images import load_photo
from labelsplat.capture.landmarks import robust_focus
from labelsplat.capture.shadow import open_what_can_be
from labelsplat.capture.turns import on_their_side
from labelsplat.capture.views import Capture, View

LEVELS = ("error", "warning", "note")
"""An error stops the line; a warning costs quality; a note is good to know."""

FEW_VIEWS, NARROW = 8, 60.0
"""Views, and degrees between the outermost of them, below which little can be gained."""

FAR = 2.5
"""Times the median distance from which a camera stands oddly far, or its inverse near."""

STOPS, BLURRED = 0.6, 0.25
"""Photo stops off the median brightness, and share of the median sharpness, that are told."""

_SMALL = 256  # pixels of a photo's longer side at which brightness and sharpness are compared


@dataclass(frozen=True)
class Problem:
    """One finding.

    Attributes:
        level: one of :data:`LEVELS`.
        what: what is wrong, with the value found.
        where: file, view or views.
        remedy: what the user can do.
    """

    level: str
    what: str
    where: str
    remedy: str


@dataclass(frozen=True)
class ViewFacts:
    """One view in numbers.

    Attributes:
        name: of the view.
        width, height: of the photo, pixels.
        focal: in x, pixels.
        field: full angle of view in x, degrees.
        distance: from what all cameras look at, in the opened capture's units.
        aside: degrees between the optical axis and that point.
        roll: degrees by which the photo is turned against the mean up.
        yaw, pitch: degrees against the head's front, or against the cameras' mean without one.
        brightness: mean of the photo, 0 to 1; None where it cannot be read.
        sharpness: of the photo's edges, in units of the capture's median; None likewise.
    """

    name: str
    width: int
    height: int
    focal: float
    field: float
    distance: float
    aside: float
    roll: float
    yaw: float
    pitch: float
    brightness: float | None
    sharpness: float | None


@dataclass(frozen=True, eq=False)
class Inspection:
    """What was found in one capture.

    Attributes:
        folder: that was looked at.
        capture: as far as it opens; None where it does not.
        problems: the worst first.
        views: one entry a view of ``capture``.
        focus: ``[3]`` what all cameras look at, in the capture's world.
        frame: the head frame that yaw and pitch are measured in.
        span: degrees between the two cameras farthest apart, seen from the focus.
    """

    folder: Path
    capture: Capture | None
    problems: tuple[Problem, ...]
    views: tuple[ViewFacts, ...] = ()
    focus: np.ndarray | None = None
    frame: HeadFrame | None = None
    span: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the line would run on it."""
        return self.capture is not None and all(p.level != "error" for p in self.problems)


def inspect_capture(
    folder: str | Path, subject: str | None = None, source: str = "auto"
) -> Inspection:
    """Look at one capture: cameras, photos, what is wrong with them.

    Args:
        folder: as for :func:`labelsplat.capture.open_capture`.
        subject: which one of a tree.
        source: name of a reader, or "auto".
    """
    folder = Path(folder)
    try:
        opened = open_what_can_be(folder, subject, source)
    except LabelsplatError as error:  # an unknown source
        return Inspection(folder, None, (_as_problem(error),))
    problems = [_as_problem(error) for error in opened.errors]
    capture = opened.capture
    if capture is None:
        return Inspection(folder, None, tuple(problems))
    if opened.left_out:
        what = f"{len(opened.left_out)} views are left out of what follows"
        remedy = "They count again when their errors are mended"
        problems.append(Problem("note", what, some(list(opened.left_out)), remedy))
    problems += [Problem("note", note, str(capture.root), "") for note in capture.notes]
    focus = robust_focus(capture.cameras)
    frame, found = _frame(capture)
    problems += found
    angles = frame.angles(capture.cameras)
    looks, found = _look_at_photos(capture)
    problems += found
    up = frame.rotation[1]
    views = tuple(
        _facts(view, focus, up, pose, look)
        for view, pose, look in zip(capture.views, angles, looks, strict=True)
    )
    span = _span(capture.cameras, focus)
    known = frame.method != "cameras"
    problems += [*_of_cameras(capture, views, focus, span, known), *_of_photos(views)]
    problems.sort(key=lambda problem: LEVELS.index(problem.level))
    return Inspection(folder, capture, tuple(problems), views, focus, frame, span)


def inspection_text(found: Inspection) -> str:
    """An inspection for a terminal: a summary, a line a view, and the problems with remedies."""
    lines = []
    if found.capture is not None:
        capture = found.capture
        sizes = Counter(f"{v.width} x {v.height}" for v in found.views)
        lines += [
            f"{capture.subject}: {len(found.views)} views, read as {capture.source}",
            "photos    " + ", ".join(f"{n} of {size}" for size, n in sizes.most_common()),
            f"cameras   {found.span:.0f} degrees apart at most, seen from what they look at",
            f"frame     {_frame_words(found)}",
            "",
            f"{'view':>16} {'size':>11} {'field':>6} {'dist':>6} {'aside':>6} {'roll':>5} "
            f"{'yaw':>5} {'pitch':>5} {'bright':>6} {'sharp':>5}",
        ]
        lines += [_line(view) for view in found.views]
        lines.append("")
    if not found.problems:
        lines.append("No problems found.")
    for problem in found.problems:
        lines.append(f"{problem.level:8} {problem.where}: {problem.what}")
        if problem.remedy:
            lines.append(f"{'':8} -> {problem.remedy}")
    return "\n".join(lines)


def _frame_words(found: Inspection) -> str:
    assert found.frame is not None
    if found.frame.method == "given":
        return f"given in {FRAME_FILE}; yaw and pitch are the head's"
    if found.frame.method == "own":
        return "the capture knows its head frame; yaw and pitch are the head's"
    return "not known; yaw and pitch are against the cameras' mean direction"


def _line(view: ViewFacts) -> str:
    def number(value: float | None, digits: int) -> str:
        return "-" if value is None else f"{value:.{digits}f}"

    name = view.name if len(view.name) <= 16 else f"...{view.name[-13:]}"
    return (
        f"{name:>16} {f'{view.width}x{view.height}':>11} {view.field:6.1f} {view.distance:6.2f} "
        f"{view.aside:6.1f} {view.roll:5.0f} {view.yaw:5.0f} {view.pitch:5.0f} "
        f"{number(view.brightness, 2):>6} {number(view.sharpness, 2):>5}"
    )


def _as_problem(error: LabelsplatError) -> Problem:
    where = "" if error.where is None else str(error.where)
    return Problem("error", error.message, where, error.remedy or "")


def _frame(capture: Capture) -> tuple[HeadFrame, list[Problem]]:
    """The head frame as far as it is known, else the cameras' own; and what is to be said."""
    try:
        frame = known_frame(capture)
    except LabelsplatError as error:
        own = capture.frame == "head"
        frame = identity_frame() if own else frame_from_cameras(capture.cameras)
        return frame, [_as_problem(error)]
    if frame is not None:
        return frame, []
    remedy = (
        "The predict stage estimates it from the predictions (predict.head_frame); or give it in "
        f"{FRAME_FILE} beside the photos"
    )
    what = "the capture does not say where the face looks"
    note = Problem("note", what, str(capture.root), remedy)
    return frame_from_cameras(capture.cameras), [note]


@dataclass(frozen=True)
class _Look:
    """What a photo looks like: mean, sharpness (no unit), digest of its bytes."""

    brightness: float
    sharpness: float
    digest: str


def _look_at_photos(capture: Capture) -> tuple[list[_Look | None], list[Problem]]:
    """Every photo, decoded one at a time; those that cannot be read are errors."""
    looks: list[_Look | None] = []
    problems = []
    for view in capture.views:
        try:
            photo = load_photo(view)
        except LabelsplatError as error:
            problems.append(_as_problem(error))
            looks.append(None)
            continue
        scale = min(1.0, _SMALL / max(photo.shape[:2]))
        size = tuple(max(1, round(s * scale)) for s in photo.shape[1::-1])
        grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        edges = float(cv2.Laplacian(grey, cv2.CV_32F).std()) / max(float(grey.std()), 1e-6)
        digest = hashlib.sha256(photo.tobytes()).hexdigest()
        looks.append(_Look(float(grey.mean()), edges, digest))
    seen: dict[str, str] = {}
    for view, look in zip(capture.views, looks, strict=True):
        if look is None:
            continue
        first = seen.setdefault(look.digest, view.name)
        if first != view.name:
            what = f"is the same photo as {first}"
            problems.append(Problem("warning", what, view.name, "Keep one of the two"))
    known = [look.sharpness for look in looks if look is not None]
    middle = max(float(np.median(known)), 1e-9) if known else 1.0
    return [
        None if look is None else _Look(look.brightness, look.sharpness / middle, look.digest)
        for look in looks
    ], problems


def _facts(
    view: View, focus: np.ndarray, up: np.ndarray, pose: np.ndarray, look: _Look | None
) -> ViewFacts:
    camera = view.camera
    towards = focus - camera.centre
    distance = float(np.linalg.norm(towards))
    cosine = camera.rotation[2] @ towards / max(distance, 1e-12)
    x, y, _ = camera.rotation @ up
    return ViewFacts(
        name=view.name,
        width=camera.width,
        height=camera.height,
        focal=float(camera.intrinsics[0, 0]),
        field=float(2 * np.degrees(np.arctan(camera.width / 2 / camera.intrinsics[0, 0]))),
        distance=distance,
        aside=float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))),
        roll=float(np.degrees(np.arctan2(x, -y))),
        yaw=float(pose[0]),
        pitch=float(pose[1]),
        brightness=None if look is None else look.brightness,
        sharpness=None if look is None else look.sharpness,
    )


def _span(cameras: list[Camera], focus: np.ndarray) -> float:
    rays = np.array([camera.centre for camera in cameras]) - focus
    rays /= np.linalg.norm(rays, axis=1, keepdims=True).clip(1e-12)
    return float(np.degrees(np.arccos(np.clip(rays @ rays.T, -1, 1).min())))


def _of_cameras(
    capture: Capture,
    views: tuple[ViewFacts, ...],
    focus: np.ndarray,
    span: float,
    known: bool,
) -> list[Problem]:
    """What is odd about the cameras, none of which a reader would stop at.

    ``known``: whether it is known which way is up.
    """
    found = []

    def say(level: str, what: str, names: list[str], remedy: str) -> None:
        if names:
            found.append(Problem(level, what, some(names), remedy))

    pixels = np.array([camera.project(focus) for camera in capture.cameras])
    sizes = np.array([(v.width, v.height) for v in views])
    shown = ((pixels >= 0) & (pixels <= sizes)).all(1)
    leave = "Their poses are probably wrong: leave them out, or solve the cameras again"
    names = np.array(capture.names)
    say("warning", "do not show what the others look at", names[~shown].tolist(), leave)
    distances = np.array([v.distance for v in views])
    ratio = distances / max(float(np.median(distances)), 1e-12)
    odd = (ratio > FAR) | (ratio < 1 / FAR)
    say("warning", "stand much farther or nearer than the others", names[odd].tolist(), leave)
    roll = np.abs([v.roll for v in views])
    turn = (
        f"Parsers expect upright heads: say in {FRAME_FILE} which way is up, or keep the EXIF "
        "orientation of the photos, and they are turned on reading"
    )
    say("warning", "are upside down", names[roll > 135].tolist(), turn)
    if not known and on_their_side(capture.cameras):
        what = "seem to lie on their side, as the cameras go round the head"
        say("warning", what, names.tolist(), turn)
    else:
        lie = (roll > 60) & (roll <= 135)
        say("warning", "lie on their side", names[lie].tolist(), turn)
    places = np.array([np.r_[c.centre, c.rotation.ravel()] for c in capture.cameras])
    twice = [
        capture.names[j]
        for j in range(1, len(places))
        if (np.abs(places[:j] - places[j]).max(1) < 1e-9).any()
    ]
    say("warning", "have the very camera of another view", twice, "Keep one of each")
    aspect = np.array([c.intrinsics[0, 0] / c.intrinsics[1, 1] for c in capture.cameras])
    uneven = np.abs(aspect - 1) > 0.02
    what = f"pixels are not square (fx / fy is {float(np.median(aspect)):.2f})"
    say("note", what, names[uneven].tolist(), "Cropping to the head makes them square")
    turned = [view.name for view in capture.views if view.turned]
    what = "hang upside down or lie on their side, and are turned on reading"
    say("note", what, turned, "Masks are written for the photos as they are stored")
    bent = [view.name for view in capture.views if view.distortion is not None]
    say("note", "are distorted by their lens", bent, "They are undistorted on reading")
    if len(views) < FEW_VIEWS:
        what = f"{len(views)} views are few"
        found.append(Problem("note", what, str(capture.root), "10 or more refine better"))
    if span < NARROW:
        what = f"the cameras span {span:.0f} degrees: most of the head is seen by none"
        remedy = "Photograph it from both sides, too, if extreme poses matter"
        found.append(Problem("note", what, str(capture.root), remedy))
    return found


def _of_photos(views: tuple[ViewFacts, ...]) -> list[Problem]:
    found = []
    known = [v for v in views if v.brightness is not None and v.sharpness is not None]
    if not known:
        return found
    middle = max(float(np.median([v.brightness for v in known])), 1e-6)
    off = [v.name for v in known if abs(np.log2(max(v.brightness, 1e-6) / middle)) > STOPS]
    if off:
        what = f"are more than {STOPS:g} stops brighter or darker than the median"
        remedy = "Let each camera have colours of its own: fit.colour_affine: true"
        found.append(Problem("warning", what, some(off), remedy))
    soft = [v.name for v in known if v.sharpness < BLURRED]
    if soft:
        what = f"have less than {BLURRED:.0%} of the median photo's sharpness"
        found.append(Problem("warning", what, some(soft), "Leave blurred photos out"))
    return found
