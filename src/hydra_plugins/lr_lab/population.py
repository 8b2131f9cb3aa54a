"""hydra/launcher=population: many runs trained as one population."""

from hydra_plugins.lr_lab._shell import Shell


class PopulationLauncher(Shell):
    """See lr_lab.sweep.population.PopulationLauncher."""

    machinery = "lr_lab.sweep.population.PopulationLauncher"
