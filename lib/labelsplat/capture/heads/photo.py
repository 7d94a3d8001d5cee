"""What a camera does to a photograph at the nuisance level ``hard``: light, lens, sensor, file.

Labels, coverage and depth are those of the scene: only colours change.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from labelsplat.capture.cameras import HEAD_SHOT
from labelsplat.capture.heads._random import stream
from labelsplat.capture.heads.nuisances import check_level

_FRAMED = HEAD_SHOT[0] * np.tan(np.radians(HEAD_SHOT[1] / 2))  # half of what is seen, metres


@dataclass(frozen=True)
class Photo:
    """How one photograph is spoilt.

    Attributes:
        exposure: in stops.
        balance: factors on red and on blue.
        blur: standard deviation of the defocus, in thousandths of the image's width.
        motion: length of the camera's shake, in thousandths of the width.
        direction: of the shake, radians.
        noise: electrons that a white pixel collects; the fewer, the noisier.
        quality: of the JPEG file, 1..95.
        seed: of the noise.
    """

    exposure: float
    balance: tuple[float, float]
    blur: float
    motion: float
    direction: float
    noise: float
    quality: int
    seed: int


def sample_photo(seed: int, shot: int, level: str) -> Photo | None:
    """How the ``shot``-th photograph of a head is spoilt; None at level ``plain``.

    Raises:
        ParameterError: an unknown level.
    """
    check_level(level)
    if level == "plain":
        return None
    rng = stream(seed, f"photo {shot}")
    return Photo(
        exposure=float(np.clip(0.45 * rng.standard_normal(), -1.1, 0.9)),
        balance=tuple(np.exp(0.07 * rng.standard_normal(2)).tolist()),
        blur=float(rng.choice([0.0, rng.uniform(0.8, 3.5)], p=[0.5, 0.5])),
        motion=float(rng.choice([0.0, rng.uniform(2.0, 9.0)], p=[0.75, 0.25])),
        direction=float(rng.uniform(0, np.pi)),
        noise=float(np.exp(rng.uniform(np.log(300), np.log(20000)))),
        quality=int(rng.integers(35, 96)),
        seed=int(rng.integers(2**31)),
    )


def sample_lens(seed: int, shot: int, level: str) -> tuple[float, float]:
    """Distance in metres and field of view in degrees that frame the head alike.

    At ``hard`` from a wide lens half a metre away, which makes noses large and ears small, to a
    long one.

    Raises:
        ParameterError: an unknown level.
    """
    check_level(level)
    if level == "plain":
        return HEAD_SHOT
    rng = stream(seed, f"lens {shot}")
    distance = float(np.exp(rng.uniform(np.log(0.48), np.log(2.4))))
    framed = _FRAMED * rng.uniform(0.95, 1.2)
    return distance, float(2 * np.degrees(np.arctan(framed / distance)))


def _shake(linear: np.ndarray, length: float, direction: float) -> np.ndarray:
    """Mean over ``length`` pixels along a direction."""
    steps = max(2, int(np.ceil(length)) + 1)
    total = np.zeros_like(linear)
    for t in np.linspace(-0.5, 0.5, steps):
        dy, dx = length * t * np.sin(direction), length * t * np.cos(direction)
        total += ndimage.shift(linear, (dy, dx, 0), order=1, mode="nearest")
    return total / steps


def spoil(image: np.ndarray, photo: Photo) -> np.ndarray:
    """A photograph ``[H, W, 3]`` uint8 sRGB as this camera would have taken it."""
    value = image.astype(np.float32) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    linear *= np.float32(2.0**photo.exposure)
    linear *= np.array((photo.balance[0], 1.0, photo.balance[1]), np.float32)
    width = image.shape[1] / 1000
    if photo.blur:
        linear = ndimage.gaussian_filter(linear, (photo.blur * width, photo.blur * width, 0))
    if photo.motion * width > 0.5:
        linear = _shake(linear, photo.motion * width, photo.direction)
    rng = np.random.default_rng(photo.seed)
    # Shot noise grows with the root of the light; a little is there in the dark.
    spread = np.sqrt(np.maximum(linear, 0) / photo.noise + (3 / photo.noise) ** 2)
    linear = linear + spread * rng.standard_normal(linear.shape, dtype=np.float32)
    linear = np.clip(linear, 0, 1)
    value = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    file = io.BytesIO()
    pixels = (value * 255 + 0.5).astype(np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", quality=photo.quality)
    return np.asarray(Image.open(file).convert("RGB"))
