"""``make refine``: refined labels of a user's own photos, in a folder with one page to look at.

The photos' labels are predicted by the trained parser, lifted to Gaussians that are fitted to the
photos' colours, and rendered back to every photo. No truth is known here, so nothing is scored: the
page says what was done and what it cannot show.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from labelsplat import __version__
from labelsplat.base import LabelsplatError, atomic_dir, read_json, write_json
from labelsplat.base.layout import Layout
from labelsplat.capture import (
    LOOSE,
    Capture,
    Prepared,
    common_focus,
    crop_to_head,
    frame_facts,
    head_sphere,
    identity_frame,
    looseness,
    open_capture,
    prepare,
    read_frame,
    restore_crop,
)
from labelsplat.labels import IGNORE, Vocabulary, write_label_map, write_vocabulary
from labelsplat.parsing import (
    Labeller,
    choose_frame,
    frame_of,
    own_settings,
    parser_labeller,
    with_facts,
)
from labelsplat.parsing.frames import MODES
from labelsplat.refine import (
    RefineSettings,
    decide,
    ear_factors,
    lift_subject,
    render_posteriors,
)
from labelsplat.report.params import load_params
from labelsplat.report.photo_masks import as_taken, write_grey
from labelsplat.splats import (
    FitSettings,
    draw_views,
    fit_gaussians,
    labels_of_fit,
    points_of_fit,
    write_gaussians,
    write_label_sidecar,
    write_ply,
)

if TYPE_CHECKING:
    from labelsplat.splats import Fit, Gaussians

PHOTOS_OF_A_FIT = 11
"""Photos of a head that ``fit.iterations`` is meant for; more photos get as many steps each."""

VIEWS = 24
"""Photos at most that are fitted and vote, evenly spaced in the capture's order."""

MARK = "refine.json"
"""Written into every output folder; a folder without it is never replaced."""

_CHUNK = 16  # photos rendered at a time: their posteriors are large


@dataclass(frozen=True, eq=False)
class RefinedPhotos:
    """A capture after refinement, at working size.

    Attributes:
        capture: every photo, P of them.
        photos: the same at working size.
        chosen: ``[V]`` indices of the photos that were fitted and voted.
        raw: ``[V, H, W]`` uint8, the parser's labels of those.
        labels: ``[P, H, W]`` uint8, refined labels of every photo.
        confidence: ``[P, H, W]`` 0..1.
        drawn: ``[V, H, W, 3]`` uint8, the fitted Gaussians over their backgrounds.
        gaussians: with label logits.
        psnr: of the fit on the photos that it saw, dB.
        vocabulary: meaning of the labels.
        parser: file of the parser, or folder of the masks.
        trained_here: whether that is this project's own parser.
        frame: facts of the head frame, see :func:`labelsplat.parsing.choose_frame`.
        loose: how many times wider than a head's crop the photos were framed; None where they were
            not cropped.
    """

    capture: Capture
    photos: Prepared
    chosen: np.ndarray
    raw: np.ndarray
    labels: np.ndarray
    confidence: np.ndarray
    drawn: np.ndarray
    gaussians: Gaussians
    psnr: float
    vocabulary: Vocabulary
    parser: Path
    trained_here: bool
    frame: dict
    loose: float | None

    @property
    def span(self) -> float:
        """Widest angle between two cameras that voted, in degrees, seen from what they look at."""
        cameras = [self.photos.cameras[i] for i in self.chosen]
        rays = np.array([camera.centre for camera in cameras]) - common_focus(cameras)
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        return float(np.degrees(np.arccos(np.clip(rays @ rays.T, -1, 1).min())))

    @property
    def yaws(self) -> tuple[float, float] | None:
        """Smallest and largest yaw of the photos that voted; None without a head frame."""
        if self.photos.angles is None:
            return None
        yaws = self.photos.angles[self.chosen, 0]
        return float(yaws.min()), float(yaws.max())

    @property
    def relabelled(self) -> float:
        """Share of the pixels of the photos that voted whose label refinement changed."""
        valid = self.photos.valid[self.chosen]
        return float((self.labels[self.chosen] != self.raw)[valid].mean())


def refine_capture(
    capture: str | Path,
    out: str | Path,
    parser: str | Path | Labeller | None = None,
    *,
    size: int | None = None,
    views: int = VIEWS,
    params: dict | None = None,
    head_frame: str | Path | None = None,
    crop: bool = True,
) -> Path:
    """Refine the labels of one capture and write them, its Gaussians and a page to a folder.

    ``out`` then holds ``index.html``, ``masks/`` and ``confidence/`` (one PNG a photo, of the
    photo's own size and distortion), ``labels.json``, ``overlays.png``, ``gaussians.ply``,
    ``gaussians_labels.ply`` and ``.npz``, ``gaussians.safetensors`` and ``refine.json``.

    Args:
        capture: folder of photos and cameras in any layout that
            :func:`labelsplat.capture.open_capture` knows.
        out: folder to write; replaced as a whole if an earlier call made it.
        parser: a file that :func:`labelsplat.parsing.load_parser` opens, or another labeller, e.g.
            masks from elsewhere; by default the project's own, see :func:`default_parser`.
        size: working size in pixels; by default ``capture.size`` of ``params``.
        views: photos at most that are fitted and vote; masks are written for all.
        params: content of params.yaml; by default that of the project.
        head_frame, crop: as for :func:`refine_photos`; the former by default as in ``params``.

    Returns:
        path of the page.

    Raises:
        CaptureError: photos or cameras that cannot be used.
        LabelsplatError: no parser, a broken one, no person found, or ``out`` holds something else.
    """
    from labelsplat.report.refine_html import refine_html, write_sheet

    out = Path(out)
    require_own(out)
    layout = Layout.find()
    params = params or load_params(layout.root / "params.yaml")
    photos = open_capture(capture)
    if not isinstance(parser, Labeller):
        settings = {"flip": params["predict"]["flip"], "device": params["device"]}
        file = default_parser(layout, params) if parser is None else parser
        if parser is None:  # the project's own predicts as the line lets it
            settings |= own_settings(file, params["predict"])
        labeller = parser_labeller(file, **settings)
    else:
        labeller = parser
    done = refine_photos(
        photos,
        labeller,
        fit=FitSettings(**params["fit"]),
        refine=RefineSettings(**params["refine"]),
        size=size or params["capture"]["size"],
        views=views,
        seed=params["seed"],
        device=params["device"],
        trained_here=parser is None,
        head_frame=head_frame or params["predict"]["head_frame"],
        crop=crop,
    )
    with atomic_dir(out) as folder:
        write_folder(folder, done)
        write_sheet(folder / "overlays.png", done)
        (folder / "index.html").write_text(refine_html(done), encoding="utf-8")
    return out / "index.html"


def require_own(out: Path, mark: str = MARK, command: str = "refine") -> None:
    """Raise LabelsplatError if ``out`` is anything but free, empty or an earlier call's output.

    Args:
        out: the folder.
        mark: name of the JSON file that ``command`` leaves in its folders.
        command: who asks.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise LabelsplatError("this is a file", where=out, remedy="Name a new folder: OUT=…")
    if any(out.iterdir()) and not _is_own(out / mark):
        raise LabelsplatError(
            f"the folder holds something that {command} did not write, so it is left alone",
            where=out,
            remedy="Name a new folder: OUT=…",
        )


def _is_own(mark: Path) -> bool:
    try:
        found = read_json(mark)
    except LabelsplatError:
        return False
    return isinstance(found, dict) and "labelsplat" in found


def default_parser(layout: Layout, params: dict) -> Path:
    """The parser refined in the last round, else the baseline.

    Raises:
        LabelsplatError: neither has been trained yet.
    """
    rounds = reversed(list(params["rounds"]))
    candidates = [*(layout.model(name, "refined") for name in rounds), layout.baseline]
    for path in candidates:
        if path.is_file():
            return path
    raise LabelsplatError(
        "no parser has been trained yet",
        where=layout.relative(layout.baseline),
        remedy="Run `make repro` first, or name a checkpoint of your own: PARSER=…",
    )


def refine_photos(
    capture: Capture,
    labeller: Labeller,
    *,
    fit: FitSettings,
    refine: RefineSettings,
    size: int,
    views: int = VIEWS,
    seed: int = 0,
    device: str = "auto",
    trained_here: bool = False,
    head_frame: str | Path = "auto",
    crop: bool = True,
) -> RefinedPhotos:
    """Predict, fit, lift, render: see :class:`RefinedPhotos` for what comes back.

    Args:
        capture: the photos.
        labeller: who labels them.
        fit: of the Gaussians; its iterations are scaled from 11 photos to as many as vote.
        refine: of the labels; a single round.
        size: working size in pixels.
        views: photos at most that are fitted and vote.
        seed: of the fit.
        device: "auto", "cpu" or "cuda".
        trained_here: what :attr:`RefinedPhotos.trained_here` is to say.
        head_frame: one of :data:`labelsplat.parsing.frames.MODES`, or a file that gives the frame.
        crop: whether loosely framed photos are cropped to the head where that is known.
    """
    photos = prepare(capture, size)
    loose = None

    def look() -> tuple[np.ndarray, Prepared, np.ndarray, dict]:
        """Which photos vote, these, what the labeller says of them, and the head's frame."""
        chosen = evenly_spaced(len(photos.names), views)
        voting = photos.only(chosen)
        said = labeller.label(capture, voting)
        if head_frame not in MODES:
            return chosen, voting, said, frame_facts(read_frame(head_frame))
        facts = choose_frame(capture, voting, said, str(head_frame), labeller.vocabulary)
        return chosen, voting, said, facts

    chosen, voting, soft, facts = look()
    frame = identity_frame() if facts["method"] == "own" else frame_of(facts)
    sphere = head_sphere(photos.cameras, frame)
    if crop and looseness(photos.cameras, *sphere) > LOOSE:
        loose = looseness(photos.cameras, *sphere)
        print(f"refine: cropped to the head, the photos show {loose:.1f} times its width")
        photos, kept = crop_to_head(capture, *sphere, size)
        capture = replace(capture, views=tuple(capture.views[i] for i in kept))
        chosen, voting, soft, facts = look()
    print(f"refine: {len(chosen)} of {len(photos.names)} photos vote, at {size} px")
    print(f"refine: {described(facts)}")
    photos, voting = with_facts(photos, facts), with_facts(voting, facts)
    steps = round(fit.iterations * max(len(chosen) / PHOTOS_OF_A_FIT, 1))
    settings, weights = labels_of_fit(voting, soft, replace(fit, iterations=steps), refine.votes())
    fitted = fit_gaussians(
        voting.images,
        voting.valid,
        1 - soft[..., 0],
        voting.cameras,
        settings,
        points=points_of_fit(voting, 1 - soft[..., 0], settings),
        labels=soft,
        label_weights=weights,
        seed=seed,
        device=device,
    )
    # The cameras as the fit corrected them, if it may; the other photos keep theirs.
    voting = replace(voting, cameras=fitted.cameras)
    moved = dict(zip(chosen, fitted.cameras, strict=True))
    photos = replace(photos, cameras=[moved.get(i, c) for i, c in enumerate(photos.cameras)])
    features, posteriors = lift_subject(fitted.gaussians, voting, soft, refine, later=False)
    factors = np.ones(len(labeller.vocabulary), np.float32)
    if refine.class_factors == "ears":
        factors = ear_factors([posteriors], labeller.vocabulary)
    labels, sure = _labels_of_all(fitted.gaussians, features, photos, factors, refine)
    logits = torch.from_numpy(np.log(features))
    return RefinedPhotos(
        capture=capture,
        photos=photos,
        chosen=chosen,
        raw=soft.argmax(-1).astype(np.uint8),
        labels=labels,
        confidence=sure,
        drawn=_drawn(fitted, voting),
        gaussians=replace(fitted.gaussians, label_logits=logits),
        psnr=fitted.psnr,
        vocabulary=labeller.vocabulary,
        parser=labeller.path,
        trained_here=trained_here,
        frame=facts,
        loose=loose,
    )


def described(facts: dict) -> str:
    """A head frame in one line: where it is from, and whether it is used."""
    if facts["method"] == "own":
        return "the capture knows its head frame"
    frame = frame_of(facts)
    if frame is None:
        return "no head frame, so all views count the same"
    return frame.described() + ("" if frame.usable else ": too low, all views count the same")


def evenly_spaced(count: int, most: int) -> np.ndarray:
    """Indices of at most ``most`` of ``count`` things, first and last included."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def _labels_of_all(
    gaussians: Gaussians,
    features: np.ndarray,
    photos: Prepared,
    factors: np.ndarray,
    settings: RefineSettings,
) -> tuple[np.ndarray, np.ndarray]:
    labels, confidences = [], []
    for start in range(0, len(photos.cameras), _CHUNK):
        posteriors = render_posteriors(gaussians, features, photos.cameras[start : start + _CHUNK])
        found, sure = decide(posteriors, factors, settings)
        labels.append(found)
        confidences.append(sure)
    return np.concatenate(labels), np.concatenate(confidences)


def _drawn(fitted: Fit, photos: Prepared) -> np.ndarray:
    """What the fit makes of the photos, ``[V, H, W, 3]`` uint8."""
    return draw_views(fitted.gaussians, fitted.cameras, fitted.backgrounds, fitted.affines).pictures


def write_folder(folder: Path, done: RefinedPhotos) -> None:
    """Write masks, confidences, Gaussians and the mark to an existing folder."""
    for index, view in enumerate(done.capture.views):
        crop = done.photos.crops[index]
        labels = as_taken(restore_crop(done.labels[index], crop, IGNORE), view, IGNORE)
        write_label_map(folder / "masks" / f"{view.name}.png", labels, done.vocabulary)
        sure = (done.confidence[index] * 255 + 0.5).astype(np.uint8)
        write_grey(
            folder / "confidence" / f"{view.name}.png",
            as_taken(restore_crop(sure, crop, 0), view, 0),
        )
    write_vocabulary(folder / "labels.json", done.vocabulary)
    colours = done.vocabulary.colours[done.gaussians.label_logits.argmax(-1).numpy()]
    write_ply(folder / "gaussians.ply", done.gaussians)
    write_ply(folder / "gaussians_labels.ply", done.gaussians, torch.from_numpy(colours / 255))
    write_label_sidecar(folder / "gaussians_labels.npz", done.gaussians, done.vocabulary)
    facts = {"vocabulary": done.vocabulary.name, "psnr": done.psnr}
    write_gaussians(folder / "gaussians.safetensors", done.gaussians, facts)
    write_json(
        folder / MARK,
        {
            "labelsplat": __version__,
            "subject": done.capture.subject,
            "source": done.capture.source,
            "parser": done.parser.name,
            "photos": len(done.photos.names),
            "voted": [done.photos.names[i] for i in done.chosen],
            "psnr": round(done.psnr, 2),
            "relabelled": round(done.relabelled, 4),
            "span_degrees": round(done.span, 1),
            "head_frame": done.frame,
            "cropped_from": done.loose and round(done.loose, 2),
        },
    )
