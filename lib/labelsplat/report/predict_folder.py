"""``python -m labelsplat predict``: what a parser alone says of a capture's photos, as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labelsplat import __version__
from labelsplat.base import LabelsplatError, atomic_dir, write_json
from labelsplat.base.layout import Layout
from labelsplat.capture import Capture, Prepared, open_capture, prepare, restore_mask
from labelsplat.labels import IGNORE, Vocabulary, write_label_map, write_vocabulary
from labelsplat.parsing import (
    Checkpoint,
    SoftPredictions,
    load_parser,
    predict,
    save_predictions,
    working_size,
)
from labelsplat.report.params import load_params
from labelsplat.report.refine_page import default_parser, evenly_spaced, require_own

MARK = "predict.json"
"""Written into every output folder; a folder without it is never replaced."""

SHOWN = 12
"""Photos at most on the contact sheet, evenly spaced."""

_AT_A_TIME = 4  # photos: soft predictions at 512 px take 20 MB each
_CELL = 200  # pixels of a picture on the contact sheet
_ROW = 3  # photos in a row of it, each with its labels beside it


@dataclass(frozen=True)
class PredictedFolder:
    """What was written.

    Attributes:
        folder: the output.
        photos: number of photos.
        size: pixels that they were predicted at.
        vocabulary: name of the vocabulary of the masks.
        shares: share of the photos' pixels that each class takes, without classes that none has.
    """

    folder: Path
    photos: int
    size: int
    vocabulary: str
    shares: dict[str, float]


def predict_capture(
    capture: str | Path,
    out: str | Path,
    parser: str | Path | None = None,
    *,
    subject: str | None = None,
    size: int | None = None,
    params: dict | None = None,
) -> PredictedFolder:
    """Label every photo of one capture with a parser; nothing is fused or refined.

    ``out`` then holds ``masks/{view}.png`` (index PNG with a palette, of the UNDISTORTED photo's
    own size and turned as it is stored; 255 where undistortion left no content),
    ``labels.json`` (what indices mean), ``soft/{view}.npz`` (class probabilities at working
    size, see :func:`labelsplat.parsing.load_predictions`), ``contact.png`` and ``predict.json``.

    Args:
        capture: folder of photos and cameras in any layout that
            :func:`labelsplat.capture.open_capture` knows.
        out: folder to write; replaced as a whole if an earlier call made it.
        parser: a file that :func:`labelsplat.parsing.load_parser` opens; by default the project's
            own.
        subject: which one of a tree of captures.
        size: working size in pixels; by default what the parser wants, else ``capture.size`` of
            ``params``.
        params: content of params.yaml; by default that of the project.

    Raises:
        CaptureError: photos or cameras that cannot be used.
        LabelsplatError: no parser, a broken one, or ``out`` holds something else.
    """
    out = Path(out)
    require_own(out, MARK, "predict")
    layout = Layout.find()
    params = params or load_params(layout.root / "params.yaml")
    photos = open_capture(capture, subject)
    file = default_parser(layout, params) if parser is None else Path(parser)
    checkpoint = load_parser(file)
    size = size or working_size(checkpoint.net) or params["capture"]["size"]
    if size < 16:
        raise LabelsplatError(f"size is {size}", remedy="Use at least 16 pixels")
    prepared = prepare(photos, size)
    flip = params["predict"]["flip"]
    with atomic_dir(out) as folder:
        labels = _write_views(folder, prepared, photos, checkpoint, flip, params["device"])
        write_vocabulary(folder / "labels.json", checkpoint.vocabulary)
        _write_sheet(folder / "contact.png", prepared, labels, checkpoint.vocabulary)
        shares = _shares(labels, checkpoint.vocabulary)
        write_json(
            folder / MARK,
            {
                "labelsplat": __version__,
                "subject": photos.subject,
                "source": photos.source,
                "parser": file.name,
                "vocabulary": checkpoint.vocabulary.name,
                "size": size,
                "flip": flip,
                "photos": list(prepared.names),
                "shares": {name: round(share, 5) for name, share in shares.items()},
            },
        )
    return PredictedFolder(out, len(prepared.names), size, checkpoint.vocabulary.name, shares)


def _write_views(
    folder: Path,
    photos: Prepared,
    capture: Capture,
    checkpoint: Checkpoint,
    flip: bool,
    device: str,
) -> np.ndarray:
    """Write masks and soft predictions; labels ``[V, size, size]`` uint8."""
    from tqdm.auto import tqdm

    labels = np.empty(photos.valid.shape, np.uint8)
    with tqdm(total=len(labels), desc="predict", unit="photo") as bar:
        for start in range(0, len(labels), _AT_A_TIME):
            part = slice(start, start + _AT_A_TIME)
            soft = predict(
                checkpoint.net,
                photos.images[part],
                flip,
                vocabulary=checkpoint.vocabulary,
                device=device,
            )
            labels[part] = np.where(photos.valid[part], soft.argmax(-1), IGNORE)
            for i, name in enumerate(photos.names[part], start):
                mask = restore_mask(labels[i], photos.crops[i])
                mask = np.ascontiguousarray(np.rot90(mask, -capture.views[i].turns))
                write_label_map(folder / "masks" / f"{name}.png", mask, checkpoint.vocabulary)
                one = SoftPredictions((name,), soft[i - start][None], checkpoint.vocabulary)
                save_predictions(folder / "soft" / f"{name}.npz", one)
            bar.update(len(soft))
    return labels


def _shares(labels: np.ndarray, vocabulary: Vocabulary) -> dict[str, float]:
    counts = np.bincount(labels[labels != IGNORE], minlength=len(vocabulary))
    total = max(int(counts.sum()), 1)
    pairs = zip(vocabulary.classes, counts, strict=True)
    return {name: int(count) / total for name, count in pairs if count}


def _write_sheet(path: Path, photos: Prepared, labels: np.ndarray, vocabulary: Vocabulary) -> None:
    from labelsplat.viz import label_sheet, overlay, save_figure

    chosen = evenly_spaced(len(labels), SHOWN)
    pairs = [(photos.images[i], overlay(photos.images[i], labels[i], vocabulary)) for i in chosen]
    rows = [[picture for pair in row for picture in pair] for row in _split(pairs)]
    names = ["\n".join(photos.names[i] for i in row) for row in _split(list(chosen))]
    sheet = label_sheet(rows, names, cell=_CELL, title=photos.subject, vocabulary=vocabulary)
    save_figure(sheet, path)


def _split(values: Sequence) -> list[Sequence]:
    return [values[start : start + _ROW] for start in range(0, len(values), _ROW)]
