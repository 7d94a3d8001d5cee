"""What values single parameters of params.yaml may have; types follow from the default profile."""

CHOICES = {
    "device": ("auto", "cpu", "cuda"),
    "capture.source": ("embedded", "facescape", "nerfstudio", "colmap", "nersemble"),
    "capture.standard_source": ("embedded", "celebamask", "lapa", "images"),
    "capture.test_source": ("embedded", "celebamask", "lapa", "images"),
    "capture.nuisance": ("plain", "hard"),
    "capture.rig": ("few", "ring", "phone", "sparse"),
    "parser.architecture": ("bisenet", "unet"),
    "parser.stem": ("none", "maxpool"),
    "parser.optimiser": ("adamw", "sgd"),
    "parser.schedule": ("cosine", "poly"),
    "predict.temperature": ("off", "fitted"),
    "predict.head_frame": ("auto", "given", "estimate", "none"),
    "fit.coupling": ("geometry_from_rgb", "joint", "two_models", "separate"),
    "fit.density": ("fixed", "adaptive", "mcmc"),
    "fit.start": ("hull", "points", "sphere"),
    "refine.class_factors": ("ears", "none"),
    "study.design": ("acr", "pairs"),
}
"""Parameters that take one of a few words."""

POSITIVE = {
    "capture.size", "capture.supersample", "parser.width", "parser.steps", "parser.batch",
    "parser.learning_rate", "parser.validate_every", "fit.gaussians", "fit.iterations",
    "fit.hull_resolution", "fit.label_every", "fit.most_gaussians", "fit.means_rate",
    "finetune.steps", "finetune.batch", "finetune.learning_rate", "evaluate.bootstrap",
    "study.pairs_per_image", "study.orders", "study.bootstrap", "study.panel.raters",
    "study.panel.slope", "study.panel.seconds", "study.power.difference", "study.power.power",
    "study.power.simulations",
}  # fmt: skip
"""Numbers that must be above zero; every other number must be zero or more."""

AT_LEAST = {
    "parser.width": 4,
    "parser.batch": 2,
    "capture.size": 16,
    "study.images": 2,
    "study.power.simulations": 100,
    "study.power.most_raters": 2,
}
"""Smallest values: batch normalisation needs two images."""

AT_MOST = {
    "parser.coarse_share": 0.99,
    "parser.occlusion": 1,
    "parser.low_resolution": 1,
    "parser.zoom_out": 2,
    "parser.ohem": 1,
    "parser.ema": 0.9999,
    "fit.hull_tolerance": 1,
    "fit.ssim_share": 1,
    "fit.colour_smoothing": 1,
    "fit.harmonics": 3,
    "refine.background_damping": 1,
    "refine.gate": 1,
    "refine.ignore_below": 1,
    "refine.ignore_entropy": 1,
    "capture.heldout_views": 8,
    "study.panel.inattentive": 1,
    "study.panel.unfinished": 1,
    "study.panel.lapse": 1,
    "study.panel.person_share": 1,
    "study.exclusion.repeat_difference": 1,
    "study.exclusion.straight_lining": 1,
    "study.exclusion.answered": 1,
    "study.power.power": 0.999,
}
"""Largest values: shares end at 1, and there are 8 held-out poses."""
