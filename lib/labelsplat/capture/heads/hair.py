"""Hair: guide strands grow over the bust, many children follow them, ribbons are drawn of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from labelsplat.capture.heads import facial_hair
from labelsplat.capture.heads._random import stream
from labelsplat.capture.heads.hair_styles import (
    BUN_HEIGHT,
    SLICK_HEIGHT,
    STYLES,
    Style,
    comb_on_skin,
)
from labelsplat.capture.heads.identity import Identity
from labelsplat.capture.heads.regions import smoothstep
from labelsplat.capture.heads.shape import Shape
from labelsplat.capture.heads.subdivide import normalised, quads_to_triangles
from labelsplat.capture.heads.template import BODY, HEAD, Template

_GUIDES = 500
_HANGING = ("long", "bob")  # styles that fall past the ears
_PARTED = ("sidepart", *_HANGING)
_CLOTHES_BELOW, _CLOTHES_THICKNESS = 5.7, 0.016  # canonical dm, metres


class _Bust:
    """The solid that hair must stay outside of: points with normals and a search tree."""

    def __init__(self, template: Template, shape: Shape):
        index = np.unique(template.quads_of(HEAD, BODY))
        self.canonical = template.canonical[index]
        self.normals = shape.normals[index]
        clothed = self.canonical[:, 1] < _CLOTHES_BELOW
        self.points = shape.vertices[index] + self.normals * (clothed * _CLOTHES_THICKNESS)[:, None]
        self.tree = cKDTree(self.points)

    def push_out(self, points: np.ndarray, margin: float) -> tuple[np.ndarray, np.ndarray]:
        """Points ``[N, 3]`` at least ``margin`` outside, and the nearest surface points' index."""
        distance, near = self.tree.query(points)
        normal = self.normals[near]
        height = ((points - self.points[near]) * normal).sum(1)
        lift = np.where((height < margin) & (distance < 0.05), margin - height, 0)
        return points + lift[:, None] * normal, near


@dataclass(frozen=True, eq=False)
class _Roots:
    """Where strands begin: position, normal and canonical position, each ``[N, 3]``."""

    points: np.ndarray
    normals: np.ndarray
    canonical: np.ndarray


def _sample_roots(
    template: Template, shape: Shape, identity: Identity, count: int, rng: np.random.Generator
) -> _Roots:
    """Random points of the scalp, evenly over its area; at most ``count``."""
    head = template.quads_of(HEAD)
    triangles = quads_to_triangles(head)
    ear = np.concatenate([template.ear_side, template.ear_side]) > 0
    centre = template.canonical[triangles].mean(1)
    scalp = ~ear & (facial_hair.scalp_edge(centre, identity) > -0.1)
    if identity.hair.style == "fringe":
        scalp &= facial_hair.bald_edge(centre, identity) < 8.0
    triangles = triangles[scalp]
    a, b, c = (shape.vertices[triangles[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)

    tries = int(1.4 * count)
    chosen = triangles[rng.choice(len(triangles), tries, p=area / area.sum())]
    u, v = rng.random((2, tries))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    weights = np.stack([1 - u - v, u, v], 1)[..., None]
    canonical = (template.canonical[chosen] * weights).sum(1)
    keep = rng.random(tries) < facial_hair.scalp(canonical, identity)
    return _Roots(
        points=(shape.vertices[chosen] * weights).sum(1)[keep][:count],
        normals=normalised((shape.normals[chosen] * weights).sum(1))[keep][:count],
        canonical=canonical[keep][:count],
    )


def _knot(template: Template, shape: Shape, style: str) -> np.ndarray:
    """``[3]`` where a bun is tied: on the surface, at the back of the head."""
    height = BUN_HEIGHT if style == "bun" else SLICK_HEIGHT
    distance = ((template.canonical - (0, height, -0.8)) ** 2).sum(1)
    return shape.vertices[np.argsort(distance, kind="stable")[:20]].mean(0)


def _lengths(style: Style, identity: Identity, roots: _Roots, rng) -> np.ndarray:
    """Length of each guide, metres."""
    varied = 1 + 0.12 * rng.standard_normal(len(roots.points))
    length = style.length * identity.hair.length * varied
    if style.shorten is not None:
        length *= np.interp(roots.canonical[:, 1], *style.shorten)
    if identity.hair.style in _HANGING and identity.hair.bangs:
        x, _, z = roots.canonical.T
        front = (z > 0.9) & (np.abs(x) < 0.35)
        length[front] *= 0.22 if identity.hair.style == "long" else 0.35
    return np.maximum(length, 0.06 * style.length)


def _grow_guides(
    style: Style, identity: Identity, shape: Shape, bust: _Bust, roots: _Roots, knot, rng
) -> np.ndarray:
    """Guide strands ``[G, K, 3]``, grown point by point around the bust."""
    name, count, last = identity.hair.style, len(roots.points), style.points - 1
    parting = identity.hair.parting if name in _PARTED else 0.0
    hanging = name in _HANGING
    eye_y, eye_z = shape.eyes.mean(0)[1:]
    step = _lengths(style, identity, roots, rng)[:, None] / last
    guides = np.empty((count, style.points, 3))
    guides[:, 0] = roots.points
    lift = np.full((count, 1), style.lift)
    if name in _PARTED:  # hair lies flat where it is parted
        lift *= 0.15 + 0.85 * smoothstep(0.0, 0.35, np.abs(roots.canonical[:, :1] - parting))
    direction = roots.normals * lift + 0.12 * rng.standard_normal((count, 3))
    direction = normalised(direction + comb_on_skin(style, roots.canonical, roots.normals, parting))
    for k in range(1, style.points):
        before = guides[:, k - 1]
        arch = np.sin(k / style.points * np.pi)
        margin = 0.0008 if name == "buzz" else 0.004 + 0.004 * arch * (1 + 2 * style.lift)
        guides[:, k], _ = bust.push_out(before + direction * step, margin)
        here = guides[:, k]
        heading = normalised(here - before)
        distance, near = bust.tree.query(here)
        normal = bust.normals[near]
        combed = np.zeros_like(here)
        if hanging or k < style.points * 0.6:
            combed = comb_on_skin(style, bust.canonical[near], normal, parting)
        above_eyes = here[:, 1] > eye_y - 0.01
        hug = np.full(count, style.hug)
        if hanging:
            combed *= above_eyes[:, None]
            hug *= above_eyes
            # Hair that would hang before the face is turned aside and back.
            x, y, z = here.T
            in_face = (z > eye_z - 0.045) & (y < eye_y + 0.035) & (np.abs(x) < 0.085)
            aside = np.stack([0.9 * np.sign(x - 0.1 * parting), 0 * x, np.full(count, -0.5)], 1)
            heading = heading + aside * in_face[:, None]
        hug *= np.clip((distance - margin) / 0.012, 0, 1)
        direction = heading + 0.35 * combed - normal * hug[:, None]
        direction += 0.5 * style.gravity * np.array((0, -1.0, 0))
        direction += 0.05 * rng.standard_normal((count, 3))
        if name == "bun":
            to_knot = knot - here
            far = np.maximum(np.linalg.norm(to_knot, axis=1, keepdims=True), 0.01)
            direction = 0.6 * heading + 0.8 * to_knot / far
        direction = normalised(direction)
    return guides


def _follow_guides(
    style: Style, identity: Identity, guides: np.ndarray, guide_roots: _Roots, roots: _Roots, rng
) -> np.ndarray:
    """Children ``[N, K, 3]``: a blend of the three nearest guides, gathered in locks, frizzed."""
    count = len(roots.points)
    distance, near = cKDTree(guide_roots.points).query(roots.points, k=3)
    weight = 1 / (distance + 0.002) ** 2
    if identity.hair.style in _PARTED:
        # No blend across the parting: hair there would stand up between two directions.
        parting = identity.hair.parting
        sides = guide_roots.canonical[near][..., 0] > parting
        weight = np.where(sides == (roots.canonical[:, :1] > parting), weight, 1e-4 * weight)
    weight /= weight.sum(1, keepdims=True)
    offsets = (guides - guides[:, :1])[near]
    offset = (offsets * weight[..., None, None]).sum(1)
    offset *= 1 + 0.09 * rng.standard_normal((count, 1, 1))
    strands = roots.points[:, None] + offset

    along = np.linspace(0, 1, style.points)[:, None]
    leaders = rng.integers(0, count, max(200, count // 14))
    _, lock = cKDTree(roots.points[leaders]).query(roots.points)
    leader = leaders[lock]
    spread = 0.35 * (roots.points - roots.points[leader])
    gathered = strands[leader] + spread[:, None]
    gather = style.clump * along**1.3
    strands = strands + (gathered - strands) * gather

    jitter = rng.standard_normal((count, style.points, 3))
    strands += style.frizz * along * ndimage.gaussian_filter1d(jitter, 1.0, axis=1)
    if style.curl:
        phase = 2 * np.pi * rng.random((count, 1))
        turns = along[:, 0] * rng.uniform(9, 14)
        side = normalised(np.cross(roots.normals, (0.3, 0.5, 0.81)))
        other = np.cross(roots.normals, side)
        coil = np.cos(turns + phase)[..., None] * side[:, None]
        coil += np.sin(turns + phase)[..., None] * other[:, None]
        strands += style.curl * np.minimum(1, 3 * along) * coil
    return strands


def _bun(identity: Identity, knot: np.ndarray, points: int, rng) -> np.ndarray:
    """Strands wound about the ball of a bun, ``[2200, points, 3]``."""
    count, radius = 2200, 0.030 * rng.uniform(0.85, 1.15)
    a = normalised(rng.standard_normal((count, 3)))
    b = normalised(np.cross(a, 0.5 * rng.standard_normal((count, 3)) + (0.2, 0.4, 1.0)))
    angle = np.linspace(0, 1.8, points)[:, None]
    radii = radius * (1 + 0.06 * rng.standard_normal((count, 1, 1)))
    centre = knot + np.array((0, 0.010, -0.014))
    return centre + radii * (np.cos(angle) * a[:, None] + np.sin(angle) * b[:, None])


def _drawn_back(strands: np.ndarray, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Hair beside the face, no farther forward than the cheekbones: it is worn behind them."""
    eye_y, eye_z = shape.eyes.mean(0)[1:]
    limit = eye_z - 0.038 + 1.5 * np.maximum(0, strands[..., 1] - eye_y + 0.005)
    limit = limit - 0.020 * rng.random((len(strands), 1))  # no straight edge
    out = strands.copy()
    out[..., 2] = np.minimum(out[..., 2], limit)
    return out


def _before_face(strands: np.ndarray, shape: Shape) -> np.ndarray:
    """``[N]`` bool: strands that hang before the middle of face or throat."""
    eye_y, eye_z = shape.eyes.mean(0)[1:]
    x, y, z = np.moveaxis(strands, -1, 0)
    middle = (np.abs(x) < 0.05) & (y < eye_y - 0.03) & (z > eye_z - 0.075)
    return (middle | ((y < eye_y - 0.005) & (z > eye_z - 0.025))).any(1)


def _astray(strands: np.ndarray) -> np.ndarray:
    """``[N]`` bool: single strands that stand off all others as wires would."""
    lost = np.zeros(len(strands), bool)
    for share, gap in ((0.5, 0.018), (0.75, 0.025)):
        points = strands[:, int(share * strands.shape[1])]
        distance, _ = cKDTree(points).query(points, k=9)
        lost |= distance[:, -1] > gap
    return lost


def grow_hair(template: Template, shape: Shape, identity: Identity) -> np.ndarray | None:
    """Strands of the identity's hair ``[N, K, 3]`` in metres, roots first; None for a bald head."""
    style = STYLES.get(identity.hair.style)
    if style is None:
        return None
    rng = stream(identity.seed, "hair strands")
    with_ball = identity.hair.style == "bun" and identity.nuisances.hat == "none"
    bust = _Bust(template, shape)
    guide_roots = _sample_roots(template, shape, identity, _GUIDES, rng)
    knot = _knot(template, shape, identity.hair.style)
    guides = _grow_guides(style, identity, shape, bust, guide_roots, knot, rng)
    roots = _sample_roots(template, shape, identity, style.strands, rng)
    strands = _follow_guides(style, identity, guides, guide_roots, roots, rng)
    margin = 0.0008 if identity.hair.style == "buzz" else 0.0025
    if identity.hair.style in _HANGING:
        strands = _drawn_back(strands, shape, rng)
    free, _ = bust.push_out(strands[:, 1:].reshape(-1, 3), margin)
    strands[:, 1:] = free.reshape(len(strands), -1, 3)
    if identity.hair.style in _HANGING:
        strands = strands[~_before_face(strands, shape) & ~_astray(strands)]
    if with_ball:
        strands = np.concatenate([strands, _bun(identity, knot, style.points, rng)])
    return strands
