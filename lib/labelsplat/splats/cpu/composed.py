"""How far a drawn view, put before its background, is from its photo, with all gradients.

One pass over the pixels in the place of two dozen small torch functions, each of which would cost
more than this whole pass at the sizes of a quick fit.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from labelsplat.splats.cpu._jit import kernel


@kernel
def _sign(value):
    """-1, 0 or 1; without the branches of numpy's."""
    return np.float32(value > 0) - np.float32(value < 0)


@kernel(parallel=True)
def composed_loss(
    colours, alpha, behind, photo, weights, foreground, shares,
    sums, by_colours, by_alpha, by_behind,
):  # fmt: skip
    """Loss of every row of pixels, and its gradients.

    Args:
        colours: ``[H, W, 3]`` drawn over black, alpha: ``[H, W]``, behind: ``[H, W, 3]``.
        photo: ``[H, W, 3]``, weights: ``[H, W]`` of its pixels, foreground: ``[H, W]``.
        shares: ``[3]`` factors of absolute and squared differences of colours, and of absolute
            ones of alpha.
        sums: output ``[H]``: each row's loss.
        by_colours, by_alpha, by_behind: outputs, gradients by the first three.
    """
    height, width, _ = colours.shape
    absolute, squared, silhouette = shares
    for y in prange(height):
        found = 0.0
        for x in range(width):
            weight, clear = weights[y, x], 1 - alpha[y, x]
            pull = alpha.dtype.type(0)
            if weight > 0:
                away = alpha[y, x] - foreground[y, x]
                found += silhouette * weight * abs(away)
                pull = silhouette * weight * _sign(away)
            for c in range(3):
                slope = alpha.dtype.type(0)
                if weight > 0:
                    away = colours[y, x, c] + clear * behind[y, x, c] - photo[y, x, c]
                    found += weight * (absolute * abs(away) + squared * away * away)
                    slope = weight * (absolute * _sign(away) + 2 * squared * away)
                by_colours[y, x, c] = slope
                by_behind[y, x, c] = slope * clear
                pull -= slope * behind[y, x, c]
            by_alpha[y, x] = pull
        sums[y] = found
