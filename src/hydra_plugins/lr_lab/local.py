"""hydra/launcher=local: this machine, a process for each run."""

from hydra_plugins.lr_lab._shell import Shell


class LocalLauncher(Shell):
    """See lr_lab.sweep.local.LocalLauncher."""

    machinery = "lr_lab.sweep.local.LocalLauncher"
