"""Callbacks that explain a run: they add columns to history.csv and TensorBoard and leave the training as it is."""

from pathlib import Path

from lr_lab.exports import public_names

__getattr__ = public_names(__name__, Path(__file__).parent)
