"""Light on a head, computed once: soft shadows, bounced light, light that spreads in skin."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numba as nb
import numpy as np
import scipy.sparse as sp

from labelsplat.capture.heads import parts
from labelsplat.capture.heads._random import stream
from labelsplat.capture.heads.build import Head
from labelsplat.capture.heads.light import Environment, sample_directions, sample_environment
from labelsplat.capture.heads.mouth import INSIDE_MOUTH
from labelsplat.capture.heads.raster import FAR, rasterise_depth
from labelsplat.capture.heads.shade import Looks, Mesh, Surroundings, Textures
from labelsplat.capture.heads.shape import DECIMETRE
from labelsplat.capture.heads.subdivide import quads_to_triangles, scatter_sum
from labelsplat.capture.heads.template import BODY, HEAD, load_template
from labelsplat.labels import CELEBAMASK

_DIRECTIONS, _MAP_SIZE, _MAP_REACH = 40, 208, 0.24  # number, pixels, metres from the centre
_RAISED, _SHADOW_BIAS, _HAIR_BIAS = 0.0024, 0.0012, 0.010  # metres
_HAIR_CASTERS, _HAIR_PIECE = 70_000, 24  # about as many triangles of hair, kept in such pieces
_SPREAD = (10, 4, 2)  # smoothing steps of red, green, blue light in skin
_BOUNCE = np.array((0.55, 0.36, 0.28)) * 0.38
_MOUTH_FILL = np.array((0.30, 0.20, 0.17))  # light that wet walls throw to and fro in an open mouth


@dataclass(frozen=True, eq=False)
class Scene:
    """A head in its light, ready to be photographed.

    Attributes:
        mesh: all parts in one mesh with baked light.
        looks: materials and labels of the parts.
        textures: skin, labels and eyes.
        surroundings: environment maps and lamps.
        labelled: number of triangles that take part in labels and depth; they come first.
        exposure: factor on radiance of the camera.
    """

    mesh: Mesh
    looks: Looks
    textures: Textures
    surroundings: Surroundings
    labelled: int
    exposure: float


@nb.njit(cache=True, nogil=True)
def _to_map(vertices, axes, scale, offset):
    """Orthographic view along a light: ``[N, 3]`` x, y in map pixels, z in metres away from it."""
    out = np.empty((len(vertices), 3), np.float32)
    for i in range(len(vertices)):
        x, y, z = vertices[i, 0], vertices[i, 1], vertices[i, 2]
        out[i, 0] = (axes[0, 0] * x + axes[0, 1] * y + axes[0, 2] * z) * scale + offset
        out[i, 1] = (axes[1, 0] * x + axes[1, 1] * y + axes[1, 2] * z) * scale + offset
        out[i, 2] = axes[2, 0] * x + axes[2, 1] * y + axes[2, 2] * z
    return out


@nb.njit(cache=True, nogil=True)
def _lit(points, i, depth, bias):
    """Share of the four shadow-map pixels around vertex i that see the light."""
    size = len(depth)
    x, y = points[i, 0] - np.float32(0.5), points[i, 1] - np.float32(0.5)
    left, top = int(np.floor(x)), int(np.floor(y))
    if left < 0 or top < 0 or left >= size - 1 or top >= size - 1:
        return np.float32(1)
    fx, fy = x - left, y - top
    z = points[i, 2] - bias
    share = np.float32(0)
    if depth[top, left] > z:
        share += (1 - fx) * (1 - fy)
    if depth[top, left + 1] > z:
        share += fx * (1 - fy)
    if depth[top + 1, left] > z:
        share += (1 - fx) * fy
    if depth[top + 1, left + 1] > z:
        share += fx * fy
    return share


@nb.njit(cache=True, nogil=True)
def _gather(points, raised, normals, depth, first_hair, towards, light, irradiance, light_vector):
    """Add one direction's light to all vertices; those from ``first_hair`` on are hair.

    Skin looks its shadow up from a little above itself (``raised``, a map pixel along the normal):
    a bias in depth that is large enough for grazing light would let hair, nose and lids cast none.
    """
    mean = (light[0] + light[1] + light[2]) / 3
    lit = np.float32(0)
    for i in range(len(points)):
        cosine = (
            normals[i, 0] * towards[0] + normals[i, 1] * towards[1] + normals[i, 2] * towards[2]
        )
        above = max(cosine, np.float32(0))
        if i >= first_hair:
            # The two edges of a ribbon lie within a hair's breadth: they share one look-up.
            if (i - first_hair) % 2 == 0:
                lit = np.float32(0.25) + np.float32(0.75) * _lit(
                    points, i, depth, np.float32(_HAIR_BIAS)
                )
            weight, share = np.float32(0.25) + np.float32(0.5) * above, lit
        else:
            weight = above
            share = np.float32(0)
            if cosine > np.float32(-0.3):
                share = _lit(raised, i, depth, np.float32(_SHADOW_BIAS))
        for k in range(3):
            irradiance[i, k] += share * weight * light[k]
            if cosine > np.float32(-0.3):
                light_vector[i, k] += share * mean * towards[k]


def _merge(head: Head) -> tuple[dict, dict[str, slice], int]:
    """All parts in one set of arrays, hair last; each part's vertices; the first hair vertex."""
    ordered = sorted(head.parts.items(), key=lambda item: item[1].material == parts.HAIR)
    spans, start, hair_start = {}, 0, None
    triangles, owners = [], []
    for number, (name, part) in enumerate(ordered):
        if part.material == parts.HAIR and hair_start is None:
            hair_start = start
        spans[name] = slice(start, start + len(part.vertices))
        triangles.append(part.triangles + start)
        owners.append(np.full(len(part.triangles), number))
        start = spans[name].stop
    all_parts = [part for _, part in ordered]

    def join(rows) -> np.ndarray:
        return np.concatenate(list(rows)).astype(np.float32)

    arrays = {
        "vertices": join(p.vertices for p in all_parts),
        "normals": join(p.normals for p in all_parts),
        "colour": join(np.broadcast_to(p.colour, p.vertices.shape) for p in all_parts),
        "tangent": join(
            np.zeros_like(p.vertices) if p.tangents is None else p.tangents for p in all_parts
        ),
        "uv": join(np.zeros((len(p.vertices), 2)) if p.uv is None else p.uv for p in all_parts),
        "triangles": np.concatenate(triangles).astype(np.int32),
        "part_of": np.concatenate(owners).astype(np.int32),
    }
    looks = Looks(
        material=np.array([p.material for p in all_parts], np.int32),
        label=np.array([p.label for p in all_parts], np.int32),
        pattern=np.array([p.pattern for p in all_parts], np.int32),
        roughness=np.array([p.roughness for p in all_parts], np.float32),
        specular=np.array([p.specular for p in all_parts], np.float32),
    )
    return arrays | {"looks": looks}, spans, start if hair_start is None else hair_start


def _shadow_casters(arrays: dict, first_hair: int) -> np.ndarray:
    """Triangles drawn into shadow maps: a part of the hair is enough."""
    triangles = arrays["triangles"]
    is_hair = triangles[:, 0] >= first_hair
    piece = np.cumsum(is_hair) // _HAIR_PIECE
    every = max(2, int(is_hair.sum()) // _HAIR_CASTERS)
    return np.ascontiguousarray(triangles[~is_hair | (piece % every == 0)])


def _collect_light(arrays: dict, first_hair: int, environment: Environment, rng):
    """Irradiance over pi and light vector of every vertex, without bounces."""
    vertices, normals = arrays["vertices"], arrays["normals"]
    casters = _shadow_casters(arrays, first_hair)
    above = vertices[:first_hair] + np.float32(_RAISED) * normals[:first_hair]
    irradiance, light_vector = np.zeros_like(vertices), np.zeros_like(vertices)
    for towards, light in zip(*sample_directions(environment, _DIRECTIONS, rng), strict=True):
        up = (0, 1.0, 0) if abs(towards[1]) < 0.95 else (1.0, 0, 0)
        right = np.cross(up, towards)
        right /= np.linalg.norm(right)
        axes = np.stack([right, np.cross(towards, right), -towards]).astype(np.float32)
        scale, offset = np.float32(_MAP_SIZE / (2 * _MAP_REACH)), np.float32(_MAP_SIZE / 2)
        points, raised = (_to_map(v, axes, scale, offset) for v in (vertices, above))
        depth = np.full((_MAP_SIZE, _MAP_SIZE), FAR, np.float32)
        rasterise_depth(points, casters, depth)
        _gather(
            points, raised, normals, depth, first_hair, towards.astype(np.float32),
            light.astype(np.float32), irradiance, light_vector,
        )  # fmt: skip
    return irradiance / np.float32(np.pi), light_vector / np.float32(np.pi)


@lru_cache(maxsize=1)
def _skin_mean() -> sp.csr_matrix:
    """``[V, V]`` means over a skin vertex and its neighbours: one topology for all heads."""
    template = load_template()
    n, tri = len(template.canonical), quads_to_triangles(template.quads_of(HEAD, BODY))
    ends = np.concatenate([tri[:, [0, 1]], tri[:, [1, 2]], tri[:, [2, 0]]])
    graph = sp.coo_matrix((np.ones(len(ends)), ends.T), (n, n)).tocsr()
    graph = graph + graph.T
    graph.data[:] = 1
    graph = graph + 2 * sp.identity(n)
    return (sp.diags(1 / np.asarray(graph.sum(1)).ravel()) @ graph).tocsr()


def _spread_in_skin(head: Head, spans: dict[str, slice], irradiance: np.ndarray) -> None:
    """Blur the light over the welded skin, red farthest, in place of subsurface scattering."""
    mean = _skin_mean()
    fine = np.zeros((mean.shape[0], 3))
    for name in ("head", "body"):
        fine[head.parts[name].fine] = irradiance[spans[name]]
    for channel, steps in enumerate(_SPREAD):
        for _ in range(steps):
            fine[:, channel] = mean @ fine[:, channel]
    for name in ("head", "body"):
        irradiance[spans[name]] = fine[head.parts[name].fine]


def _texture_gradients(head: Head) -> tuple[np.ndarray, np.ndarray]:
    """World gradients of u and v at the head's vertices, ``[N_s, 3]`` each, 1 / metres."""
    part = head.parts["head"]
    corners, uv = part.vertices[part.triangles], part.uv[part.triangles]
    e1, e2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    u1, u2 = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    area = u1[:, 0] * u2[:, 1] - u1[:, 1] * u2[:, 0]
    area = np.where(np.abs(area) < 1e-12, 1e-12, area)[:, None]
    du = (e1 * u2[:, 1:] - e2 * u1[:, 1:]) / area
    dv = (e2 * u1[:, :1] - e1 * u2[:, :1]) / area
    out = []
    for per_face in (du, dv):
        count = np.bincount(part.triangles.ravel(), minlength=len(part.vertices))[:, None]
        mean = scatter_sum(part.triangles.ravel(), np.repeat(per_face, 3, 0), len(part.vertices))
        mean /= np.maximum(count, 1)
        out.append((mean / np.maximum((mean**2).sum(1, keepdims=True), 1e-10)).astype(np.float32))
    return out[0], out[1]


def _skin_texture(head: Head) -> np.ndarray:
    """RGB, roughness and the relief's slopes against u and v, ``[H, W, 6]`` float32."""
    textures = head.textures
    rows, columns = textures.bump.shape
    down, right = np.gradient(textures.bump * DECIMETRE)
    layers = (textures.albedo, textures.roughness[..., None], (right * columns)[..., None],
              (-down * rows)[..., None])  # fmt: skip
    return np.ascontiguousarray(np.concatenate(layers, -1), np.float32)


def _exposure(head: Head, irradiance: np.ndarray, normals: np.ndarray) -> float:
    """Exposure that shows this face, lit like this, about as bright as its skin is."""
    textures = head.textures
    skin = textures.albedo[textures.label == CELEBAMASK.index("skin")]
    albedo = np.median(skin, axis=0)
    shown = np.median((irradiance[normals[:, 2] > 0.3] * albedo).mean(1))
    return float(np.clip((0.15 + 0.30 * albedo.mean()) / max(shown, 1e-4), 0.3, 6.0))


def bake(head: Head, seed: int) -> Scene:
    """Light a head with the environment of ``seed``; equal input gives equal bytes."""
    environment = sample_environment(seed, head.identity.nuisances.level)
    arrays, spans, first_hair = _merge(head)
    looks = arrays.pop("looks")
    rng = stream(seed, "light directions")
    irradiance, light_vector = _collect_light(arrays, first_hair, environment, rng)

    # One bounce between the parts, tinted by skin, fills the shadows.
    average = irradiance[spans["head"]].mean(0)
    openness = np.clip(irradiance.mean(1) / max(float(average.mean()), 1e-6), 0, 1)
    fill = (1 - 0.75 * openness) * (0.35 + 0.65 * openness)
    irradiance += (average * _BOUNCE).astype(np.float32) * fill[:, None]
    for name in INSIDE_MOUTH:
        irradiance[spans[name]] += (average * _MOUTH_FILL).astype(np.float32)
    _spread_in_skin(head, spans, irradiance)

    colour_only = looks.label[arrays["part_of"]] == parts.UNLABELLED
    order = np.argsort(colour_only, kind="stable")
    arrays["triangles"] = np.ascontiguousarray(arrays["triangles"][order])
    arrays["part_of"] = arrays["part_of"][order]
    along_u, along_v = _texture_gradients(head)
    head_span = spans["head"]
    exposure = _exposure(head, irradiance[head_span], arrays["normals"][head_span])
    # The room is as bright as it pleases: only the face is what the camera exposes for.
    background = environment.background * np.float32(environment.background_level / exposure)
    return Scene(
        mesh=Mesh(
            **arrays, irradiance=irradiance, light_vector=light_vector, openness=openness,
            along_u=along_u, along_v=along_v,
        ),
        looks=looks,
        textures=Textures(_skin_texture(head), head.textures.label, head.eye_texture),
        surroundings=Surroundings(
            environment.rough, environment.glossy, environment.sharp, background,
            environment.lamp_direction, environment.lamp_power,
        ),
        labelled=int((~colour_only).sum()),
        exposure=exposure,
    )  # fmt: skip
