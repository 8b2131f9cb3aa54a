"""Callbacks that explain a run: what they measure goes into history.csv and TensorBoard, training stays as it is."""

from pathlib import Path

from lr_lab.exports import public_names

__getattr__ = public_names(__name__, Path(__file__).parent)
