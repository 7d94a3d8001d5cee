"""Face parsers: architecture, training, prediction, files."""

from labelsplat.parsing.augment import Augmentation, augment
from labelsplat.parsing.auxiliary import LabelledViews, read_part, write_views
from labelsplat.parsing.bisenet import BiSeNet, BiSeNetConfig
from labelsplat.parsing.calibrate import (
    Temperature,
    Tempered,
    calibrate_parser,
    calibration_file,
    fit_temperature,
    load_temperature,
    save_temperature,
    temper,
)
from labelsplat.parsing.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from labelsplat.parsing.data import LabelledImages
from labelsplat.parsing.finetune import ARMS, ArmReport, arm_checkpoint, arm_images, finetune_round
from labelsplat.parsing.losses import Ohem, class_weights, segmentation_loss
from labelsplat.parsing.predict import predict
from labelsplat.parsing.registry import ARCHITECTURES, Architecture, Parser, create, register
from labelsplat.parsing.schedule import WeightAverage, learning_rate_at, make_optimiser
from labelsplat.parsing.stage import (
    chosen_temperature,
    predict_round,
    prepared,
    round_predictions,
    standard_set,
    train_baseline,
)
from labelsplat.parsing.store import SoftPredictions, load_predictions, save_predictions
from labelsplat.parsing.train import TrainLog, train, validation_miou
from labelsplat.parsing.tta import predict_averaged

__all__ = [
    "ARCHITECTURES",
    "ARMS",
    "Architecture",
    "ArmReport",
    "Augmentation",
    "BiSeNet",
    "BiSeNetConfig",
    "Checkpoint",
    "LabelledImages",
    "LabelledViews",
    "Ohem",
    "Parser",
    "SoftPredictions",
    "Temperature",
    "Tempered",
    "TrainLog",
    "WeightAverage",
    "arm_checkpoint",
    "arm_images",
    "augment",
    "calibrate_parser",
    "calibration_file",
    "chosen_temperature",
    "class_weights",
    "create",
    "finetune_round",
    "fit_temperature",
    "learning_rate_at",
    "load_checkpoint",
    "load_predictions",
    "load_temperature",
    "make_optimiser",
    "predict",
    "predict_averaged",
    "predict_round",
    "prepared",
    "read_part",
    "register",
    "round_predictions",
    "save_checkpoint",
    "save_predictions",
    "save_temperature",
    "segmentation_loss",
    "standard_set",
    "temper",
    "train",
    "train_baseline",
    "validation_miou",
    "write_views",
]
