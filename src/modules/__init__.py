"""LightningModules: a network, its loss and its metrics."""
