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
from labelsplat.parsing.foreign import KINDS, load_parser, predict_photos, working_size
from labelsplat.parsing.foreign_masks import (
    class_map,
    foreign_predictions,
    nearest_classes,
)
from labelsplat.parsing.frames import (
    FRAMES,
    choose_frame,
    frame_of,
    frame_rows,
    round_frame,
    with_facts,
    with_frame,
)
from labelsplat.parsing.labellers import Labeller, mask_labeller, parser_labeller
from labelsplat.parsing.losses import Ohem, class_weights, segmentation_loss
from labelsplat.parsing.onnx_description import (
    OnnxDescription,
    description_path,
    description_text,
    read_description,
)
from labelsplat.parsing.onnx_export import export_onnx
from labelsplat.parsing.onnx_parser import OnnxParser
from labelsplat.parsing.predict import predict
from labelsplat.parsing.registry import ARCHITECTURES, Architecture, Parser, create, register
from labelsplat.parsing.release import load_release
from labelsplat.parsing.schedule import WeightAverage, learning_rate_at, make_optimiser
from labelsplat.parsing.stage import (
    capture_labeller,
    chosen_temperature,
    own_parser,
    own_settings,
    posed,
    predict_round,
    prepared,
    round_predictions,
    standard_set,
    train_baseline,
)
from labelsplat.parsing.store import SoftPredictions, load_predictions, save_predictions
from labelsplat.parsing.train import TrainLog, train, validation_miou
from labelsplat.parsing.tta import predict_averaged
from labelsplat.parsing.unet import UNet, UNetConfig
from labelsplat.parsing.votes import VoteSettings, confidence, frontalness, vote_weights

__all__ = [
    "ARCHITECTURES",
    "ARMS",
    "FRAMES",
    "KINDS",
    "Architecture",
    "ArmReport",
    "Augmentation",
    "BiSeNet",
    "BiSeNetConfig",
    "Checkpoint",
    "LabelledImages",
    "LabelledViews",
    "Labeller",
    "Ohem",
    "OnnxDescription",
    "OnnxParser",
    "Parser",
    "SoftPredictions",
    "Temperature",
    "Tempered",
    "TrainLog",
    "UNet",
    "UNetConfig",
    "VoteSettings",
    "WeightAverage",
    "arm_checkpoint",
    "arm_images",
    "augment",
    "calibrate_parser",
    "calibration_file",
    "capture_labeller",
    "choose_frame",
    "chosen_temperature",
    "class_map",
    "class_weights",
    "confidence",
    "create",
    "description_path",
    "description_text",
    "export_onnx",
    "finetune_round",
    "fit_temperature",
    "foreign_predictions",
    "frame_of",
    "frame_rows",
    "frontalness",
    "learning_rate_at",
    "load_checkpoint",
    "load_parser",
    "load_predictions",
    "load_release",
    "load_temperature",
    "make_optimiser",
    "mask_labeller",
    "nearest_classes",
    "own_parser",
    "own_settings",
    "parser_labeller",
    "posed",
    "predict",
    "predict_averaged",
    "predict_photos",
    "predict_round",
    "prepared",
    "read_description",
    "read_part",
    "register",
    "round_frame",
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
    "vote_weights",
    "with_facts",
    "with_frame",
    "working_size",
    "write_views",
]
