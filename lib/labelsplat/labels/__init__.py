"""Label vocabularies, label-map files and segmentation scores."""

from labelsplat.labels.maps import foreground, read_label_map, write_label_map, write_vocabulary
from labelsplat.labels.metrics import Scores, confusion, f1, iou, mean_score, scores
from labelsplat.labels.pose import STRATA, STRATUM_TITLES, in_stratum, stratum_of
from labelsplat.labels.vocabulary import CELEBAMASK, IGNORE, VOCABULARIES, Vocabulary

__all__ = [
    "CELEBAMASK",
    "IGNORE",
    "STRATA",
    "STRATUM_TITLES",
    "VOCABULARIES",
    "Scores",
    "Vocabulary",
    "confusion",
    "f1",
    "foreground",
    "in_stratum",
    "iou",
    "mean_score",
    "read_label_map",
    "scores",
    "stratum_of",
    "write_label_map",
    "write_vocabulary",
]
