"""The numbers that a fit moves, and the models that are read off them.

A fit holds one or two *sets* of Gaussians. The colour set draws the photos. The label set draws the
labels; by the coupling it is the colour set itself, a set that shares its means and covariances, or
a set of its own. Names of the parameters are gsplat's, whose strategies split and prune them by
name (``means, quats, scales, opacities``; scales as logarithms, opacities as logits).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from labelsplat.splats.gaussians import Gaussians
from labelsplat.splats.settings import FitSettings

RATES = {
    "quats": 3e-3,
    "scales": 1e-2,
    "opacities": 4e-2,
    "colours": 1e-2,
    "harmonics": 5e-4,
    "labels": 5e-2,
    "label_opacities": 4e-2,
    "backgrounds": 3e-3,
    "affines": 1e-3,
}
"""Adam's learning rates at the start; they fall exponentially to a tenth. That of the means is a
setting."""

LABEL_BACKGROUND = 6.0
"""Logit of the first class, the background, where no Gaussian is drawn; the others have 0."""


@dataclass(eq=False)
class Parameters:
    """Leaves of a fit, each with an optimiser of its own.

    Attributes:
        colour: ``[N, ...]`` parameters of the colour set.
        label: parameters of the label set if it is a separate one, else empty.
        views: ``[V, ...]`` parameters of the views: backgrounds, affines, cameras.
        optimisers: one a parameter; those of the label set under ``label.<name>``.
        rates: learning rates at the start, by the optimisers' names.
    """

    colour: dict[str, Tensor]
    label: dict[str, Tensor]
    views: dict[str, Tensor]
    optimisers: dict[str, torch.optim.Adam]
    rates: dict[str, float]

    @staticmethod
    def of(
        start: Gaussians,
        views: dict[str, Tensor],
        settings: FitSettings,
        classes: int,
        extent: float,
    ) -> Parameters:
        """Parameters that start from Gaussians and views' values, on their device.

        Args:
            start: colours included; harmonics if the settings want them.
            views: values by name, of all V views.
            settings: for the coupling and the cameras' rate.
            classes: K of the label model, 0 if there is none.
            extent: the scene's, in units of the normal one.
        """
        colour = {
            "means": start.means,
            "quats": start.quaternions,
            "scales": start.log_scales,
            "opacities": start.opacity_logits,
            "colours": start.colours,
        }
        label: dict[str, Tensor] = {}
        if start.harmonics is not None:
            colour["harmonics"] = start.harmonics
        if classes:
            flat = start.means.new_zeros(len(start), classes)
            if settings.coupling == "separate":
                label = {name: colour[name] for name in ("means", "quats", "scales", "opacities")}
                label["labels"] = flat
            else:
                colour["labels"] = flat
            if settings.coupling == "two_models":
                colour["label_opacities"] = start.opacity_logits
        groups = [{k: _leaf(v) for k, v in group.items()} for group in (colour, label, views)]
        rates = {**RATES, "means": settings.means_rate * extent, "cameras": settings.camera_rate}
        made = Parameters(*groups, {}, {})
        for prefix, group in (("", made.colour), ("label.", made.label), ("", made.views)):
            for name, leaf in group.items():
                rate = rates[name]
                made.rates[prefix + name] = rate
                made.optimisers[prefix + name] = torch.optim.Adam(
                    [leaf], lr=rate, eps=1e-15, fused=True
                )
        return made

    def colour_set(self) -> Gaussians:
        """The Gaussians that draw the photos, part of the graph."""
        c = self.colour
        return Gaussians(
            c["means"], c["quats"], c["scales"], c["opacities"], c["colours"],
            harmonics=c.get("harmonics"),
        )  # fmt: skip

    def label_set(self, coupling: str) -> Gaussians | None:
        """The Gaussians that draw the labels, or None; what labels may not move is detached."""
        if self.label:
            g = self.label
            colours = g["means"].new_full(g["means"].shape, 0.5)
            return Gaussians(
                g["means"], g["quats"], g["scales"], g["opacities"], colours, g["labels"]
            )
        if "labels" not in self.colour:
            return None
        c = self.colour
        geometry = [c["means"], c["quats"], c["scales"], c.get("label_opacities", c["opacities"])]
        if coupling == "geometry_from_rgb":
            geometry = [leaf.detach() for leaf in geometry]
        return Gaussians(*geometry, c["colours"].detach(), c["labels"])

    def schedule(self, progress: float) -> None:
        """Set all learning rates for a fit of which the share ``progress`` is done."""
        for name, optimiser in self.optimisers.items():
            optimiser.param_groups[0]["lr"] = self.rates[name] * 0.1**progress

    def step(self) -> None:
        """One step of all optimisers; gradients are cleared. Colours stay between 0 and 1.

        Colours beyond would explain a photo by Gaussians that hardly show in it, and glare in
        others.
        """
        for optimiser in self.optimisers.values():
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        with torch.no_grad():
            self.colour["colours"].clamp_(0, 1)

    def label_optimisers(self) -> dict[str, torch.optim.Adam]:
        """Those of a separate label set, by its parameters' names."""
        return {name: self.optimisers[f"label.{name}"] for name in self.label}

    def colour_optimisers(self) -> dict[str, torch.optim.Adam]:
        """Those of the colour set, by its parameters' names."""
        return {name: self.optimisers[name] for name in self.colour}

    def state(self) -> dict:
        """Everything that :meth:`load_state` needs to go on: tensors and optimisers' moments."""
        return {
            "colour": {k: v.detach() for k, v in self.colour.items()},
            "label": {k: v.detach() for k, v in self.label.items()},
            "views": {k: v.detach() for k, v in self.views.items()},
            "optimisers": {k: o.state_dict() for k, o in self.optimisers.items()},
        }

    def load_state(self, state: dict) -> None:
        """Put back a :meth:`state`; the number of Gaussians may differ from now."""
        prefixes = (("", "colour"), ("label.", "label"), ("", "views"))
        for prefix, group_name in prefixes:
            group = getattr(self, group_name)
            for name in group:
                group[name] = _leaf(state[group_name][name].to(group[name].device))
                optimiser = self.optimisers[prefix + name]
                optimiser.state.clear()
                optimiser.param_groups[0]["params"] = [group[name]]
                optimiser.load_state_dict(state["optimisers"][prefix + name])


def _leaf(tensor: Tensor) -> Tensor:
    return torch.nn.Parameter(tensor.detach().clone().contiguous())
