"""Datasets, decoded once and served as index-gathered batches from tensors in memory."""

from pathlib import Path

from lr_lab.exports import public_names

__getattr__ = public_names(__name__, Path(__file__).parent)
