"""Lens distortion by OpenCV's models: radial and tangential, rational, and fisheye.

``View.distortion`` holds OpenCV's coefficients in OpenCV's order: five (k1, k2, p1, p2, k3) or, for
the rational model, eight (.., k4, k5, k6); for a fisheye four (k1 .. k4), which multiply powers of
the angle in place of the radius. Formulas: docs.opencv.org, modules calib3d and calib3d/fisheye.
"""

from __future__ import annotations

import cv2
import numpy as np

from labelsplat.capture.views import View

NOWHERE = -1e6
"""Pixel of what lies nowhere in the undistorted photo; of either sign it is far outside."""

MOST_STEPS, SOLVED = 25, 1e-3
"""Newton's steps at most, and the error in pixels that is small enough."""

_AT_A_TIME = 1 << 18  # pixels that are straightened at a time, for memory's sake


def undistortion_maps(view: View) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where each pixel of the undistorted photo comes from; the intrinsics stay what they are.

    A fisheye's rim lies beyond the edge of the straight photo and is lost; heads stand inside.

    Returns:
        x, y: ``[H, W]`` float32 pixels of the photo as taken, centres at whole numbers as
            ``cv2.remap`` wants them.
        valid: ``[H, W]`` bool, where the photo as taken has content.
    """
    width, height = view.camera.width, view.camera.height
    k = _whole_centres(view)
    coefficients = np.array(view.distortion, float)
    if view.fisheye:
        x, y = cv2.fisheye.initUndistortRectifyMap(
            k, coefficients, np.eye(3), k, (width, height), cv2.CV_32FC1
        )
    else:
        x, y = cv2.initUndistortRectifyMap(k, coefficients, None, k, (width, height), cv2.CV_32FC1)
        if k[0, 1]:  # OpenCV takes the skew off and does not put it on again
            x += (k[0, 1] / k[1, 1]) * (y - k[1, 2]).astype(np.float32)
    # Pixels whose source lies outside the photo. (Written so that NaN counts as outside.)
    valid = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    fold = fold2(view)
    if fold < np.inf:
        radius2 = _radius2(k, width, height)
        valid &= (np.arctan(np.sqrt(radius2)) ** 2 if view.fisheye else radius2) < fold
    return x, y, valid


def straight_pixels(view: View) -> np.ndarray:
    """``[H, W, 2]`` float32: where each pixel of the photo as taken lies in the undistorted one.

    Pixel centres at whole numbers; the inverse of :func:`undistortion_maps`. Pixels that the lens
    model reaches from nowhere (beyond its fold) lie at :data:`NOWHERE`.
    """
    width, height = view.camera.width, view.camera.height
    k = _whole_centres(view)
    if view.fisheye:
        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        pixels = np.stack([x, y], -1).reshape(-1, 1, 2)
        straight = cv2.fisheye.undistortPoints(pixels, k, np.array(view.distortion, float), P=k)
        return straight.reshape(height, width, 2).astype(np.float32)
    out = np.empty((height, width, 2), np.float32)
    step = max(1, _AT_A_TIME // width)
    for first in range(0, height, step):
        rows = np.arange(first, min(first + step, height))
        out[first : first + step] = _straight_rows(view, k, rows)
    return out


def _straight_rows(view: View, k: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """``[R, W, 2]`` of :func:`straight_pixels`, by Newton's method in the plane.

    (``cv2.undistortPoints`` repeats a fixed-point step five times: pixels off for strong lenses.)
    """
    bent_y = ((rows - k[1, 2]) / k[1, 1])[:, None]
    columns = np.arange(view.camera.width)
    bent_x = (columns - k[0, 2] - k[0, 1] * bent_y) / k[0, 0]
    bent_y = np.broadcast_to(bent_y, bent_x.shape)
    x, y = bent_x, bent_y
    focal = max(k[0, 0], k[1, 1])
    with np.errstate(all="ignore"):  # beyond the fold there is no solution to be found
        for _ in range(MOST_STEPS):
            found_x, found_y, slopes = _bend(view, x, y)
            off_x, off_y = found_x - bent_x, found_y - bent_y
            solved = focal * np.hypot(off_x, off_y) < SOLVED
            if solved.all():
                break
            along, across, down = slopes
            determinant = along * down - across * across
            x = x - (down * off_x - across * off_y) / determinant
            y = y - (along * off_y - across * off_x) / determinant
        fold = fold2(view)
        there = solved & (x * x + y * y < fold)
    pixels = np.stack([k[0, 0] * x + k[0, 1] * y + k[0, 2], k[1, 1] * y + k[1, 2]], -1)
    return np.where(there[..., None], pixels, NOWHERE)


def _bend(
    view: View, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The lens model: where straight rays end up, and its symmetric Jacobian (xx, xy, yy)."""
    k1, k2, p1, p2, k3, *rest = view.distortion
    k4, k5, k6 = rest or (0.0, 0.0, 0.0)
    r2 = x * x + y * y
    over, under = 1 + r2 * (k1 + r2 * (k2 + r2 * k3)), 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
    radial = over / under
    slope = (k1 + r2 * (2 * k2 + 3 * r2 * k3) - radial * (k4 + r2 * (2 * k5 + 3 * r2 * k6))) / under
    aside = p2 * x + p1 * y
    bent = x * (radial + 2 * aside) + p2 * r2, y * (radial + 2 * aside) + p1 * r2
    common = radial + 2 * aside
    return (
        *bent,
        (
            common + 2 * x * (x * slope + 2 * p2),
            2 * (x * y * slope + p1 * x + p2 * y),
            common + 2 * y * (y * slope + 2 * p1),
        ),
    )


def fold2(view: View) -> float:
    """Square of the radius (of the angle, for a fisheye) at which the lens model turns back.

    Beyond it the model shows parts of the photo a second time, mirrored. The first root of the
    slope of ``r (1 + k1 r^2 + k2 r^4 + k3 r^6) / (1 + k4 r^2 + k5 r^4 + k6 r^6)``, or of its
    denominator; infinity where there is none.
    """
    if view.fisheye:
        k1, k2, k3, k4 = view.distortion
        return _first_root(np.poly1d([9 * k4, 7 * k3, 5 * k2, 3 * k1, 1.0]))
    k1, k2, _, _, k3, *rest = view.distortion
    k4, k5, k6 = rest or (0.0, 0.0, 0.0)
    over, under = np.poly1d([k3, k2, k1, 1.0]), np.poly1d([k6, k5, k4, 1.0])
    square = np.poly1d([1, 0])
    slope = over * under + 2 * square * (over.deriv() * under - over * under.deriv())
    return min(_first_root(slope), _first_root(under))


def _first_root(polynomial: np.poly1d) -> float:
    c = polynomial.coeffs
    roots = np.roots(np.where(np.abs(c) < 1e-12, 0, c))
    real = roots.real[(np.abs(roots.imag) < 1e-9 * np.abs(roots)) & (roots.real > 0)]
    return float(real.min()) if real.size else np.inf


def _whole_centres(view: View) -> np.ndarray:
    """K ``[3, 3]`` as OpenCV takes it, which counts pixel centres as whole numbers."""
    k = view.camera.intrinsics.copy()
    k[:2, 2] -= 0.5
    return k


def _radius2(k: np.ndarray, width: int, height: int) -> np.ndarray:
    """``[H, W]`` squared distance of the undistorted pixels from the optical axis, in focals."""
    x = ((np.arange(width) - k[0, 2]) / k[0, 0]).astype(np.float32)
    y = ((np.arange(height) - k[1, 2]) / k[1, 1]).astype(np.float32)
    return x**2 + y[:, None] ** 2
