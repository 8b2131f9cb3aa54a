"""How a sweep is spread over GPUs, cores or a cluster. Hydra looks for launchers in this package and nowhere else."""
