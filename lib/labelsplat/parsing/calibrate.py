"""How sure a parser may be: one temperature, fitted where labels are true.

A network that was trained to convergence is surer than it is right. Temperature scaling (Guo et
al., "On Calibration of Modern Neural Networks", ICML 2017) divides its logits by one number T,
fitted by the likelihood of true labels on heads that it was not trained on. What it calls a pixel
stays the same; only how sure it is changes. The validation heads are near-frontal: in profile a
parser is wrong in other ways than from the front, and one number need not serve there. How well it
does is measured by pose, see :mod:`labelsplat.evaluate.pretrain`.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from labelsplat.base import LabelsplatError, read_json, write_json
from labelsplat.labels import IGNORE, foreground
from labelsplat.parsing.data import LabelledImages
from labelsplat.parsing.predict import predict

MOST_PIXELS = 400_000
"""To fit one number, more would only take longer."""

_RANGE = (0.05, 20.0)
_TINY = 1e-12
_FILE = ".calibration.json"


@dataclass(frozen=True)
class Temperature:
    """What a fit of the temperature found.

    Attributes:
        temperature: T; above 1 where the parser is too sure.
        nll_before: mean negative log-likelihood of the true classes as predicted, nats.
        nll_after: the same with T.
        pixels: that it was fitted on.
    """

    temperature: float
    nll_before: float
    nll_after: float
    pixels: int


def temper(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities ``[..., classes]`` as if their logits had been divided by ``temperature``.

    Equal to the softmax of ``logits / temperature`` as long as no probability is below 1e-12.

    Raises:
        LabelsplatError: a temperature that is not positive.
    """
    _check_temperature(temperature)
    powers = np.maximum(probabilities, _TINY) ** (1 / temperature)
    return powers / powers.sum(-1, keepdims=True)


class Tempered(nn.Module):
    """A parser whose logits are divided by a temperature; in evaluation mode alone.

    Args:
        net: a parser.
        temperature: above 0.
    """

    def __init__(self, net: nn.Module, temperature: float):
        super().__init__()
        _check_temperature(temperature)
        self.net, self.temperature = net, temperature
        self.train(net.training)  # wrapping a network must not change its mode

    def forward(self, images: Tensor) -> Tensor | list[Tensor]:
        logits = self.net(images)
        return logits if self.training else logits / self.temperature


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> Temperature:
    """The temperature under which true labels are most likely.

    In ``b = 1 / T`` the negative log-likelihood is convex, so its one minimum is found by Newton
    steps on the derivative, ``mean(E[z] - z_true)`` with ``z = log p`` and the expectation under
    ``p ** b``, kept inside a shrinking bracket.

    Args:
        probabilities: ``[M, classes]``, each row summing to 1.
        labels: ``[M]`` true classes; 255 is left out.

    Raises:
        LabelsplatError: no pixel with a label.
    """
    known = labels != IGNORE
    if not known.any():
        raise LabelsplatError(
            "no labelled pixel to fit a temperature on", remedy="Give images with true labels"
        )
    z = np.log(np.maximum(probabilities[known], _TINY), dtype=np.float32)
    true = z[np.arange(len(z)), labels[known].astype(np.int64)].astype(np.float64)

    def at(b: float) -> tuple[float, float, float]:
        """Mean loss, and its first and second derivative."""
        powers = np.exp(np.float32(b) * z)  # z <= 0: no power is above 1
        total = powers.sum(1, dtype=np.float64)
        mean = (powers * z).sum(1, dtype=np.float64) / total
        square = (powers * z * z).sum(1, dtype=np.float64) / total
        loss = float((np.log(total) - b * true).mean())
        return loss, float((mean - true).mean()), float((square - mean**2).mean())

    low, high = 1 / _RANGE[1], 1 / _RANGE[0]
    b = 1.0
    before, slope, bend = at(b)
    after = before
    for _ in range(50):
        low, high = (b, high) if slope < 0 else (low, b)
        step = b - slope / bend if bend > 0 else math.nan
        new = step if low < step < high else math.sqrt(low * high)
        if abs(new - b) < 1e-6 * b:
            break
        b = new
        after, slope, bend = at(b)
    return Temperature(1 / b, before, after, int(known.sum()))


def calibrate_parser(net: nn.Module, data: LabelledImages, *, device: str = "auto") -> Temperature:
    """The temperature of a parser on images with true labels, by its plain forward pass.

    Background that is called so is left out, as in the calibration error that it is to lower: it is
    half of every picture and easy, and would decide alone. Of many pixels, :data:`MOST_PIXELS`
    evenly spaced ones are looked at.

    Args:
        net: a parser.
        data: validation images, that it was not trained on.
        device: "auto", "cpu" or "cuda".

    Raises:
        LabelsplatError: no labelled pixel.
    """
    stride = max(1, math.ceil(data.labels.size / MOST_PIXELS))
    rows, labels = [], []
    for start in range(0, len(data), 12):
        part = slice(start, start + 12)
        soft = predict(
            net, data.images[part], flip=False, vocabulary=data.vocabulary, device=device
        )
        # Spaced through all images, whatever their number of pixels.
        first = -(start * data.labels[0].size) % stride
        some = soft.reshape(-1, soft.shape[-1])[first::stride]
        true = data.labels[part].reshape(-1)[first::stride]
        counts = foreground(true) | (some.argmax(-1) != 0)
        rows.append(some[counts])
        labels.append(true[counts])
    return fit_temperature(np.concatenate(rows), np.concatenate(labels))


def calibration_file(checkpoint: str | Path) -> Path:
    """Where the temperature of a checkpoint lies: beside it."""
    return Path(checkpoint).with_suffix(_FILE)


def save_temperature(checkpoint: str | Path, found: Temperature) -> None:
    """Write the temperature of a checkpoint beside it, whole or not at all."""
    write_json(calibration_file(checkpoint), asdict(found))


def load_temperature(checkpoint: str | Path) -> Temperature:
    """The temperature of a checkpoint.

    Raises:
        LabelsplatError: it has none, or the file is damaged; names it.
    """
    path = calibration_file(checkpoint)
    if not path.is_file():
        raise LabelsplatError(
            "this parser has no fitted temperature",
            where=path,
            remedy="Set predict.temperature to off, or train the parser again: the stages of "
            "training fit one",
        )
    content = read_json(path)
    try:
        found = Temperature(**content)
        good = found.temperature > 0 and math.isfinite(found.temperature)
    except TypeError:
        good = False
    if not good:
        raise LabelsplatError("no fitted temperature in it", where=path, remedy="Train again")
    return found


def _check_temperature(temperature: float) -> None:
    if not (temperature > 0 and math.isfinite(temperature)):
        raise LabelsplatError(
            f"temperature {temperature} is not a positive number", remedy="1 changes nothing"
        )
