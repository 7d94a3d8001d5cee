"""From noisy predictions of single views to labels that all views agree on."""

from labelsplat.refine.discretise import area_factors, discretise, ear_factors, remove_specks
from labelsplat.refine.lift import (
    Lift,
    ceiling,
    render_posteriors,
    vote_equally,
)
from labelsplat.refine.novel import draw_images
from labelsplat.refine.stage import (
    RefinedSubject,
    decide,
    read_refined,
    refine_round,
    round_votes,
)
from labelsplat.refine.subject import (
    RefineSettings,
    blend_rounds,
    lift_subject,
    without_holes,
)
from labelsplat.refine.uncertainty import entropy, render_disagreement, view_disagreement

__all__ = [
    "Lift",
    "RefineSettings",
    "RefinedSubject",
    "area_factors",
    "blend_rounds",
    "ceiling",
    "decide",
    "discretise",
    "draw_images",
    "ear_factors",
    "entropy",
    "lift_subject",
    "read_refined",
    "refine_round",
    "remove_specks",
    "render_disagreement",
    "render_posteriors",
    "round_votes",
    "view_disagreement",
    "vote_equally",
    "without_holes",
]
