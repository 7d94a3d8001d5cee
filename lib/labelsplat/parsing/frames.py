"""Head frames of the captures: their own, the user's, or estimated from a round's predictions.

Estimates need predictions, so the predict stage makes them and keeps them beside the predictions,
``work/{round}/predictions/frames.json``; stages that weigh views by their angle read them there.
The cameras stay in the capture's own world: geometry does not depend on the frame.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from labelsplat.base import CaptureError, ParameterError, read_json
from labelsplat.base.layout import Layout
from labelsplat.capture import (
    FRAME_FILE,
    Capture,
    HeadFrame,
    Prepared,
    apply_frame,
    estimate_frame,
    frame_facts,
    frame_of_facts,
    known_frame,
    scaled_by_landmarks,
)
from labelsplat.labels import CELEBAMASK, Vocabulary

FRAMES = "frames.json"
"""In a round's folder of predictions: ``{subject: facts}``."""

MODES = ("auto", "given", "estimate", "none")
"""What ``predict.head_frame`` may say: the user's frame, else the capture's own, else an estimate;
the user's alone; an estimate whatever is known; no frame, so that all views count the same."""

OWN, NO_FRAME = {"method": "own"}, {"method": "none"}


def choose_frame(
    capture: Capture,
    photos: Prepared,
    probabilities: np.ndarray,
    mode: str = "auto",
    vocabulary: Vocabulary = CELEBAMASK,
) -> dict:
    """Facts of the frame to be used: :data:`OWN`, :data:`NO_FRAME` or a frame's own facts.

    Args:
        capture: for its folder, where the user's frame may lie.
        photos: its views at working size, or some of them.
        probabilities: ``[V, H, W, K]`` of those.
        mode: one of :data:`MODES`.
        vocabulary: meaning of the K classes.

    Raises:
        ParameterError: an unknown mode.
        CaptureError: the user's frame is asked for and missing, or broken.
    """
    if mode not in MODES:
        raise ParameterError(
            f"unknown mode {mode!r}", where="predict.head_frame", remedy=f"One of {MODES}"
        )
    if mode == "none":
        return dict(NO_FRAME)
    path = capture.root / FRAME_FILE
    if mode == "given" and not path.is_file():
        raise CaptureError(
            "the head frame is to be given, but there is no such file",
            where=path,
            remedy="Write it, or set predict.head_frame: auto",
        )
    frame = None if mode == "estimate" else known_frame(capture)
    if frame is not None:
        if frame.method == "own":
            return dict(OWN)
        frame = scaled_by_landmarks(frame, probabilities, photos.cameras, photos.valid, vocabulary)
        return frame_facts(frame)
    frame = estimate_frame(probabilities, photos.cameras, photos.valid, vocabulary)
    return frame_facts(frame)


def frame_of(facts: dict) -> HeadFrame | None:
    """The frame that facts tell of; None where it is the capture's own or there is none."""
    return None if facts["method"] in ("own", "none") else frame_of_facts(facts)


def with_facts(photos: Prepared, facts: dict) -> Prepared:
    """The photos with the angles that such facts give them."""
    if facts["method"] == "own":
        return photos
    if facts["method"] == "none":
        return replace(photos, angles=None)
    return apply_frame(photos, frame_of_facts(facts))


def round_frames(layout: Layout, round_name: str) -> dict[str, dict]:
    """Facts of each subject's frame; empty where the predictions are of a time before frames."""
    path = layout.predictions(round_name) / FRAMES
    return read_json(path) if path.is_file() else {}


def round_frame(layout: Layout, round_name: str, subject: str) -> HeadFrame | None:
    """A subject's frame in a round, None where its cameras stand in the head frame or in none."""
    return frame_of(round_frames(layout, round_name).get(subject, OWN))


def with_frame(layout: Layout, round_name: str, photos: Prepared) -> Prepared:
    """A subject's photos with yaw and pitch against its frame in a round."""
    return with_facts(photos, round_frames(layout, round_name).get(photos.subject, OWN))


def frame_rows(layout: Layout, round_name: str) -> list[dict]:
    """A row a subject, for a table: how its frame came about and what it is worth."""
    return [
        {
            "subject": subject,
            "head frame": facts["method"],
            "confidence": facts.get("confidence"),
            "give or take, degrees": facts.get("uncertainty_degrees"),
            "landmarks": ", ".join(facts.get("residuals_metres", {})),
        }
        for subject, facts in round_frames(layout, round_name).items()
    ]
