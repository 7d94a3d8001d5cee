"""labelsplat: refine face-parsing labels with multi-view 3D Gaussians.

One subpackage a stage, imports pointing one way::

    base, labels -> capture -> parsing -> splats -> refine -> evaluate -> report

``viz`` draws and computes nothing that another stage reads.

Conventions, everywhere inside the library
------------------------------------------
* Cameras: OpenCV axes (x right, y down, z forward), world-to-camera, pixel centres at +0.5.
* World: the head frame where one is known: metres, origin inside the head, the face looks to +z,
  the top of the head is +y, the subject's left is +x.
* Images ``[height, width, 3]`` uint8 sRGB; label maps ``[height, width]`` uint8 indices of a named
  vocabulary, 255 = ignore; soft label maps ``[..., classes]`` that sum to one.
"""

__version__ = "0.1.0"
