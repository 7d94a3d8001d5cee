"""Who a synthetic head is: a frozen record of traits, sampled from one seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labelsplat.capture.heads._random import stream
from labelsplat.capture.heads.expressions import SAMPLING
from labelsplat.capture.heads.features import sample_features
from labelsplat.capture.heads.nuisances import Nuisances, sample_nuisances

ANCESTRIES = ("african", "asian", "caucasian")
"""Names of the shares of Identity.ancestry, in order."""

HAIR_COLOURS = {
    "black": (0.012, 0.010, 0.009),
    "dark brown": (0.035, 0.020, 0.012),
    "brown": (0.085, 0.045, 0.022),
    "light brown": (0.17, 0.10, 0.05),
    "blond": (0.38, 0.25, 0.12),
    "red": (0.20, 0.06, 0.02),
    "grey": (0.20, 0.195, 0.19),
    "white": (0.40, 0.385, 0.365),
    "dyed": (0.25, 0.03, 0.12),
}
"""Linear RGB albedo of hair."""

_HAIR_SHARES = {  # in the order of HAIR_COLOURS
    "light skin": (0.30, 0.22, 0.16, 0.10, 0.07, 0.03, 0, 0, 0.01),
    "dark skin": (0.75, 0.17, 0.04, 0, 0, 0, 0, 0, 0.02),
}

IRIS_COLOURS = {
    "brown": (0.10, 0.045, 0.02),
    "dark brown": (0.05, 0.025, 0.012),
    "hazel": (0.22, 0.14, 0.06),
    "green": (0.14, 0.22, 0.12),
    "blue": (0.15, 0.25, 0.38),
    "grey": (0.25, 0.30, 0.33),
}
"""Linear RGB albedo of irises."""

_IRIS_SHARES = {  # in the order of IRIS_COLOURS
    "light skin": (0.30, 0.25, 0.15, 0.08, 0.14, 0.08),
    "dark skin": (0.40, 0.55, 0.05, 0, 0, 0),
}

_EYE_SHADOWS = {
    "brown": (0.16, 0.085, 0.055),
    "plum": (0.16, 0.05, 0.10),
    "grey": (0.10, 0.10, 0.11),
    "blue": (0.08, 0.14, 0.28),
    "green": (0.07, 0.17, 0.11),
    "pink": (0.48, 0.20, 0.24),
}

_STYLES_MALE = {"buzz": 1, "short": 2, "sidepart": 1.3, "curly": 1, "slick": 1, "long": 0.25}
_STYLES_FEMALE = {"long": 2, "bob": 1.4, "curly": 1, "bun": 1.2, "short": 0.6, "slick": 0.8}
_STYLES_AFRO = {"afro": 1, "buzz": 0.6, "curly": 0.8}
_STYLES_OLD_MALE = {"fringe": 1, "bald": 1, "buzz": 1}


@dataclass(frozen=True)
class Skin:
    """Pigments are concentrations in a Beer-Lambert model; the rest are amounts in about 0..1."""

    melanin: float
    blood: float
    freckles: float
    blemishes: float
    roughness: float
    beard: float
    beard_shape: str


@dataclass(frozen=True)
class MakeUp:
    """Amounts in 0..1 (0 is none), colours in linear RGB."""

    lipstick: float = 0.0
    lipstick_colour: tuple[float, float, float] = (0.4, 0.08, 0.1)
    eye_shadow: float = 0.0
    eye_shadow_colour: tuple[float, float, float] = (0.2, 0.1, 0.1)
    liner: float = 0.0
    mascara: float = 0.0
    blush: float = 0.0

    @property
    def worn(self) -> bool:
        """Whether there is any."""
        return max(self.lipstick, self.eye_shadow, self.liner, self.mascara, self.blush) > 0


@dataclass(frozen=True)
class Hair:
    """Style, colour by name, recession of the temples 0..1, length factor, parting's side (dm)."""

    style: str
    colour: str
    recession: float
    length: float
    parting: float
    bangs: bool


@dataclass(frozen=True)
class Brows:
    """Factors of thickness, arch, density and length; lift in dm."""

    thickness: float
    arch: float
    density: float
    lift: float
    length: float


@dataclass(frozen=True)
class Eyes:
    """Of both eyes.

    Attributes:
        iris: colour by name.
        pupil: half angle of the pupil, degrees.
        gaze: (yaw, pitch), degrees.
        droop: share of a blink by which the upper lids hang.
    """

    iris: str
    pupil: float
    gaze: tuple[float, float]
    droop: float


@dataclass(frozen=True)
class Clothes:
    """Neckline and pattern by name, main colour as (hue, saturation, value)."""

    neckline: str
    pattern: str
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class Identity:
    """All traits of one head.

    Attributes:
        seed: the seed of every random stream of this head.
        nuisances: what is worn, and the level of what spoils the photographs.
        gender: 0 female .. 1 male.
        years: age in years.
        muscle: 0..1.
        weight: 0..1.
        ancestry: shares of ANCESTRIES, sum 1.
        features: weights of local shape targets, by name.
        expression: a name of EXPRESSIONS.
        intensity: share of the full expression shown.
    """

    seed: int
    nuisances: Nuisances
    gender: float
    years: float
    muscle: float
    weight: float
    ancestry: tuple[float, float, float]
    features: tuple[tuple[str, float], ...]
    expression: str
    intensity: float
    skin: Skin
    make_up: MakeUp
    hair: Hair
    brows: Brows
    eyes: Eyes
    clothes: Clothes

    @property
    def male(self) -> bool:
        """Whether beard, hair style and make-up are a man's."""
        return self.gender > 0.5

    @property
    def hair_rgb(self) -> np.ndarray:
        """``[3]`` linear RGB albedo of the hair."""
        return np.array(HAIR_COLOURS[self.hair.colour])


def _choose(rng: np.random.Generator, shares: dict[str, float]) -> str:
    p = np.array(list(shares.values()), float)
    return str(rng.choice(list(shares), p=p / p.sum()))


def _sample_skin(seed: int, ancestry: np.ndarray, male: bool) -> Skin:
    rng = stream(seed, "skin")
    usual = float(ancestry @ (0.95, 0.42, 0.22))
    melanin = float(np.clip(usual + 0.08 * rng.standard_normal(), 0.03, 1.3))
    freckles = max(0.0, 0.5 * float(rng.standard_normal()))
    beard = float(rng.choice([0, 0.25, 0.5, 0.9], p=[0.3, 0.25, 0.25, 0.2]))
    return Skin(
        melanin=melanin,
        blood=float(rng.uniform(0.35, 0.8)),
        freckles=freckles if melanin < 0.4 else 0.0,
        blemishes=float(rng.uniform()),
        roughness=float(rng.uniform(0.38, 0.52)),
        beard=beard if male else 0.0,
        beard_shape=_choose(rng, {"full": 3, "goatee": 1, "moustache": 0.7}),
    )


def _sample_make_up(seed: int, male: bool) -> MakeUp:
    """Six women in ten wear some: each kind by itself, so that all combinations occur."""
    rng = stream(seed, "make-up")
    worn = rng.random(5) < (0.75, 0.5, 0.6, 0.8, 0.5)
    amount = rng.uniform(0.3, 0.9, 5) * worn
    if male or rng.random() > 0.6:
        return MakeUp()
    lips = rng.uniform((0.30, 0.03, 0.05), (0.6, 0.16, 0.18))
    hue = _choose(rng, {"brown": 3, "plum": 1, "grey": 1, "blue": 0.7, "green": 0.5, "pink": 1})
    return MakeUp(
        lipstick=float(amount[0]),
        lipstick_colour=tuple(lips.tolist()),
        eye_shadow=float(0.8 * amount[1]),
        eye_shadow_colour=_EYE_SHADOWS[hue],
        liner=float(amount[2]),
        mascara=float(amount[3]),
        blush=float(amount[4]),
    )


def _sample_hair(seed: int, years: float, male: bool, melanin: float) -> Hair:
    rng = stream(seed, "hair")
    shares = np.array(_HAIR_SHARES["light skin" if melanin < 0.45 else "dark skin"], float)
    if years > 56:
        shares = shares * 0.35
        shares[6:8] += (0.45, 0.2)
    colour = _choose(rng, dict(zip(HAIR_COLOURS, shares.tolist(), strict=True)))
    style = _choose(rng, _STYLES_MALE if male else _STYLES_FEMALE)
    afro, old = _choose(rng, _STYLES_AFRO), _choose(rng, _STYLES_OLD_MALE)
    be_afro, be_old, thinning = rng.random(3)
    if male and years > 38 and be_old < 0.35:
        style = old
    if melanin > 0.75 and be_afro < 0.6:
        style = afro
    receding = max(0.0, (years - 25) / 65 * thinning + 0.15 * float(rng.standard_normal()))
    return Hair(
        style=style,
        colour=colour,
        recession=receding if male else 0.0,
        length=float(rng.uniform(0.8, 1.25)),
        parting=float(rng.choice([-1, 1]) * rng.uniform(0.15, 0.3)),
        bangs=bool(rng.random() < 1 / 3),
    )


def _sample_brows(seed: int, male: bool) -> Brows:
    rng = stream(seed, "brows")
    return Brows(
        thickness=float(rng.uniform(0.8, 1.3) * (1.15 if male else 0.85)),
        arch=float(rng.uniform(0.6, 1.4)),
        density=float(rng.uniform(0.7, 1.0)),
        lift=float(0.012 * rng.standard_normal()),
        length=float(rng.uniform(0.92, 1.06)),
    )


def _sample_eyes(seed: int, years: float, melanin: float) -> Eyes:
    rng = stream(seed, "eyes")
    shares = _IRIS_SHARES["light skin" if melanin < 0.45 else "dark skin"]
    gaze = np.clip(rng.standard_normal(2) * (5, 3), (-11, -7), (11, 5))
    return Eyes(
        iris=_choose(rng, dict(zip(IRIS_COLOURS, shares, strict=True))),
        pupil=float(rng.uniform(8, 11)),
        gaze=tuple(gaze.tolist()),
        droop=float(max(0.0, 0.04 * rng.standard_normal() + 0.06 * max(0.0, years - 50) / 30)),
    )


def _sample_clothes(seed: int) -> Clothes:
    rng = stream(seed, "clothes")
    return Clothes(
        neckline=_choose(rng, {"crew": 2, "vneck": 1, "wide": 1, "turtle": 1, "collar": 1}),
        pattern=_choose(rng, {"plain": 3, "stripe": 1, "check": 0.7, "heather": 1.3}),
        colour=tuple(rng.uniform((0, 0.05, 0.08), (1, 0.6, 0.7)).tolist()),
    )


_SPREAD = 1.1673039782614187 ** -np.arange(1.0, 5.0)
"""Steps of a 4-dimensional additive recurrence, powers of the root of x^5 = x + 1 (Roberts 2018,
"The unreasonable effectiveness of quasirandom sequences"): any run of consecutive multiples fills
the unit cube evenly."""


_GOLDEN = 0.6180339887498949  # the same in one dimension: no run tells two halves apart better


def _sample_person(seed: int, rng: np.random.Generator) -> tuple[float, float, np.ndarray]:
    """(gender, years, ancestry): even over every run of consecutive seeds, not only over many.

    Sets of heads are small (16 are tested): drawn independently, one gender or age would often
    make up most of a set.
    """
    at = (0.5 + seed * _SPREAD) % 1
    gender = float(
        np.clip((0.08, 0.92)[int(seed * _GOLDEN % 1 >= 0.5)] + 0.08 * rng.standard_normal(), 0, 1)
    )
    years = float(np.interp(at[1], (0, 0.25, 0.5, 0.75, 1), (18, 30, 45, 60, 80)))
    main = min(2, int(3 * at[2]))
    share = 0.52 + 0.48 * at[3]
    rest = rng.uniform(0, 1 - share)
    ancestry = np.roll([share, rest, 1 - share - rest], main)
    return gender, years, ancestry


def sample_identity(seed: int, nuisance: str = "plain") -> Identity:
    """A random head; the same seed gives the same head.

    Genders, four bands of age from 18 to 80, and main ancestries are even over consecutive seeds;
    expressions are neutral for about half of all heads and spread over FaceScape's others else. A
    nuisance level changes what is worn and how it is photographed, nothing else of the head.

    Raises:
        ParameterError: an unknown nuisance level.
    """
    rng = stream(seed, "person")
    gender, years, ancestry = _sample_person(seed, rng)
    male = gender > 0.5
    clothes = _sample_clothes(seed)
    skin = _sample_skin(seed, ancestry, male)
    face = stream(seed, "expression")
    return Identity(
        seed=seed,
        nuisances=sample_nuisances(
            seed, nuisance, male, covered_neck=clothes.neckline in ("turtle", "collar")
        ),
        gender=gender,
        years=years,
        muscle=float(rng.uniform(0.3, 0.75)),
        weight=float(rng.uniform(0.25, 0.85)),
        ancestry=tuple(ancestry.tolist()),
        features=sample_features(seed, ancestry),
        expression=_choose(face, SAMPLING),
        intensity=float(face.uniform(0.6, 1.0)),
        skin=skin,
        make_up=_sample_make_up(seed, male),
        hair=_sample_hair(seed, years, male, skin.melanin),
        brows=_sample_brows(seed, male),
        eyes=_sample_eyes(seed, years, skin.melanin),
        clothes=clothes,
    )


def describe(identity: Identity) -> dict[str, str | int | float]:
    """One flat row for tables: who this head is."""
    african, asian, caucasian = (round(share, 2) for share in identity.ancestry)
    return {
        "seed": identity.seed,
        "years": round(identity.years),
        "gender": "male" if identity.male else "female",
        "african": african,
        "asian": asian,
        "caucasian": caucasian,
        "hair": identity.hair.style,
        "hair_colour": identity.hair.colour,
        "expression": identity.expression,
        "nuisances": identity.nuisances.words,
    }
