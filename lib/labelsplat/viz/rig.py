"""The cameras of one capture around its head, as they stand: from above and from the side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from labelsplat.capture.cameras import Camera
from labelsplat.capture.images import load_photo
from labelsplat.capture.inspect import Inspection
from labelsplat.capture.views import NORMAL_EXTENT
from labelsplat.viz.figures import Picture, new_figure
from labelsplat.viz.style import INK, LINE, SOFT, styled

GOOD, BAD, FACE = "#0072b2", "#d55e00", "#009e73"

PHOTOS = 8
"""Photos shown below the rig, from one side to the other."""


@styled
def plot_inspection(found: Inspection, *, photos: bool = True) -> Picture:
    """The rig from above and from the side, with frusta and numbers, and some of the photos.

    Cameras that a problem names are orange. The head's front is an arrow where it is known; where
    it is not, a dashed line shows the cameras' mean direction, against which yaw is then measured.

    Args:
        found: of a capture that opened.
        photos: whether to show photos below.

    Raises:
        ValueError: nothing opened, so there are no cameras to draw.
    """
    if found.capture is None or found.frame is None or found.focus is None:
        raise ValueError("no cameras to draw: the capture did not open")
    cameras = [found.frame.camera(camera) for camera in found.capture.cameras]
    focus = found.frame.rotation @ found.focus + found.frame.translation
    named = {n for p in found.problems if p.level == "warning" for n in p.where.split(", ")}
    bad = np.array([name in named for name in found.capture.names])
    labels = short_names(found.capture.names)
    known = found.capture.frame == "head" or found.frame.method == "given"

    figure = new_figure(9.0, 6.2 if photos else 4.9)
    base = 1.45 / 6.2 if photos else 0.06
    title = f"{found.capture.subject}: {len(cameras)} cameras, {found.span:.0f}° apart at most"
    figure.text(0.02, 0.975, title, weight="bold", fontsize=10, va="top")
    words = "numbers are the photos'; dashed circle: the width that they show"
    if named & set(found.capture.names):
        words += "; orange: see the problems below the table"
    figure.text(0.02, 0.935, words, fontsize=8, color=SOFT, va="top")
    height = 0.87 - base
    # Rows: the page's right and up in the head frame. From above the face looks down the page, from
    # the subject's left side it looks to the left.
    above = np.array([[1.0, 0, 0], [0, 0, -1.0]])
    side = np.array([[0, 0, -1.0], [0, 1.0, 0]])
    panels = ((above, "from above", 0.02), (side, "from the subject's left", 0.52))
    for plane, name, left in panels:
        axes = figure.add_axes([left, base, 0.46, height], aspect="equal")
        figure.text(left, base + height, name, fontsize=9, color=SOFT, va="bottom")
        wide, tall = figure.get_size_inches()
        _draw_cameras(axes, cameras, focus, plane, labels, bad, 0.46 * wide / (height * tall))
        _draw_head(axes, focus, plane, known)
        axes.set_axis_off()
    if photos:
        _draw_photos(figure, found, labels)
    return figure


def short_names(names: Sequence[str]) -> list[str]:
    """What tells the views apart: the number at their names' ends, else their place from 1."""
    ends = [re.search(r"(\d+)$", name) for name in names]
    if all(ends):
        numbers = [str(int(end.group(1))) for end in ends if end]
        if len(set(numbers)) == len(names):
            return numbers
    if all(len(name) <= 4 for name in names):
        return list(names)
    return [str(i + 1) for i in range(len(names))]


def _draw_cameras(
    axes: Any,
    cameras: list[Camera],
    focus: np.ndarray,
    plane: np.ndarray,
    labels: list[str],
    bad: np.ndarray,
    shape: float,
) -> None:
    from matplotlib.collections import LineCollection

    centres = np.array([camera.centre for camera in cameras])
    distance = float(np.median(np.linalg.norm(centres - focus, axis=1)))
    # Far strays would shrink all others to a dot: they are drawn at the border, pulled in.
    away = centres - focus
    reach = np.linalg.norm(away, axis=1)
    shown = focus + away * np.minimum(1, 2.2 * distance / np.maximum(reach, 1e-12))[:, None]
    spread = np.ptp(np.vstack([shown, focus]) @ plane.T, axis=0).max()
    # Long enough to be seen, short enough that neighbours do not hide one another.
    gaps = np.linalg.norm(shown[:, None] - shown, axis=-1) + np.diag(np.full(len(shown), np.inf))
    spread = max(spread, 0.3 * distance)
    length = float(np.clip(1.2 * np.median(gaps.min(1)), 0.03 * spread, 0.09 * spread))
    target = plane @ focus
    for colour, chosen in ((GOOD, ~bad), (BAD, bad)):
        lines, rays = [], []
        for index in np.flatnonzero(chosen):
            camera = cameras[index]
            tips = shown[index] + length * _corners(camera) @ camera.rotation
            start, ends = plane @ shown[index], tips @ plane.T
            lines += [(start, end) for end in ends]
            lines += [(ends[i], ends[(i + 1) % 4]) for i in range(4)]
            # Along the optical axis, as far as the head: it shows where a camera really looks.
            rays.append((start, plane @ (shown[index] + reach[index] * camera.rotation[2])))
        axes.add_collection(LineCollection(rays, colors=colour, linewidths=0.5, alpha=0.18))
        axes.add_collection(LineCollection(lines, colors=colour, linewidths=0.9, alpha=0.85))
        points = shown[chosen] @ plane.T
        axes.scatter(*points.T, s=7, color=colour, zorder=4)
    flat = shown @ plane.T
    low = np.minimum(flat.min(0), target - 0.25 * distance)
    high = np.maximum(flat.max(0), target + 0.25 * distance)
    # The panel's whole width or height, the rig in its middle.
    if (high - low)[0] / shape > (high - low)[1]:
        half = 0.6 * (high - low)[0] * np.array([1, 1 / shape])
    else:
        half = 0.6 * (high - low)[1] * np.array([shape, 1])
    middle = (low + high) / 2
    axes.set(
        xlim=(middle[0] - half[0], middle[0] + half[0]),
        ylim=(middle[1] - half[1], middle[1] + half[1]),
    )
    size = 2 * float(max(half))
    _number(axes, flat, target, labels, bad, size)


def _corners(camera: Camera) -> np.ndarray:
    """``[4, 3]`` the photo's corners in camera axes, at depth 1 but not wider than a half."""
    k, (w, h) = camera.intrinsics, (camera.width, camera.height)
    pixels = np.array([[0, 0], [w, 0], [w, h], [0, h]], float)
    xy = (pixels - k[:2, 2]) / (k[0, 0], k[1, 1])
    # Narrow lenses would give needles: all frusta are drawn equally wide.
    xy *= 0.42 / np.abs(xy).max()
    return np.column_stack([xy, np.ones(4)])


def _number(
    axes: Any,
    points: np.ndarray,
    target: np.ndarray,
    labels: list[str],
    bad: np.ndarray,
    size: float,
) -> None:
    """Numbers outside of the cameras, where they do not cover one another; bad ones come first."""
    placed: list[np.ndarray] = []
    for index in sorted(range(len(points)), key=lambda i: (not bad[i], i)):
        outward = points[index] - target
        outward = outward / max(np.linalg.norm(outward), 1e-12)
        place = points[index] + 0.028 * size * outward
        if any(np.abs((place - other) / (1.3, 1.0)).max() < 0.03 * size for other in placed):
            continue
        placed.append(place)
        axes.text(
            *place, labels[index], fontsize=7, ha="center", va="center", zorder=5,
            color=BAD if bad[index] else INK,
        )  # fmt: skip


def _draw_head(axes: Any, focus: np.ndarray, plane: np.ndarray, known: bool) -> None:
    from matplotlib.patches import Circle, Ellipse, Polygon

    middle = plane @ (np.zeros(3) if known else focus)
    extent = Circle(plane @ focus, NORMAL_EXTENT, fill=False, ec=LINE, ls=(0, (2, 2)), lw=1.0)
    axes.add_patch(extent)
    edge, skin = "#aab2be", "#eef1f5"
    front = plane @ np.array([0, 0, 1.0])
    if known:
        across = np.array([-front[1], front[0]])
        nose = [middle + 0.085 * front + s * 0.022 * across for s in (-1, 1)]
        nose.insert(1, middle + 0.135 * front)
        axes.add_patch(Polygon(nose, fc=skin, ec=edge, zorder=2))
        from_above = plane[1, 2] != 0
        wide, tall = (0.16, 0.21) if from_above else (0.20, 0.25)
        axes.add_patch(Ellipse(middle, wide, tall, fc=skin, ec=edge, zorder=2))
    length = 1.9 * NORMAL_EXTENT
    style = {"color": FACE if known else SOFT, "lw": 1.4 if known else 1.0, "zorder": 3}
    axes.annotate(
        "", middle + length * front, middle + (0.1 if known else 0.0) * front,
        arrowprops={"arrowstyle": "->", "ls": "-" if known else (0, (3, 2)), **style},
    )  # fmt: skip
    words = "front" if known else "cameras' mean"
    # Beside the arrow: beyond its tip the cameras begin.
    axes.annotate(
        words, middle + 0.6 * length * front, xytext=(5, 0) if front[0] == 0 else (0, 5),
        textcoords="offset points", fontsize=7, color=style["color"], zorder=5,
        ha="left" if front[0] == 0 else "center", va="center" if front[0] == 0 else "bottom",
    )  # fmt: skip


def _draw_photos(figure: Picture, found: Inspection, labels: list[str]) -> None:
    """Some photos from one side to the other, by yaw, with their numbers."""
    assert found.capture is not None
    readable = [i for i, view in enumerate(found.views) if view.brightness is not None]
    order = sorted(readable, key=lambda i: found.views[i].yaw)
    if not order:
        return
    places = np.unique(np.linspace(0, len(order) - 1, min(PHOTOS, len(order))).round().astype(int))
    width = 0.96 / PHOTOS
    for column, place in enumerate(places):
        index = order[place]
        photo = load_photo(found.capture.views[index])
        step = max(1, max(photo.shape[:2]) // 256)
        axes = figure.add_axes([0.02 + column * width, 0.035, 0.94 * width, 1.1 / 6.2])
        axes.imshow(photo[::step, ::step])
        axes.set_axis_off()
        pose = f"{found.views[index].yaw:.0f}°"
        axes.set_title(
            f"{labels[index]}   {pose}".replace("-", "\N{MINUS SIGN}"), fontsize=7.5,
            weight="normal", color=SOFT, loc="center", pad=2,
        )  # fmt: skip
