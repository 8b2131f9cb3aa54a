"""Which weights decay: a gradient of zero leaves weight decay alone to move them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lr_lab.run import parts

BATCH_NORM = ("model=fer_cnn", "model.size=28", "model.classes=10", "model.width=0.0625")


@pytest.mark.parametrize("all_decay", ["true", "false"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_norms_and_biases_are_spared(run_config: Callable[..., dict[str, Any]], optimizer: str, all_decay: str) -> None:
    settings = (f"optimizer={optimizer}", "optimizer.weight_decay=0.5", f"decay_norms_and_biases={all_decay}")
    config = run_config(*BATCH_NORM, *settings)
    data = parts.build_data(config)
    net = parts.build_network(config, data)
    trained = parts.build_module(config, net, data, lr=0.1).configure_optimizers()
    for parameter in net.parameters():
        torch.nn.init.ones_(parameter)
        parameter.grad = torch.zeros_like(parameter)
    trained.step()
    layers = {name: type(layer) for name, layer in net.named_modules()}
    names = dict(net.named_parameters())
    for name, parameter in names.items():
        layer, _, kind = name.rpartition(".")
        spared = all_decay == "false" and (kind == "bias" or "BatchNorm" in layers[layer].__name__)
        torch.testing.assert_close(parameter.detach(), torch.full_like(parameter, 1.0 if spared else 0.95))
    assert {kind.__name__ for kind in layers.values()} >= {"Conv2d", "BatchNorm2d", "Linear"}


def test_an_optimizer_of_one_group_says_so(run_config: Callable[..., dict[str, Any]]) -> None:
    config = run_config("optimizer._target_=torch.optim.LBFGS", "~optimizer.momentum", "decay_norms_and_biases=false")
    del config["optimizer"]["weight_decay"]
    data = parts.build_data(config)
    with pytest.raises(parts.UserError, match="LBFGS doesn't support per-parameter options"):
        parts.build_module(config, parts.build_network(config, data), data, lr=0.1)
