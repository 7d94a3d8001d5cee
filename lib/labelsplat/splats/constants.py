"""Constants of the renderer: those of gsplat 1.5.3, so that all engines draw the same image."""

# Added to the diagonal of the projected covariance (pixels squared): a Gaussian never gets
# thinner than about a pixel, so thin ones cannot slip between pixel centres.
LOW_PASS = 0.3

# Contributions below this opacity are not drawn, and opacity never reaches 1 (a pixel that is
# fully covered by one Gaussian would send no gradient to those behind it).
MIN_ALPHA = 1.0 / 255.0
MAX_ALPHA = 0.999

# A pixel is finished before the Gaussian that would leave less than this of the light through.
MIN_TRANSMITTANCE = 1e-4

# Depths (along the optical axis, world units) that are drawn.
NEAR = 0.01
FAR = 1e10

# The perspective's derivative is taken no further outside than this share of the half image
# beyond its border: it explodes for Gaussians beside the camera.
BORDER = 0.3
