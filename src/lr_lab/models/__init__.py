"""The networks of the studies: plain nn.Modules that return logits and say which data they fit."""

from pathlib import Path

from lr_lab.exports import public_names

__getattr__ = public_names(__name__, Path(__file__).parent)
