"""hydra/launcher=slurm: a Slurm cluster."""

from hydra_plugins.lr_lab._shell import Shell


class SlurmLauncher(Shell):
    """See lr_lab.sweep.slurm.SlurmLauncher."""

    machinery = "lr_lab.sweep.slurm.SlurmLauncher"
