"""The networks of the studies: plain nn.Modules that return logits."""

from pathlib import Path

from lr_lab.exports import public_names

__getattr__ = public_names(__name__, Path(__file__).parent)
