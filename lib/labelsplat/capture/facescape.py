"""FaceScape's multi-view folders, read and written.

Layout: ``{root}/{id}/{k_expression}/{view}.jpg`` with a ``params.json`` beside the photos. The flat
``params.json`` holds nine keys a view, ``{view}_K`` and so on; its cameras are world-to-camera with
OpenCV axes in a world of arbitrary rotation, origin and scale. ``Rt_scale_dict.json`` at the root
maps that world to the head frame: ``[id][k] = [s, [R | t]]``, ``X_head = R (s X) + t`` in
millimetres, face towards +z, top +y.

Pixel centres are whole numbers in these files and at +0.5 in this library: 0.5 is added to the
principal point here at the door and taken off again on writing.

Format: github.com/zhuhao-nju/facescape, ``doc/doc_mview_model.md`` and ``toolkit``.
"""

from __future__ import annotations

import os
import re
import shutil
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from labelsplat.base import CaptureError, atomic_dir, write_json
from labelsplat.capture import _fields as fields
from labelsplat.capture._assemble import Similarity, assemble
from labelsplat.capture.cameras import Camera
from labelsplat.capture.checks import nearest_rotation
from labelsplat.capture.views import Capture, View

EXPRESSIONS = (
    "1_neutral", "2_smile", "3_mouth_stretch", "4_anger", "5_jaw_left", "6_jaw_right",
    "7_jaw_forward", "8_mouth_left", "9_mouth_right", "10_dimpler", "11_chin_raiser",
    "12_lip_puckerer", "13_lip_funneler", "14_sadness", "15_lip_roll", "16_grin",
    "17_cheek_blowing", "18_eye_closed", "19_brow_raiser", "20_brow_lower",
)  # fmt: skip
"""FaceScape's twenty expressions; their numbers are the second key of ``Rt_scale_dict.json``."""

KEYS = ("K", "Rt", "distortion", "width", "height", "matches", "valid", "sn", "ori")
"""The nine keys of a view in ``params.json``."""

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None

PARAMETERS, ALIGNMENT = "params.json", "Rt_scale_dict.json"

MILLIMETRES = 1000.0
"""In a metre: ``Rt_scale_dict.json`` counts in them."""

_PHOTO_FOLDERS = ("", "images", "img")


def list_facescape(root: str | Path) -> list[str]:
    """Subjects below ``root`` in natural order, e.g. ``["1/1_neutral", "7/2_smile"]``.

    A subject is a folder ``{id}/{k_expression}`` with a ``params.json``, also where the same
    ``{id}`` folder keeps meshes (``dpmap``, ``models_reg``, ``.ply``) or keeps its photo folders
    under ``images``; or a folder ``{id}`` that has the ``params.json`` itself. Identities and
    expressions may be missing: FaceScape has gaps.
    """
    found = {s for identity in _folders(Path(root)) for s in _subjects(identity)}
    return sorted(found, key=fields.natural)


def tree_of(folder: str | Path) -> tuple[Path, str]:
    """The root of the tree that a folder lies in, and what part of the tree it is.

    Users open one identity or one expression, too; the alignment and the subjects' names are the
    tree's. Its root is where ``Rt_scale_dict.json`` lies, or follows from the folders' names.

    Returns:
        The root, and ``""`` for the root itself, else e.g. ``"7"`` or ``"7/1_neutral"``.
    """
    folder = Path(folder)
    if (folder / ALIGNMENT).is_file() and not (folder / PARAMETERS).is_file():
        return folder, ""
    own = folder.resolve()
    for root in list(own.parents)[:3]:
        first, *others = own.relative_to(root).parts
        part = "/".join([first, *(name for name in others if name not in _PHOTO_FOLDERS)])
        known = (root / ALIGNMENT).is_file() and _subjects(root / first)
        if known and any(f"{subject}/".startswith(f"{part}/") for subject in known):
            return root, part
    outer = own.parent if own.name in _PHOTO_FOLDERS else own
    if (own / PARAMETERS).is_file() and re.match("[0-9]+_", own.name):
        identity = own.parent.parent if own.parent.name in _PHOTO_FOLDERS else own.parent
        return identity.parent, f"{identity.name}/{own.name}"
    expressions = {subject.partition("/")[2] for subject in _subjects(outer)}
    if (own / PARAMETERS).is_file() or (expressions and expressions <= set(EXPRESSIONS)):
        return outer.parent, outer.name
    return folder, ""


def _subjects(identity: Path) -> set[str]:
    """The subjects of one identity's folder."""
    found = set()
    for inner in _PHOTO_FOLDERS:
        folder = identity / inner
        if (folder / PARAMETERS).is_file():
            found.add(identity.name)
        found.update(
            f"{identity.name}/{f.name}"
            for f in _folders(folder)
            if f.name not in _PHOTO_FOLDERS and _parameters(f) is not None
        )
    return found


def read_facescape(
    root: str | Path, subject: str = "1/1_neutral", alignment: str | Path | None = None
) -> Capture:
    """Open one subject of a FaceScape tree.

    Views whose ``valid`` is false are left out: their cameras are not reliable. Where
    ``Rt_scale_dict.json`` knows the subject, the capture's frame is "head" (metres); else it is
    "arbitrary", with origin and scale normalised (:func:`labelsplat.capture.views.normalised`).

    Args:
        root: folder that holds the identities.
        subject: ``"{id}/{k_expression}"`` as :func:`list_facescape` gives it.
        alignment: the ``Rt_scale_dict.json``; the one in ``root`` by default, if there is one.

    Raises:
        CaptureError: a missing or damaged file, or cameras that cannot be right.
    """
    root = Path(root)
    folder = find_folder(root, subject)
    path = _parameters(folder)
    assert path is not None  # find_folder returns only folders that have one
    table = fields.read_object(path)
    names = _view_names(table, path)
    valid = [name for name in names if _is_valid(table, name, path)]
    views = [_view(table, name, folder, path) for name in valid]
    if not views:
        raise CaptureError(f"none of its {len(names)} views is valid", where=path)
    found = Path(alignment) if alignment is not None else root / ALIGNMENT
    to_head = _alignment(found, subject) if alignment is not None or found.is_file() else None
    files = (found,) if found.is_file() else ()
    left = [name for name in names if name not in valid]
    notes = []
    if left:
        notes.append(f"{len(left)} views are marked as not valid, left out: {fields.some(left)}")
    return assemble(subject, views, "facescape", folder, path, to_head, files=files, notes=notes)


def write_facescape(
    root: str | Path,
    subject: str,
    names: Sequence[str],
    images: Iterable[np.ndarray],
    cameras: Sequence[Camera],
    seed: int = 0,
) -> None:
    """Write one subject in FaceScape's layout, in a world of its own, as FaceScape's captures are.

    The cameras come in the head frame. They are written in a world that ``seed`` and ``subject``
    draw at random (rotation, origin, scale), and the way back to the head frame is added to
    ``{root}/Rt_scale_dict.json``. Several processes may write into one root. Same arguments, same
    bytes.

    Args:
        root: folder of the tree.
        subject: ``"{id}/{k_expression}"``; its folder is replaced as a whole.
        names: names of the views, no underscores; FaceScape counts ``"0", "1", ...``.
        images: ``[H, W, 3]`` uint8 sRGB each, taken one at a time; saved as JPEG, quality 98,
            colour at full resolution.
        cameras: one a view, in the head frame (metres), without distortion.
        seed: draws the world.

    Raises:
        ValueError: a malformed subject or name, or images that do not fit the cameras.
    """
    if not re.fullmatch(r"[0-9]+/[0-9]+_[a-z_]+", subject):
        raise ValueError(f"subject {subject!r} is not of the form '7/1_neutral'")
    if len(set(names)) != len(names) or not all(re.fullmatch(r"[A-Za-z0-9-]+", n) for n in names):
        raise ValueError(f"view names must be unique and of letters and digits, not {names}")
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    scale, rotation, translation = _random_world(subject, seed)
    # Photos never lie beside an alignment that is not theirs, whenever this is interrupted: an
    # entry without photos does no harm, photos with a wrong entry or none open in a wrong frame.
    shutil.rmtree(root / subject, ignore_errors=True)
    put_alignment(root, subject, (scale, rotation, translation))
    table: dict[str, object] = {}
    with atomic_dir(root / subject) as folder:
        for name, image, camera in zip(names, images, cameras, strict=True):
            if image.shape != (camera.height, camera.width, 3) or image.dtype != np.uint8:
                raise ValueError(f"view {name}: image {image.shape} {image.dtype} and its camera")
            photo = folder / f"{name}.jpg"
            Image.fromarray(image).save(photo, format="JPEG", quality=98, subsampling=0)
            world = camera.transformed(
                rotation.T, -rotation.T @ translation / scale, MILLIMETRES / scale
            )
            table |= camera_entries(name, world, (0.0,) * 5, True, f"embedded-{name}", photo.name)
        write_json(folder / PARAMETERS, table)


def camera_entries(
    name: str,
    camera: Camera,
    distortion: Sequence[float],
    valid: bool,
    serial: str,
    original: str,
) -> dict[str, object]:
    """The nine entries of one view in ``params.json``; ``camera`` stands in the written world."""
    k = camera.intrinsics.copy()
    k[:2, 2] -= 0.5
    values = (
        k.tolist(),
        camera.view_matrix[:3].tolist(),
        list(distortion),
        camera.width,
        camera.height,
        0,
        valid,
        serial,
        original,
    )
    return {f"{name}_{key}": value for key, value in zip(KEYS, values, strict=True)}


def put_alignment(root: Path, subject: str, to_head: Similarity | None) -> None:
    """Set the entry of ``subject`` in ``{root}/Rt_scale_dict.json``, in millimetres; None drops it.

    Several processes may do so at a time.
    """
    identity, expression = subject.split("/")
    path = root / ALIGNMENT
    with _locked(root):
        table = fields.read_object(path) if path.is_file() else {}
        entries = _entries(table, identity, path)
        entries.pop(expression.partition("_")[0], None)
        if to_head is not None:
            scale, rotation, translation = to_head
            entries[expression.partition("_")[0]] = [
                scale,
                np.column_stack([rotation, translation]).tolist(),
            ]
        elif identity not in table:
            return
        table[identity] = {k: entries[k] for k in sorted(entries, key=fields.natural)}
        write_json(path, {k: table[k] for k in sorted(table, key=fields.natural)})


def _folders(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.is_dir()) if folder.is_dir() else []


def _parameters(folder: Path) -> Path | None:
    """The parameter file of a photo folder: inside it, or beside it under the folder's name."""
    beside = folder.with_name(f"{folder.name}.json")
    return next((p for p in (folder / PARAMETERS, beside) if p.is_file()), None)


def find_folder(root: Path, subject: str) -> Path:
    """The folder of a subject's photos; CaptureError where there is none."""
    identity, _, expression = subject.partition("/")
    for inner in _PHOTO_FOLDERS:
        folder = root / identity / inner / expression
        if identity and folder.is_dir() and _parameters(folder) is not None:
            return folder
    subjects = list_facescape(root)
    raise CaptureError(
        f"no {PARAMETERS} for subject {subject!r}",
        where=root / subject,
        remedy=f"Subjects there: {fields.some(subjects)}"
        if subjects
        else f"{root} holds no FaceScape subject",
    )


def _view_names(table: dict[str, object], path: Path) -> list[str]:
    """Names of the views; a view of which any key exists must be there with all it needs."""
    names = set()
    for key in table:
        name, _, field = key.rpartition("_")
        if name and field in KEYS:
            names.add(name)
    if not names:
        raise CaptureError("no views: no key like '0_K'", where=path)
    return sorted(names, key=fields.natural)


def _is_valid(table: dict[str, object], name: str, path: Path) -> bool:
    value = fields.pick(table, f"{name}_valid", path)
    if value not in (True, False, 0, 1):
        raise CaptureError(f"{name}_valid should be true or false, it is {value!r}", where=path)
    return bool(value)


def _view(table: dict[str, object], name: str, folder: Path, path: Path) -> View:
    def value(key: str) -> object:
        return fields.pick(table, f"{name}_{key}", path)

    k = fields.array(value("K"), ((3, 3), (4, 4)), f"{name}_K", path)[:3, :3]
    rt = fields.array(value("Rt"), ((3, 4), (4, 4)), f"{name}_Rt", path)
    distortion = fields.array(value("distortion"), ((5,), (4,)), f"{name}_distortion", path)
    k[:2, 2] += 0.5
    camera = Camera(
        rotation=nearest_rotation(rt[:3, :3], f"{path}: {name}_Rt"),
        translation=rt[:3, 3],
        intrinsics=k,
        width=fields.positive_integer(value("width"), f"{name}_width", path),
        height=fields.positive_integer(value("height"), f"{name}_height", path),
    )
    photos = (folder / i / f"{name}{end}" for i in _PHOTO_FOLDERS for end in fields.SUFFIXES)
    photo = next((p for p in photos if fields.is_file(p)), folder / f"{name}.jpg")
    coefficients = (*distortion.tolist(), 0.0)[:5]  # k3 may be left out
    return View(name, photo, camera, coefficients if any(coefficients) else None)


def _plain(number: str) -> str:
    return number.lstrip("0") if number.isdecimal() else number


def _entries(table: dict[str, object], identity: str, path: Path) -> dict[str, object]:
    """A copy of what an alignment file says of one identity, by expression; 007 is 7."""
    alike = (key for key in table if key.isdecimal() and _plain(key) == _plain(identity))
    entries = table.get(identity if identity in table else next(alike, identity), {})
    if not isinstance(entries, dict):
        raise CaptureError(f"entry {identity!r} should be an object", where=path)
    return dict(entries)


def _alignment(path: Path, subject: str) -> Similarity | None:
    """The way to the head frame in metres, None where the file does not know the subject."""
    identity, _, expression = subject.partition("/")
    entries = _entries(fields.read_object(path), identity, path)
    if expression:
        entry = entries.get(expression.partition("_")[0])
    else:  # a folder that does not say which expression it shows
        entry = next(iter(entries.values())) if len(entries) == 1 else None
    if entry is None:
        return None
    where = f"{path}: {subject}"
    if not isinstance(entry, list) or len(entry) != 2:
        raise CaptureError("an entry should be [scale, Rt]", where=where)
    scale = fields.number(entry[0], "the scale", where)
    if scale <= 0:
        raise CaptureError(f"the scale should be positive, it is {scale:g}", where=where)
    rt = fields.array(entry[1], ((3, 4), (4, 4)), "Rt", where)
    rotation = nearest_rotation(rt[:3, :3], where)
    return scale / MILLIMETRES, rotation, rt[:3, 3] / MILLIMETRES


def _random_world(subject: str, seed: int) -> Similarity:
    """Scale (mm in one unit), rotation and translation (mm) from a made-up world to the head."""
    rng = np.random.default_rng([seed, zlib.crc32(subject.encode())])
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    # The origin well away from the head: only there a transposed rotation shows.
    direction = rng.normal(size=3)
    translation = rng.uniform(500, 1500) * direction / np.linalg.norm(direction)
    return float(rng.uniform(50, 400)), q * np.linalg.det(q), translation


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold ``folder`` against other processes that add to it, where the system can lock one."""
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
