"""Label vocabularies, label-map files and segmentation scores."""

from labelsplat.labels.convert import Conversion
from labelsplat.labels.maps import foreground, read_label_map, write_label_map, write_vocabulary
from labelsplat.labels.metrics import Scores, confusion, f1, iou, mean_score, scores
from labelsplat.labels.pose import STRATA, STRATUM_TITLES, in_stratum, stratum_of
from labelsplat.labels.vocabulary import (
    CELEBAMASK,
    CELEBAMASK_OFFICIAL,
    CELEBAMASK_SEGFACE,
    HELEN,
    IBUG,
    IBUGMASK,
    IGNORE,
    LAPA,
    VOCABULARIES,
    Vocabulary,
    known_parts,
)

__all__ = [
    "CELEBAMASK",
    "CELEBAMASK_OFFICIAL",
    "CELEBAMASK_SEGFACE",
    "HELEN",
    "IBUG",
    "IBUGMASK",
    "IGNORE",
    "LAPA",
    "STRATA",
    "STRATUM_TITLES",
    "VOCABULARIES",
    "Conversion",
    "Scores",
    "Vocabulary",
    "confusion",
    "f1",
    "foreground",
    "in_stratum",
    "iou",
    "known_parts",
    "mean_score",
    "read_label_map",
    "scores",
    "stratum_of",
    "write_label_map",
    "write_vocabulary",
]
