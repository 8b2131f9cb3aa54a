"""How the learning rate moves: sequences say what the next rate is, strategies say when it is taken."""

from pathlib import Path

from lr_lab.exports import public_names

__getattr__ = public_names(__name__, Path(__file__).parent)
