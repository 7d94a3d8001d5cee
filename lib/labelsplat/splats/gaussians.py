"""A scene of 3D Gaussians, and its file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from labelsplat.base import LabelsplatError, ParameterError, atomic_path

FORMAT = "labelsplat.gaussians.1"

BANDS = (3, 8, 15)
"""Numbers of coefficients of spherical harmonics of degree 1 to 1, 2 and 3."""


@dataclass(frozen=True, eq=False)
class Gaussians:
    """N Gaussians as they are optimised: unconstrained numbers, activated by the properties.

    Attributes:
        means: ``[N, 3]`` centres in world units.
        quaternions: ``[N, 4]`` w, x, y, z; rotation of the Gaussian's axes into the world. Any
            length but zero: they are normalised where they are used.
        log_scales: ``[N, 3]`` natural logarithms of the standard deviations along the axes.
        opacity_logits: ``[N]`` opacity before the sigmoid.
        colours: ``[N, 3]`` RGB, 0 to 1 (sRGB, as in the photos): the same from every side, or
            with harmonics the mean over all sides.
        label_logits: ``[N, K]`` logits of K classes, or None.
        harmonics: ``[N, B, 3]`` how the colour changes with the side, coefficients of the real
            spherical harmonics of degree 1 (B = 3), 1 and 2 (B = 8) or 1 to 3 (B = 15); or None.

    Raises:
        ParameterError: shapes that do not fit together.
    """

    means: Tensor
    quaternions: Tensor
    log_scales: Tensor
    opacity_logits: Tensor
    colours: Tensor
    label_logits: Tensor | None = None
    harmonics: Tensor | None = None

    def __post_init__(self):
        n = self.means.shape[0] if self.means.ndim else -1
        wanted = {
            "means": (n, 3),
            "quaternions": (n, 4),
            "log_scales": (n, 3),
            "opacity_logits": (n,),
            "colours": (n, 3),
        }
        if self.label_logits is not None:
            wanted["label_logits"] = (n, self.label_logits.shape[-1])
        if self.harmonics is not None:
            bands = self.harmonics.shape[1] if self.harmonics.ndim == 3 else -1
            wanted["harmonics"] = (n, bands if bands in BANDS else "3, 8 or 15", 3)
        for name, shape in wanted.items():
            found = tuple(getattr(self, name).shape)
            if found != shape:
                raise ParameterError(f"shape {found}, wanted {shape}", where=f"Gaussians.{name}")

    def __len__(self) -> int:
        return len(self.means)

    @property
    def scales(self) -> Tensor:
        """``[N, 3]`` standard deviations along the axes, world units."""
        return self.log_scales.exp()

    @property
    def opacities(self) -> Tensor:
        """``[N]`` between 0 and 1."""
        return self.opacity_logits.sigmoid()

    @property
    def label_probabilities(self) -> Tensor | None:
        """``[N, K]`` that sum to one, or None."""
        return None if self.label_logits is None else self.label_logits.softmax(-1)

    def colours_from(self, centres: Tensor) -> Tensor:
        """``[V, N, 3]`` RGB, at least 0, as seen from points ``[V, 3]`` in the world."""
        if self.harmonics is None:
            return self.colours.expand(len(centres), -1, -1)
        rays = torch.nn.functional.normalize(self.means - centres[:, None], dim=-1)
        basis = harmonic_basis(rays)[..., : self.harmonics.shape[1]]
        return (self.colours + torch.einsum("vnb,nbc->vnc", basis, self.harmonics)).clamp_min(0)

    def tensors(self) -> dict[str, Tensor]:
        """The tensors by attribute name, without absent ones."""
        pairs = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {name: tensor for name, tensor in pairs if tensor is not None}

    def apply(self, function: Callable[[Tensor], Tensor]) -> Gaussians:
        """New Gaussians with ``function`` applied to each tensor."""
        return Gaussians(**{name: function(t) for name, t in self.tensors().items()})

    def select(self, mask: Tensor) -> Gaussians:
        """Those of a boolean mask ``[N]`` or of indices, in that order."""
        return self.apply(lambda tensor: tensor[mask])

    def finite(self) -> Tensor:
        """``[N]`` bool: which Gaussians have no NaN and no infinity in any of their numbers."""
        return finite_rows(*self.tensors().values())

    def to(self, *args, **kwargs) -> Gaussians:
        """As ``torch.Tensor.to``: another device or type."""
        return self.apply(lambda tensor: tensor.to(*args, **kwargs))

    def detach(self) -> Gaussians:
        """The same numbers outside any graph."""
        return self.apply(torch.Tensor.detach)


def harmonic_basis(rays: Tensor) -> Tensor:
    """Real spherical harmonics of degree 1 to 3 in unit directions: ``[..., 3]`` to ``[..., 15]``.

    Order and signs as 3D Gaussian Splatting has them (Kerbl et al. 2023): m from -l to l.
    """
    x, y, z = rays.unbind(-1)
    xx, yy, zz = x * x, y * y, z * z
    a, b = 0.4886025119029199, 1.0925484305920792
    c, d, e = 0.5900435899266435, 2.890611442640554, 0.4570457994644658
    bands = [
        -a * y, a * z, -a * x,
        b * x * y, -b * y * z, 0.31539156525252005 * (2 * zz - xx - yy), -b * x * z,
        0.5 * b * (xx - yy),
        -c * y * (3 * xx - yy), d * x * y * z, -e * y * (4 * zz - xx - yy),
        0.3731763325901154 * z * (2 * zz - 3 * xx - 3 * yy), -e * x * (4 * zz - xx - yy),
        0.5 * d * z * (xx - yy), -c * x * (xx - 3 * yy),
    ]  # fmt: skip
    return torch.stack(bands, -1)


def finite_rows(*tensors: Tensor) -> Tensor:
    """``[N]`` bool: which rows of tensors ``[N, ...]`` are finite throughout.

    Numbers whose sum overflows count as infinite.
    """
    rows = [t.detach().reshape(len(t), -1) for t in tensors]
    return torch.isfinite(torch.cat(rows, 1).sum(1))


def write_gaussians(path: str | Path, gaussians: Gaussians, metadata: dict | None = None) -> None:
    """Write ``.safetensors`` with ``metadata`` (anything JSON can hold), whole or not at all."""
    tensors = {
        name: t.detach().cpu().contiguous().clone() for name, t in gaussians.tensors().items()
    }
    header = {"format": FORMAT, "metadata": metadata or {}}
    # One entry: safetensors writes several in an order that differs from run to run.
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, {"labelsplat": json.dumps(header, allow_nan=False)})


def read_gaussians(path: str | Path, device: str = "cpu") -> tuple[Gaussians, dict]:
    """The Gaussians and the metadata of ``write_gaussians``.

    Raises:
        LabelsplatError: the file is missing, damaged, or no Gaussians of this format.
    """
    try:
        with safe_open(path, framework="pt", device=device) as file:
            header = json.loads((file.metadata() or {}).get("labelsplat", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise LabelsplatError("the file is missing", where=path) from None
    except SafetensorError as error:
        raise LabelsplatError(f"not a whole safetensors file ({error})", where=path) from None
    if header.get("format") != FORMAT:
        raise LabelsplatError(
            f"format {header.get('format')!r}, wanted {FORMAT!r}",
            where=path,
            remedy="Write it with write_gaussians.",
        )
    return Gaussians(**tensors), header["metadata"]
