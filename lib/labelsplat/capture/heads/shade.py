"""Numba kernels for colour: skin, cloth, hair and eyes under baked light."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from labelsplat.capture.heads.parts import EYE, HAIR, MATTE, PLAIN, SKIN, STRIPES


class Mesh(NamedTuple):
    """All parts of a scene in one mesh, float32. The head's N_s vertices come first.

    Attributes:
        vertices, normals, colour, tangent: ``[N, 3]``; tangents of hair; of patterned cloth
            the second colour.
        uv: ``[N, 2]``; of patterned cloth its canonical (x, y).
        triangles: ``[T, 3]`` int32; labelled ones first.
        part_of: ``[T]`` int32.
        irradiance: ``[N, 3]`` light that falls on the vertex, over pi.
        light_vector: ``[N, 3]`` mean direction of that light times its amount, for the relief.
        openness: ``[N]`` 0..1, how little is in the way of the light.
        along_u, along_v: ``[N_s, 3]`` gradients of the texture coordinates on the head.
    """

    vertices: np.ndarray
    normals: np.ndarray
    colour: np.ndarray
    tangent: np.ndarray
    uv: np.ndarray
    triangles: np.ndarray
    part_of: np.ndarray
    irradiance: np.ndarray
    light_vector: np.ndarray
    openness: np.ndarray
    along_u: np.ndarray
    along_v: np.ndarray


class Looks(NamedTuple):
    """Per part: material, label and pattern (int32), roughness and specular (float32)."""

    material: np.ndarray
    label: np.ndarray
    pattern: np.ndarray
    roughness: np.ndarray
    specular: np.ndarray


class Textures(NamedTuple):
    """Images: skin ``[H, W, 6]`` (RGB, roughness, relief's slopes), label, eye."""

    skin: np.ndarray
    label: np.ndarray
    eye: np.ndarray


class Surroundings(NamedTuple):
    """Environment maps and lamps, see light.Environment."""

    rough: np.ndarray
    glossy: np.ndarray
    sharp: np.ndarray
    background: np.ndarray
    lamp_direction: np.ndarray
    lamp_power: np.ndarray


@nb.njit(cache=True, nogil=True, inline="always")
def _mix(values, corner, weight):
    """Interpolate ``values [N, 3]`` on a triangle."""
    i, j, k = corner
    a, b, c = weight
    return (
        a * values[i, 0] + b * values[j, 0] + c * values[k, 0],
        a * values[i, 1] + b * values[j, 1] + c * values[k, 1],
        a * values[i, 2] + b * values[j, 2] + c * values[k, 2],
    )


@nb.njit(cache=True, nogil=True, inline="always")
def _dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@nb.njit(cache=True, nogil=True, inline="always")
def _unit(v):
    scale = 1 / max(1e-9, np.sqrt(_dot(v, v)))
    return (v[0] * scale, v[1] * scale, v[2] * scale)


@nb.njit(cache=True, nogil=True)
def _radiance(image, direction):
    """Bilinear look-up of an environment map."""
    rows, columns = image.shape[0], image.shape[1]
    theta = np.arccos(min(1.0, max(-1.0, direction[1])))
    phi = np.arctan2(direction[0], direction[2]) + np.pi
    x, y = phi / (2 * np.pi) * columns - 0.5, theta / np.pi * rows - 0.5
    left, top = int(np.floor(x)), int(np.floor(y))
    fx, fy = x - left, y - top
    y0, y1 = min(rows - 1, max(0, top)), min(rows - 1, max(0, top + 1))
    x0, x1 = left % columns, (left + 1) % columns
    w00, w01, w10, w11 = (1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy
    a, b, c, d = image[y0, x0], image[y0, x1], image[y1, x0], image[y1, x1]
    return (
        w00 * a[0] + w01 * b[0] + w10 * c[0] + w11 * d[0],
        w00 * a[1] + w01 * b[1] + w10 * c[1] + w11 * d[1],
        w00 * a[2] + w01 * b[2] + w10 * c[2] + w11 * d[2],
    )


@nb.njit(cache=True, nogil=True)
def _texel(image, u, v):
    """Bilinear look-up of the six channels of the skin's texture, v upwards."""
    rows, columns = image.shape[0], image.shape[1]
    x, y = u * columns - 0.5, (1 - v) * rows - 0.5
    left, top = int(np.floor(x)), int(np.floor(y))
    fx, fy = np.float32(x - left), np.float32(y - top)
    x0, x1 = min(columns - 1, max(0, left)), min(columns - 1, max(0, left + 1))
    y0, y1 = min(rows - 1, max(0, top)), min(rows - 1, max(0, top + 1))
    w00, w01, w10, w11 = (1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy
    a, b, c, d = image[y0, x0], image[y0, x1], image[y1, x0], image[y1, x1]
    return (
        w00 * a[0] + w01 * b[0] + w10 * c[0] + w11 * d[0],
        w00 * a[1] + w01 * b[1] + w10 * c[1] + w11 * d[1],
        w00 * a[2] + w01 * b[2] + w10 * c[2] + w11 * d[2],
        w00 * a[3] + w01 * b[3] + w10 * c[3] + w11 * d[3],
        w00 * a[4] + w01 * b[4] + w10 * c[4] + w11 * d[4],
        w00 * a[5] + w01 * b[5] + w10 * c[5] + w11 * d[5],
    )


@nb.njit(cache=True, nogil=True)
def _power(x, n):
    """x to a whole power by squaring: much cheaper than a logarithm and an exponential."""
    out = 1.0
    while n:
        if n & 1:
            out *= x
        x *= x
        n >>= 1
    return out


@nb.njit(cache=True, nogil=True)
def _hair(mesh, around, corner, weight, normal, light, openness, view):
    """Hair by Kajiya & Kay 1989: a white and a tinted, shifted highlight along the strand."""
    albedo = _mix(mesh.colour, corner, weight)
    tangent = _unit(_mix(mesh.tangent, corner, weight))
    r, g, b = 1.5 * albedo[0] * light[0], 1.5 * albedo[1] * light[1], 1.5 * albedo[2] * light[2]
    strength = 0.55 * min(1.0, openness)
    tint = (albedo[0] ** 0.6, albedo[1] ** 0.6, albedo[2] ** 0.6)
    for n in range(len(around.lamp_direction)):
        lamp = around.lamp_direction[n]
        towards = (lamp[0], lamp[1], lamp[2])
        half = _unit((towards[0] - view[0], towards[1] - view[1], towards[2] - view[2]))
        along = _dot(tangent, half)
        white = 0.055 * _power(max(0.0, 1 - along * along), 15)
        shifted = along + 0.12
        tinted = max(0.0, 1 - shifted * shifted)
        tinted = 0.16 * np.sqrt(tinted) * _power(tinted, 4)
        facing = strength * (0.8 * max(0.0, _dot(normal, towards)) + 0.2)
        power = around.lamp_power[n]
        r += power[0] * facing * (white + tinted * tint[0])
        g += power[1] * facing * (white + tinted * tint[1])
        b += power[2] * facing * (white + tinted * tint[2])
    return (r, g, b)


@nb.njit(cache=True, nogil=True)
def _woven(pattern, x, y):
    """Share of the second colour of a cloth at canonical (x, y), dm."""
    if pattern == STRIPES:
        t = min(1.0, max(0.0, (np.sin(2 * np.pi * y / 0.5) + 0.05) / 0.3))
        return t * t * (3 - 2 * t)
    share = 0.35 if np.sin(2 * np.pi * y / 0.6) > 0 else 0.0
    return share + (0.35 if np.sin(2 * np.pi * x / 0.6) > 0 else 0.0)


@nb.njit(cache=True, nogil=True)
def _surface(mesh, looks, textures, around, triangle, weight, view):
    """Linear RGB of one sample. ``view`` is the unit vector from the camera."""
    part = mesh.part_of[triangle]
    material = looks.material[part]
    corner = (
        mesh.triangles[triangle, 0], mesh.triangles[triangle, 1], mesh.triangles[triangle, 2]
    )  # fmt: skip
    i, j, k = corner
    a, b, c = weight
    normal = _unit(_mix(mesh.normals, corner, weight))
    light = _mix(mesh.irradiance, corner, weight)
    openness = a * mesh.openness[i] + b * mesh.openness[j] + c * mesh.openness[k]
    if material == HAIR:
        return _hair(mesh, around, corner, weight, normal, light, openness, view)

    roughness, specular = np.float64(looks.roughness[part]), np.float64(looks.specular[part])
    u = a * mesh.uv[i, 0] + b * mesh.uv[j, 0] + c * mesh.uv[k, 0]
    v = a * mesh.uv[i, 1] + b * mesh.uv[j, 1] + c * mesh.uv[k, 1]
    if material == SKIN:
        red, green, blue, rough, slope_u, slope_v = _texel(textures.skin, u, v)
        albedo, roughness = (red, green, blue), np.float64(rough)
        along_u = _mix(mesh.along_u, corner, weight)
        along_v = _mix(mesh.along_v, corner, weight)
        rough_normal = _unit((
            normal[0] - slope_u * along_u[0] - slope_v * along_v[0],
            normal[1] - slope_u * along_u[1] - slope_v * along_v[1],
            normal[2] - slope_u * along_u[2] - slope_v * along_v[2],
        ))  # fmt: skip
        turned = (
            rough_normal[0] - normal[0], rough_normal[1] - normal[1], rough_normal[2] - normal[2]
        )  # fmt: skip
        gain = _dot(_mix(mesh.light_vector, corner, weight), turned)
        gain = 1 + 0.8 * gain / ((light[0] + light[1] + light[2]) / 3 + 1e-6)
        gain = max(0.5, min(1.6, gain))
        light = (light[0] * gain, light[1] * gain, light[2] * gain)
        normal = rough_normal
    elif material == EYE:
        rows, columns = textures.eye.shape[0], textures.eye.shape[1]
        texel = textures.eye[
            min(rows - 1, max(0, int(v * rows))), min(columns - 1, max(0, int(u * columns)))
        ]
        tint = _mix(mesh.colour, corner, weight)
        albedo = (texel[0] * tint[0], texel[1] * tint[1], texel[2] * tint[2])
    else:
        albedo = _mix(mesh.colour, corner, weight)
        if looks.pattern[part] != PLAIN:
            other, share = _mix(mesh.tangent, corner, weight), _woven(looks.pattern[part], u, v)
            albedo = (
                albedo[0] + share * (other[0] - albedo[0]),
                albedo[1] + share * (other[1] - albedo[1]),
                albedo[2] + share * (other[2] - albedo[2]),
            )

    facing = -_dot(normal, view)
    if facing < 0 and material == MATTE:  # the inside of a sheet
        normal = (-normal[0], -normal[1], -normal[2])
        facing = -facing
        light = (0.5 * light[0], 0.5 * light[1], 0.5 * light[2])
    facing = max(0.02, facing)
    mirrored = (
        view[0] + 2 * facing * normal[0],
        view[1] + 2 * facing * normal[1],
        view[2] + 2 * facing * normal[2],
    )
    if material == EYE:
        glint = _radiance(around.sharp, mirrored)
    else:
        glint = _radiance(around.rough, mirrored)
        gloss = min(1.0, 4 * (0.47 - roughness))
        if gloss > 0:
            sharper = _radiance(around.glossy, mirrored)
            glint = (
                glint[0] + gloss * (sharper[0] - glint[0]),
                glint[1] + gloss * (sharper[1] - glint[1]),
                glint[2] + gloss * (sharper[2] - glint[2]),
            )
    fresnel = 0.04 + 0.96 * (1 - facing) ** 5 * (1 - roughness) ** 2
    shine = specular * fresnel * min(1.0, 1.2 * openness * openness)
    # Seen from under chin and nose, the bust itself hides the room's light.
    shine *= min(1.0, max(0.25, 0.85 + mirrored[1]))
    return (
        albedo[0] * light[0] + shine * glint[0],
        albedo[1] * light[1] + shine * glint[1],
        albedo[2] * light[2] + shine * glint[2],
    )


@nb.njit(cache=True, nogil=True)
def _curve(x, exposure):
    """A film-like shoulder: bright light is compressed instead of cut."""
    x = x * exposure
    return min(1.0, 1.05 * x / (1 + 0.16 * x))


@nb.njit(cache=True, nogil=True)
def shade(mesh, looks, textures, around, triangle_of, weights, rays, supersample, exposure):
    """Colour of every pixel: the mean over its samples.

    Args:
        mesh, looks, textures, around: the scene.
        triangle_of, weights: samples from raster.rasterise.
        rays: ``[3, 3]`` maps sample coordinates (x, y, 1) to world directions.
        supersample: samples along each side of a pixel.
        exposure: factor on radiance.

    Returns:
        ``[h, w, 3]`` float32 in 0..1, linear.
    """
    height, width = triangle_of.shape[0] // supersample, triangle_of.shape[1] // supersample
    out = np.zeros((height, width, 3), np.float32)
    share = 1.0 / (supersample * supersample)
    # Two by two samples of one triangle are as good as alike: one stands for the four.
    step = 2 if supersample % 2 == 0 else 1
    for row in range(height):
        for column in range(width):
            empty = 0
            r = g = b = 0.0
            for y in range(row * supersample, (row + 1) * supersample, step):
                for x in range(column * supersample, (column + 1) * supersample, step):
                    t = triangle_of[y, x]
                    if (
                        step == 2
                        and t == triangle_of[y, x + 1]
                        and t == triangle_of[y + 1, x]
                        and t == triangle_of[y + 1, x + 1]
                    ):
                        if t < 0:
                            empty += 4
                            continue
                        view = _direction(rays, x + 1.0, y + 1.0)
                        first = 0.5 * (weights[y, x, 0] + weights[y + 1, x + 1, 0])
                        second = 0.5 * (weights[y, x, 1] + weights[y + 1, x + 1, 1])
                        weight = (first, second, 1 - first - second)
                        rgb = _surface(mesh, looks, textures, around, t, weight, view)
                        r += 4 * _curve(rgb[0], exposure)
                        g += 4 * _curve(rgb[1], exposure)
                        b += 4 * _curve(rgb[2], exposure)
                        continue
                    for j in range(y, y + step):
                        for i in range(x, x + step):
                            t = triangle_of[j, i]
                            if t < 0:
                                empty += 1
                                continue
                            view = _direction(rays, i + 0.5, j + 0.5)
                            first, second = 1.0 * weights[j, i, 0], 1.0 * weights[j, i, 1]
                            weight = (first, second, 1 - first - second)
                            rgb = _surface(mesh, looks, textures, around, t, weight, view)
                            r += _curve(rgb[0], exposure)
                            g += _curve(rgb[1], exposure)
                            b += _curve(rgb[2], exposure)
            if empty:  # the room is blurry: one look-up a pixel is enough
                view = _direction(rays, (column + 0.5) * supersample, (row + 0.5) * supersample)
                rgb = _radiance(around.background, view)
                r += empty * _curve(rgb[0], exposure)
                g += empty * _curve(rgb[1], exposure)
                b += empty * _curve(rgb[2], exposure)
            out[row, column, 0] = r * share
            out[row, column, 1] = g * share
            out[row, column, 2] = b * share
    return out


@nb.njit(cache=True, nogil=True, inline="always")
def _direction(rays, x, y):
    return _unit((
        rays[0, 0] * x + rays[0, 1] * y + rays[0, 2],
        rays[1, 0] * x + rays[1, 1] * y + rays[1, 2],
        rays[2, 0] * x + rays[2, 1] * y + rays[2, 2],
    ))  # fmt: skip
