"""Training curves: reading them from logs, diagnosis and advice."""
