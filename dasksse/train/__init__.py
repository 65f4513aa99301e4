"""Training and evaluation of Deep Potential ensembles."""

from __future__ import annotations

from dasksse.label.importing import read_deepmd_data, read_extxyz
from dasksse.train.accuracy import (
    force_slope,
    max_force_deviation,
    report_by_element,
    report_by_material,
    report_of,
    rmse,
)
from dasksse.train.dataset import read_labels, write_deepmd_data
from dasksse.train.deepmd_input import training_input
from dasksse.train.deepmd_parse import LearningCurve, read_learning_curve
from dasksse.train.deepmd_run import TrainedModel, train_member
from dasksse.train.evaluate import (
    Prediction,
    evaluate_models,
    evaluate_report,
)
from dasksse.train.frozen import FrozenModel, compress_model, describe_model
from dasksse.train.neighbours import nearest_distance_A, suggest_sel

__all__ = [
    "FrozenModel",
    "LearningCurve",
    "Prediction",
    "TrainedModel",
    "compress_model",
    "describe_model",
    "evaluate_models",
    "evaluate_report",
    "force_slope",
    "max_force_deviation",
    "nearest_distance_A",
    "read_deepmd_data",
    "read_extxyz",
    "read_labels",
    "read_learning_curve",
    "report_by_element",
    "report_by_material",
    "report_of",
    "rmse",
    "suggest_sel",
    "train_member",
    "training_input",
    "write_deepmd_data",
]
