"""Face parsers: architecture, training, prediction, files."""

from labelsplat.parsing.augment import Augmentation, augment
from labelsplat.parsing.auxiliary import LabelledViews, read_part, write_views
from labelsplat.parsing.bisenet import BiSeNet, BiSeNetConfig
from labelsplat.parsing.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from labelsplat.parsing.data import LabelledImages
from labelsplat.parsing.finetune import ARMS, ArmReport, arm_checkpoint, arm_images, finetune_round
from labelsplat.parsing.frames import (
    FRAMES,
    choose_frame,
    frame_of,
    frame_rows,
    round_frame,
    with_facts,
    with_frame,
)
from labelsplat.parsing.losses import class_weights, segmentation_loss
from labelsplat.parsing.predict import predict
from labelsplat.parsing.registry import ARCHITECTURES, Architecture, Parser, create, register
from labelsplat.parsing.stage import (
    posed,
    predict_round,
    prepared,
    round_predictions,
    standard_set,
    train_baseline,
)
from labelsplat.parsing.store import SoftPredictions, load_predictions, save_predictions
from labelsplat.parsing.train import TrainLog, learning_rate_at, train, validation_miou

__all__ = [
    "ARCHITECTURES",
    "ARMS",
    "FRAMES",
    "Architecture",
    "ArmReport",
    "Augmentation",
    "BiSeNet",
    "BiSeNetConfig",
    "Checkpoint",
    "LabelledImages",
    "LabelledViews",
    "Parser",
    "SoftPredictions",
    "TrainLog",
    "arm_checkpoint",
    "arm_images",
    "augment",
    "choose_frame",
    "class_weights",
    "create",
    "finetune_round",
    "frame_of",
    "frame_rows",
    "learning_rate_at",
    "load_checkpoint",
    "load_predictions",
    "posed",
    "predict",
    "predict_round",
    "prepared",
    "read_part",
    "register",
    "round_frame",
    "round_predictions",
    "save_checkpoint",
    "save_predictions",
    "segmentation_loss",
    "standard_set",
    "train",
    "train_baseline",
    "validation_miou",
    "with_facts",
    "with_frame",
    "write_views",
]
