"""Measurements on trial populations, as far as a CPU allows."""

from collections.abc import Callable
from typing import Any

from lr_lab.population.members import Options, build_member
from lr_lab.population.trials import fastest_convolution
from lr_lab.run import parts

Configure = Callable[..., dict[str, Any]]


def test_the_fastest_convolution_is_measured_only_where_it_may_differ(
    run_config: Configure,
) -> None:
    config = run_config()
    data = parts.build_data(config)
    data.setup()
    member = build_member(config, data)
    assert fastest_convolution([member], data, Options()) == "grouped"
    assert fastest_convolution([member], data, Options(convolution="matmul")) == "matmul"
