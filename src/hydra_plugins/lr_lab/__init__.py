"""Thin shells of the launchers. Hydra looks for launchers in this package and nowhere else."""
