"""From an identity to the shape of its bust."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from labelsplat.capture.heads.data import ACTION
from labelsplat.capture.heads.expressions import EXPRESSIONS
from labelsplat.capture.heads.identity import ANCESTRIES, Identity
from labelsplat.capture.heads.subdivide import quad_normals
from labelsplat.capture.heads.template import HEAD, Template

DECIMETRE = 0.1  # metres

_AGES = {"child": 10.0, "young": 25.0, "old": 90.0}
_MUSCLES = {"minmuscle": 0.0, "averagemuscle": 0.5, "maxmuscle": 1.0}
_WEIGHTS = {"minweight": 0.0, "averageweight": 0.5, "maxweight": 1.0}

_RESTING_BLINK = 0.03
"""Share of a blink that the lids of a resting face are shut by: the upper one hides the top of the
iris. Wide open eyes, all white around the iris, stare."""
_LID_PER_DEGREE = 0.012  # the upper lid sinks and rises with the gaze


@dataclass(frozen=True, eq=False)
class Shape:
    """A bust in the head frame, metres.

    Attributes:
        vertices: ``[V, 3]`` fine vertices, in the template's order.
        normals: ``[V, 3]`` unit normals.
        eyes: ``[2, 3]`` centres of the left and the right eyeball.
        eye_radius: radius of the eyeballs.
    """

    vertices: np.ndarray
    normals: np.ndarray
    eyes: np.ndarray
    eye_radius: float


def _anchor_weights(value: float, anchors: dict[str, float]) -> dict[str, float]:
    """Piecewise linear weights of the two anchors on either side of ``value``, clamped."""
    names, places = list(anchors), list(anchors.values())
    value = min(max(value, places[0]), places[-1])
    for (low, a), (high, b) in pairwise(zip(names, places, strict=True)):
        if value <= b:
            t = (value - a) / (b - a)
            return {low: 1 - t, high: t}
    raise AssertionError("clamped values lie between two anchors")


def target_weights(identity: Identity) -> dict[str, float]:
    """Weight of every target that shapes this identity."""
    genders = {"female": 1 - identity.gender, "male": identity.gender}
    ages = _anchor_weights(identity.years, _AGES)
    muscles = _anchor_weights(identity.muscle, _MUSCLES)
    weights = _anchor_weights(identity.weight, _WEIGHTS)
    out: dict[str, float] = {}
    for gender, g in genders.items():
        for age, a in ages.items():
            for ancestry, share in zip(ANCESTRIES, identity.ancestry, strict=True):
                out[f"macrodetails/{ancestry}-{gender}-{age}"] = g * a * share
            for muscle, m in muscles.items():
                for weight, w in weights.items():
                    name = f"macrodetails/universal-{gender}-{age}-{muscle}-{weight}"
                    out[name] = g * a * m * w
    for name, w in identity.features:
        out[name] = out.get(name, 0.0) + w
    blink = _RESTING_BLINK + identity.eyes.droop - _LID_PER_DEGREE * identity.eyes.gaze[1]
    for side in ("Left", "Right"):
        out[f"{ACTION}eyeBlink{side}"] = max(0.0, blink)
        out[f"{ACTION}eyeWide{side}"] = max(0.0, -blink)
    for action, w in EXPRESSIONS[identity.expression].items():
        out[ACTION + action] = out.get(ACTION + action, 0.0) + identity.intensity * w
    if identity.expression == "18_eye_closed":
        for side in ("Left", "Right"):  # eyes are shut or not: no half closed lids
            out[f"{ACTION}eyeBlink{side}"] = 1.0
            out[f"{ACTION}eyeWide{side}"] = 0.0
    return out


def _fit_sphere(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Least-squares sphere through ``points [N, 3]``: centre and radius."""
    a = np.concatenate([2 * points, np.ones((len(points), 1))], 1)
    solution = np.linalg.lstsq(a, (points**2).sum(1), rcond=None)[0]
    centre = solution[:3]
    return centre, float(np.sqrt(solution[3] + centre @ centre))


def build_shape(template: Template, identity: Identity) -> Shape:
    """The bust of an identity, its origin moved to the middle of the head.

    Raises:
        KeyError: the identity names a target that the data does not have.
    """
    weights = target_weights(identity)
    row = {name: i for i, name in enumerate(template.target_names)}
    mix = np.zeros(len(row))
    for name, weight in weights.items():
        if weight:
            mix[row[name]] += weight
    control = (template.control + (template.targets.T @ mix).reshape(-1, 3)) * DECIMETRE
    vertices = template.subdivision @ control
    head = vertices[np.unique(template.quads_of(HEAD))]
    low, high = head.min(0), head.max(0)
    origin = np.array([0.0, (low[1] + high[1]) / 2 - 0.004, (low[2] + high[2]) / 2 + 0.01])
    spheres = [_fit_sphere(control[index] - origin) for index in template.eyeballs]
    vertices = vertices - origin
    return Shape(
        vertices=vertices,
        normals=quad_normals(vertices, template.quads),
        eyes=np.stack([centre for centre, _ in spheres]),
        eye_radius=float(np.mean([radius for _, radius in spheres])),
    )
