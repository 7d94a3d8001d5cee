"""The head's painted skin: colour, roughness, relief and labels of every texel.

All is a function of the texel's canonical position (see regions.py), so it has no seams. Colour
follows Beer-Lambert: light that crossed a dermis of given colour is dimmed exponentially by two
pigments, melanin and haemoglobin.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from labelsplat.capture.heads import facial_hair, regions
from labelsplat.capture.heads._noise import noise, noise_where
from labelsplat.capture.heads.atlas import Atlas
from labelsplat.capture.heads.expressions import EXPRESSIONS
from labelsplat.capture.heads.identity import Identity
from labelsplat.capture.heads.regions import smoothstep
from labelsplat.labels import CELEBAMASK

_DERMIS = np.array((0.93, 0.82, 0.74), np.float32)
_MELANIN_ABSORBS = np.array((0.95, 1.55, 2.15), np.float32)
_BLOOD_ABSORBS = np.array((0.06, 0.52, 0.50), np.float32)


@dataclass(frozen=True, eq=False)
class SkinTextures:
    """Painted textures of the head, all ``[HEIGHT, WIDTH, ...]`` of the atlas.

    Attributes:
        albedo: ``[..., 3]`` float32 linear RGB.
        roughness: float32.
        bump: float32 height in dm.
        label: uint8 class in CELEBAMASK.
        beard: ``[N]`` float32 density of the beard on the atlas's texels.
    """

    albedo: np.ndarray
    roughness: np.ndarray
    bump: np.ndarray
    label: np.ndarray
    beard: np.ndarray


def skin_colour(melanin: np.ndarray | float, blood: np.ndarray | float) -> np.ndarray:
    """Linear RGB ``[..., 3]`` float32 of skin with these pigment concentrations."""
    m = np.asarray(melanin, np.float32)[..., None]
    b = np.asarray(blood, np.float32)[..., None]
    return _DERMIS * np.exp(-m * _MELANIN_ABSORBS - b * _BLOOD_ABSORBS)


def base_pigments(points: np.ndarray, identity: Identity) -> tuple[np.ndarray, np.ndarray]:
    """Melanin and blood ``[N]`` of skin with broad mottling only; ``points`` canonical, dm."""
    mottling = noise(points, 3.0, identity.seed, "mottling", 3)
    skin = identity.skin
    return skin.melanin * (1 + 0.05 * mottling), skin.blood * (1 + 0.08 * mottling)


def ageing(identity: Identity) -> float:
    """How aged the skin looks, 0 (25 years) .. 1 (90 years)."""
    return float(np.clip((identity.years - 25) / 65, 0, 1))


def brow_colour(identity: Identity) -> np.ndarray:
    """``[3]`` linear RGB of the brows: darker than the hair, and never white-blond."""
    return np.minimum(0.7 * identity.hair_rgb + 0.006, 0.22)


def _blend(colour: np.ndarray, other: np.ndarray, amount: np.ndarray) -> np.ndarray:
    return colour + (other - colour) * amount[..., None]


@dataclass(frozen=True, eq=False)
class _Texels:
    """Positions of the texels and the noises that several layers share."""

    points: np.ndarray
    side: np.ndarray  # |x|
    y: np.ndarray
    z: np.ndarray
    face: np.ndarray  # bool: not the back of the head, which hair hides
    mottling: np.ndarray
    fine: np.ndarray
    pores: np.ndarray

    def take(self, region: np.ndarray) -> _Texels:
        """The texels of a region (mask or indices)."""
        return _Texels(*(getattr(self, field.name)[region] for field in fields(self)))


def _spot(t: _Texels, x: float, y: float, rx: float, ry: float) -> np.ndarray:
    """A soft elliptic spot on either side of the face, seen from the front."""
    return np.exp(-(((t.side - x) / rx) ** 2) - ((t.y - y) / ry) ** 2) * (t.z > 0.4)


def _pigments(atlas: Atlas, identity: Identity, t: _Texels) -> tuple[np.ndarray, np.ndarray]:
    """Melanin and blood of every texel."""
    seed, skin, age = identity.seed, identity.skin, ageing(identity)
    melanin = skin.melanin * (1 + 0.05 * t.mottling + 0.025 * t.fine)
    blood = skin.blood * (1 + 0.08 * t.mottling + 0.03 * t.fine)

    nose_tip = np.exp(-((t.side / 0.17) ** 2) - ((t.y - 6.93) / 0.10) ** 2) * (t.z > 1.3)
    cheeks = _spot(t, 0.42, 6.98, 0.20, 0.16)
    chin = _spot(t, 0.0, 6.35, 0.25, 0.12)
    blood += skin.blood * (0.35 * cheeks + 0.4 * nose_tip) + 0.2 * chin + 0.45 * atlas.ear

    under_eye = _spot(t, 0.31, 7.16, 0.17, 0.07)
    upper_lid = _spot(t, 0.30, 7.36, 0.18, 0.06)
    melanin += 0.16 * (0.4 + skin.melanin) * under_eye * (0.5 + age) + 0.10 * upper_lid
    blood += 0.12 * _spot(t, 0.31, 7.19, 0.15, 0.06) + 0.025 * t.pores
    melanin *= 1 + 0.02 * t.pores

    if skin.freckles > 0:
        where = np.exp(-((t.side / 0.5) ** 2) - ((t.y - 7.1) / 0.35) ** 2) * (t.z > 0.6)
        spots = smoothstep(1.5, 2.2, noise_where(where > 0.01, t.points, 26.0, seed, "freckles"))
        melanin += 0.35 * skin.freckles * spots * where
    blemishes = smoothstep(2.2, 2.9, noise_where(t.face, t.points, 16.0, seed, "blemishes"))
    moles = smoothstep(2.9, 3.3, noise(t.points, 21.0, seed, "moles"))
    age_spots = smoothstep(1.4, 2.2, noise_where(t.face, t.points, 9.0, seed, "age spots", 2))
    blood += 0.5 * skin.blemishes * blemishes
    melanin += 0.8 * moles + 0.25 * age * age_spots
    return melanin, blood


def _relief(identity: Identity, t: _Texels, lips: np.ndarray, lip_lines: np.ndarray) -> np.ndarray:
    """Height of the skin's relief in dm: pores, wrinkles, folds beside the nose, lips."""
    age = ageing(identity)
    bump = 0.0006 * t.pores + 0.0005 * noise_where(t.face, t.points, 110.0, identity.seed, "grain")
    moves = creasing(identity)
    forehead = smoothstep(7.55, 7.65, t.y) * smoothstep(8.1, 7.95, t.y)
    forehead *= smoothstep(0.65, 0.45, t.side) * (t.z > 0.8)
    lined = forehead > 0
    bent = t.y + 0.035 * noise_where(lined, t.points, 2.2, identity.seed, "wrinkles bend", 2)
    gaps = noise_where(
        lined, t.points * np.float32((2.0, 7.0, 2.0)), 1.0, identity.seed, "wrinkles"
    )
    broken = np.clip(0.7 + 0.6 * gaps, 0, 1.3)
    lines = forehead * broken * np.sin(bent * 2 * np.pi / 0.125)
    bump += max(age, 0.75 * moves["brows up"]) * 0.009 * lines
    crow_feet = np.exp(-(((t.side - 0.60) / 0.10) ** 2) - ((t.y - 7.26) / 0.16) ** 2)
    angle = np.arctan2(t.y - 7.25, t.side - 0.30) + 0.05 * t.mottling
    bump += max(age, 0.5 * moves["smile"]) * 0.006 * crow_feet * np.sin(16 * angle)
    fold = np.abs(t.side - np.interp(t.y, (6.5, 6.65, 6.9, 7.0), (0.36, 0.33, 0.235, 0.21)))
    within = smoothstep(6.48, 6.6, t.y) * smoothstep(7.0, 6.93, t.y) * (t.z > 1.0)
    depth = 0.004 + 0.016 * max(age, 0.7 * moves["smile"])
    bump -= depth * np.exp(-((fold / 0.022) ** 2)) * within
    # Two upright furrows between the brows, deeper when these are drawn together.
    furrow = np.exp(-(((t.side - 0.055 - 0.05 * (t.y - 7.5)) / 0.012) ** 2))
    furrow *= smoothstep(7.34, 7.44, t.y) * smoothstep(7.64, 7.54, t.y) * (t.z > 1.2)
    bump -= (0.006 * age + 0.012 * moves["brows down"]) * furrow
    bag = np.exp(-(((t.y - 7.13 + 0.25 * (t.side - 0.31) ** 2) / 0.014) ** 2))
    bump -= 0.009 * age * bag * np.exp(-(((t.side - 0.31) / 0.13) ** 2)) * (t.z > 0.9)
    return bump + 0.004 * lips * lip_lines


def creasing(identity: Identity) -> dict[str, float]:
    """How much the expression creases the skin, 0..1: brows up, brows down, smile."""
    weights = EXPRESSIONS[identity.expression]
    actions = {
        "brows up": ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
        "brows down": ("browDownLeft", "browDownRight"),
        "smile": ("mouthSmileLeft", "mouthSmileRight"),
    }
    return {
        name: min(1.0, identity.intensity * sum(weights.get(a, 0.0) for a in of) / len(of))
        for name, of in actions.items()
    }


def _nostrils(t: _Texels) -> np.ndarray:
    """How far inside a nostril each texel lies, 0..1: the mesh has shallow dents only."""
    dx, dz = t.side - 0.100, t.z - 1.566
    along, beside = 0.45 * dx - 0.893 * dz, 0.893 * dx + 0.45 * dz
    inside = (along / 0.046) ** 2 + (beside / 0.026) ** 2
    return smoothstep(1.3, 0.45, inside) * np.exp(-(((t.y - 6.868) / 0.022) ** 2))


def _make_up(colour: np.ndarray, atlas: Atlas, identity: Identity, t: _Texels) -> np.ndarray:
    """Colour of the skin with eye shadow, liner and blush on it."""
    worn = identity.make_up
    if not worn.worn:
        return colour
    near = (t.z > 0.45) & (np.abs(t.y - 7.2) < 0.5)
    t = t.take(near)
    skin = colour[near]
    lid = _spot(t, 0.31, 7.375, 0.165, 0.075) * smoothstep(7.27, 7.33, t.y)
    lid = np.clip(1.3 * lid * smoothstep(7.50, 7.42, t.y), 0, 1)
    shimmer = 0.85 + 0.15 * np.clip(t.pores, -1, 1)
    skin = _blend(skin, np.array(worn.eye_shadow_colour), 0.8 * worn.eye_shadow * lid * shimmer)
    line = np.exp(-((atlas.rim_distance[near] / 0.026) ** 4))
    line *= np.where(t.y > regions.EYE_LINE, 1.0, 0.45)
    skin = _blend(skin, np.array((0.012, 0.010, 0.010)), 0.9 * worn.liner * line)
    cheek = _spot(t, 0.50, 6.99, 0.17, 0.12) * (t.z > 0.5)
    skin = _blend(skin, skin * (1.0, 0.62, 0.66), 0.45 * worn.blush * cheek)
    colour[near] = skin
    return colour


def _paint_lips(
    colour: np.ndarray, lips: np.ndarray, lines: np.ndarray, pigments, identity: Identity
) -> np.ndarray:
    """Colour of the skin with the lips on it, bare or made up."""
    near = lips > 0
    melanin, blood = (pigment[near] for pigment in pigments)
    shade = (1 + 0.05 * lines[near])[:, None]
    bare = skin_colour(1.05 * melanin + 0.12, blood + 0.8) * (0.97, 0.88, 0.91) * shade
    made_up = np.array(identity.make_up.lipstick_colour) * shade
    lip = bare + (made_up - bare) * identity.make_up.lipstick
    colour[near] = _blend(colour[near], lip, 0.92 * lips[near])
    return colour


def paint(atlas: Atlas, identity: Identity) -> SkinTextures:
    """Paint the head of an identity."""
    seed, skin = identity.seed, identity.skin
    p = atlas.position
    x, y, z = np.ascontiguousarray(p.T)
    t = _Texels(
        p, np.abs(x), y, z, z > 0.2,
        mottling=noise(p, 3.0, seed, "mottling", 3),
        fine=noise(p, 14.0, seed, "fine mottling", 2),
        pores=noise(p, 55.0, seed, "pores"),
    )  # fmt: skip
    index = CELEBAMASK.index
    label = atlas.label.copy()
    melanin, blood = _pigments(atlas, identity, t)
    colour = skin_colour(melanin, blood)

    # The lids' wet rim darkens to the roots of the lashes, the upper one more than the lower.
    lash_line = np.exp(-((atlas.rim_distance / 0.020) ** 2))
    colour *= (1 - 0.8 * lash_line * np.where(y > regions.EYE_LINE, 1.0, 0.5))[:, None]

    nose = np.flatnonzero(np.abs(y - 6.868) < 0.06)
    colour[nose] *= (1 - 0.88 * _nostrils(t.take(nose)))[:, None]
    colour = _make_up(colour, atlas, identity, t)

    lips = smoothstep(0.3, 0.75, np.clip(atlas.lips, 0, 1))
    lip_lines = noise_where(lips > 0, p * np.float32((60, 4, 4)), 1.0, seed, "lip lines")
    colour = _paint_lips(colour, lips, lip_lines, (melanin, blood), identity)
    colour *= (1 - 0.35 * np.exp(-((atlas.mouth_distance / 0.02) ** 2)))[:, None]

    brows, shade = facial_hair.brows(p, identity)
    colour = _blend(colour, brow_colour(identity).astype(np.float32), shade)
    label[(brows > 0.5) & (x > 0)] = index("l_brow")
    label[(brows > 0.5) & (x < 0)] = index("r_brow")

    beard = facial_hair.beard(p, identity)
    beard *= (lips < 0.3) * smoothstep(0.02, 0.06, atlas.mouth_distance)
    if skin.beard > 0:
        speckle = 0.62 + 0.35 * noise_where(beard > 0, p, 150.0, seed, "stubble") + 0.10 * t.fine
        shadow = 0.8 * np.clip(skin.beard * beard * np.clip(speckle, 0, 1), 0, 0.85)
        colour = _blend(colour, (0.7 * identity.hair_rgb + 0.01).astype(np.float32), shadow)

    scalp = facial_hair.scalp(p, identity) * ~atlas.ear
    label[scalp > 0.5] = index("hair")
    # Skin shows through at the hairline only: inside, roots shade each other.
    depth = 0.72 + 0.22 * smoothstep(0.0, 0.35, facial_hair.scalp_edge(p, identity))
    speckle = 0.9 + 0.1 * np.clip(noise_where(scalp > 0, p, 110.0, seed, "scalp"), -1, 1)
    colour = _blend(colour, (0.9 * identity.hair_rgb).astype(np.float32), depth * scalp * speckle)

    roughness = skin.roughness + 0.06 * t.fine - 0.10 * lips
    roughness -= 0.06 * np.exp(-((t.side / 0.2) ** 2) - ((y - 7.0) / 0.25) ** 2)
    roughness -= 0.05 * np.exp(-((t.side / 0.35) ** 2) - ((y - 7.8) / 0.25) ** 2)
    bump = _relief(identity, t, lips, lip_lines)
    return SkinTextures(
        albedo=atlas.image(np.clip(colour, 0.002, 1).astype(np.float32), 0.3),
        roughness=atlas.image(np.clip(roughness, 0.15, 0.9).astype(np.float32), 0.5),
        bump=atlas.image(bump.astype(np.float32), 0.0),
        label=atlas.image(label, index("skin")),
        beard=beard.astype(np.float32),
    )
