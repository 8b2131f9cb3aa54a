"""Changes of training pictures, drawn anew each epoch and made to a whole batch at once."""

from pathlib import Path

from lr_lab.exports import public_names

__getattr__ = public_names(__name__, Path(__file__).parent)
