"""The population against its slow twins: the same runs trained one after the other by torch.optim, in float64."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from lr_lab.data.in_memory import InMemoryDataModule, Split
from lr_lab.data.line import Line
from lr_lab.modules.regression import Regression
from lr_lab.population.network import CONVOLUTIONS, MatmulConv2d, Population, members_of, single_state
from lr_lab.run import parts

Config = dict[str, Any]
Configure = Callable[..., Config]

# 54 samples in batches of 16: four steps an epoch, the last of them on 6 samples; five epochs are 20 steps.
_EPOCHS = 5
_OVERRIDES = ("data.limit=54", "batch_size=16", f"epochs={_EPOCHS}")
_NETWORKS = {
    "mnist_cnn": ("model.width=0.1",),
    "fer_cnn": ("model=fer_cnn", "model.width=0.04"),  # has batch norm
    "resnet20": ("model=resnet20", "epochs=1", "data.limit=20", "batch_size=10"),
}


def double(data: InMemoryDataModule) -> InMemoryDataModule:
    """The data with inputs in float64."""
    gather = data.gather

    def gather_double(split: Split, index: Tensor, drawn: Tensor | None = None) -> tuple[Tensor, Tensor]:
        inputs, targets = gather(split, index, drawn)
        return inputs.double(), targets

    data.gather = gather_double  # type: ignore[method-assign]
    return data


def population_of(configs: Sequence[Config], exact: bool = True, **arguments: Any) -> Population:
    """The runs as a population, in float64 if `exact`."""
    data = parts.build_data(configs[0])
    data.setup()
    nets = [parts.build_network(config, data) for config in configs]
    if exact:
        double(data)
        nets = [net.double() for net in nets]
    module = parts.build_module(configs[0], parts.build_network(configs[0], data), data, 0.1)
    optimizers, seeds = [config["optimizer"] for config in configs], [config["seed"] for config in configs]
    return Population(module, nets, optimizers, data, seeds, **arguments)


def train_together(configs: Sequence[Config], **arguments: Any) -> Population:
    population = population_of(configs, **arguments)
    for epoch in range(configs[0]["epochs"]):
        batches = population.batches(epoch)
        rates = torch.tensor([[config["lr"] / (epoch + 1) for config in configs]] * len(batches), dtype=torch.float64)
        population.train_epoch(batches, rates)
    return population


def train_singly(config: Config) -> nn.Module:
    """The same steps by torch.optim."""
    data = double(parts.build_data(config))
    data.setup()
    net = parts.build_network(config, data).double()
    optimizer = parts.build_module(config, net, data, config["lr"]).configure_optimizers()
    for epoch in range(config["epochs"]):
        optimizer.param_groups[0]["lr"] = config["lr"] / (epoch + 1)
        for inputs, targets in data.train_epoch(epoch):
            optimizer.zero_grad()
            smoothing = config["label_smoothing"]
            nn.functional.cross_entropy(net(inputs), targets, label_smoothing=smoothing).backward()
            if config["gradient_clip"]:
                nn.utils.clip_grad_norm_(net.parameters(), config["gradient_clip"])
            optimizer.step()
    return net


def assert_members_are(population: Population, nets: Sequence[nn.Module], without: Collection[str] = ()) -> None:
    for member, net in enumerate(nets):
        for name, expected in net.state_dict().items():
            if name not in without:
                # A bias before batch norm has no gradient but rounding; hence the absolute tolerance.
                found = (population.weights | population.buffers)[name][member]
                assert_close(found, expected, rtol=1e-5, atol=1e-12)


_HALF = ("lr=0.02", "optimizer.momentum=0.5", "optimizer.weight_decay=0.01")
_UNUSUAL = ("optimizer.betas=[0.5,0.9]", "+optimizer.eps=0.01")
_OPTIMIZERS = {
    "sgd": (("lr=0.05",), ("lr=0.2", "optimizer.weight_decay=0.01")),
    "momentum": (
        ("lr=0.05",),
        _HALF,
        ("lr=0.1", "optimizer.momentum=0"),
    ),
    "nesterov": (("lr=0.05",), _HALF),
    "adam": (("lr=0.001", *_UNUSUAL), ("lr=0.003", "optimizer.weight_decay=0.01", *_UNUSUAL)),
    "adamw": (("lr=0.001", "~optimizer.weight_decay"), ("lr=0.003", "optimizer.weight_decay=0.1")),
}


@pytest.mark.parametrize("seeds", [(0, 0), (0, 1)])
def test_members_see_the_augmented_pictures_of_their_seed(run_config: Configure, seeds: tuple[int, int]) -> None:
    overrides = (*_OVERRIDES, *_NETWORKS["mnist_cnn"], "augment=cutout", "lr=0.05")
    configs = [run_config(*overrides, f"seed={seed}") for seed in seeds]
    assert_members_are(train_together(configs), [train_singly(config) for config in configs])


@pytest.mark.parametrize(
    ("network", "optimizer"),
    [
        *(("mnist_cnn", optimizer) for optimizer in _OPTIMIZERS),
        ("fer_cnn", "momentum"),
        ("fer_cnn", "adamw"),
        ("resnet20", "momentum"),
    ],
)
def test_members_equal_the_same_runs_trained_singly(run_config: Configure, network: str, optimizer: str) -> None:
    configs = [
        run_config(*_OVERRIDES, *_NETWORKS[network], f"optimizer={optimizer}", f"seed={seed}", *settings)
        for seed, settings in enumerate(_OPTIMIZERS[optimizer])
    ]
    population = train_together(configs)
    nets = [train_singly(config) for config in configs]
    # Adam makes whole steps of what is mere rounding: the gradient of a bias before batch norm, which the norm undoes.
    adam = optimizer in ("adam", "adamw")
    undone = {f"{name}.bias" for name, layer in nets[0].named_modules() if isinstance(layer, nn.Conv2d)}
    means = {name for name in nets[0].state_dict() if name.endswith("running_mean")}
    assert_members_are(population, nets, without=undone | means if adam and means else ())


def test_members_are_smoothed_and_clipped_each_by_its_own_gradient(run_config: Configure) -> None:
    overrides = (*_OVERRIDES, *_NETWORKS["mnist_cnn"], "label_smoothing=0.2", "gradient_clip=0.3")
    configs = [run_config(*overrides, f"lr={lr}", f"seed={seed}") for seed, lr in enumerate((0.05, 0.5))]
    population = train_together(configs)
    nets = [train_singly(config) for config in configs]
    assert_members_are(population, nets)
    data = double(parts.build_data(configs[0]))
    data.setup()
    inputs, targets = data.gather(data.val, torch.arange(len(data.val)))
    plain = [nn.functional.cross_entropy(net.eval()(inputs), targets).item() for net in nets]
    assert [metrics["val_loss"] for metrics in population.evaluate()] == pytest.approx(plain, rel=1e-5)


def test_members_of_one_seed_share_their_batches(run_config: Configure) -> None:
    configs = [run_config(*_OVERRIDES, *_NETWORKS["mnist_cnn"], f"lr={lr}", "seed=3") for lr in (0.05, 0.1)]
    population = train_together(configs)
    assert [batch.shape for batch in population.batches(0)] == [(1, 16)] * 3 + [(1, 6)]
    assert_members_are(population, [train_singly(config) for config in configs])


@pytest.mark.parametrize("convolution", CONVOLUTIONS)
def test_the_ways_to_convolve_are_one_function(run_config: Configure, convolution: str) -> None:
    configs = [
        run_config(*_OVERRIDES, *_NETWORKS["fer_cnn"], f"seed={seed}", "epochs=2", "data.limit=40") for seed in (0, 1)
    ]
    usual, other = train_together(configs), train_together(configs, convolution=convolution)
    for name, weights in usual.weights.items():
        assert_close(other.weights[name], weights, rtol=1e-5, atol=1e-12)
    assert other.evaluate() == [pytest.approx(metrics, rel=1e-6) for metrics in usual.evaluate()]


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "bias"),
    [(3, 1, 1, True), (3, 2, 0, True), ((3, 5), (2, 1), (1, 2), False), (1, 1, 0, True), (4, 3, 2, True)],
)
def test_a_convolution_is_a_matrix_product(kernel: Any, stride: Any, padding: Any, bias: bool) -> None:
    convolution = nn.Conv2d(3, 5, kernel, stride=stride, padding=padding, bias=bias).double()
    images = torch.rand(2, 3, 11, 9, dtype=torch.float64)
    expected = convolution(images)
    assert MatmulConv2d.expresses(convolution)
    convolution.__class__ = MatmulConv2d
    assert_close(convolution(images), expected)


@pytest.mark.parametrize("unusual", [{"groups": 3}, {"dilation": 2}, {"padding_mode": "reflect"}, {"padding": "same"}])
def test_other_convolutions_are_left_alone(unusual: dict[str, Any]) -> None:
    assert not MatmulConv2d.expresses(nn.Conv2d(3, 6, 3, **unusual))


def test_dropout_is_drawn_for_each_member_and_by_the_seed(run_config: Configure) -> None:
    configs = [run_config("model.dropout=0.5", "model.width=0.1", "epochs=1", "lr=0.1")] * 2

    def weights() -> Tensor:
        torch.manual_seed(5)
        return train_together(configs).weights["classifier.5.weight"]

    first = weights()
    assert not torch.equal(first[0], first[1])
    assert torch.equal(first, weights())


def test_what_is_not_a_number_stays_with_its_member(run_config: Configure) -> None:
    overrides = ("model=simple_cnn", "model.width=0.5", "epochs=2")  # its second convolution is a grouped one
    sound, broken = run_config("lr=0.05", *overrides), run_config("lr=1e30", *overrides)
    alone = train_together([sound, sound], exact=False)
    beside = train_together([sound, broken], exact=False)
    assert torch.isnan(beside.weights["features.3.weight"][1]).all()
    for name, weights in alone.weights.items():
        assert torch.equal(beside.weights[name][0], weights[0])


def test_an_epoch_is_summed_up_as_by_a_single_run(run_config: Configure) -> None:
    config = run_config(*_OVERRIDES, *_NETWORKS["mnist_cnn"], "lr=0.05")
    data = double(parts.build_data(config))
    data.setup()
    net = parts.build_network(config, data).double()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    losses, hits, norms = [], 0, []
    for index in data.train_batches(0):
        inputs, targets = data.gather(data.train, index)
        optimizer.zero_grad()
        outputs = net(inputs)
        loss = nn.functional.cross_entropy(outputs, targets)
        loss.backward()
        norms.append(nn.utils.get_total_norm([p.grad for p in net.parameters() if p.grad is not None]).item())
        losses.append(loss.item() * len(targets))
        hits += (outputs.argmax(1) == targets).sum().item()
        optimizer.step()
    population = population_of([config] * 3)
    batches = population.batches(0)
    _, summary, _ = population.train_epoch(batches, torch.full((len(batches), 3), 0.05))
    assert summary.loss == pytest.approx(sum(losses) / 54)
    assert summary.accuracy == hits / 54
    assert summary.gradient_norm == pytest.approx(sum(norms) / 4)


def test_validation_counts_every_sample_alike(run_config: Configure) -> None:
    config = run_config(*_NETWORKS["mnist_cnn"], "data.limit=null")  # 359 samples: 256 and 103
    data = double(parts.build_data(config))
    data.setup()
    inputs, targets = data.gather(data.val, torch.arange(len(data.val)))
    outputs = parts.build_network(config, data).double()(inputs)
    loss, hits = nn.functional.cross_entropy(outputs, targets), (outputs.argmax(1) == targets).double()
    expected = {"val_loss": loss.item(), "val_accuracy": hits.mean().item()}
    assert population_of([config]).evaluate() == [pytest.approx(expected, rel=1e-6)]


def test_a_network_with_frozen_weights_is_refused(run_config: Configure) -> None:
    config = run_config(*_NETWORKS["mnist_cnn"])
    data = parts.build_data(config)
    data.setup()
    net = parts.build_network(config, data)
    net.features.requires_grad_(False)
    module = parts.build_module(config, net, data, 0.1)
    with pytest.raises(ValueError, match="frozen weights cannot be trained in a population"):
        Population(module, [net], [config["optimizer"]], data, [0])


def test_regression_in_a_population() -> None:
    data = Line(batch_size=100, seed=0)
    data.setup()
    nets = [nn.Linear(data.train.inputs.shape[1], 1, bias=False) for _ in range(2)]
    for net in nets:
        nn.init.zeros_(net.weight)
    rates = (0.1, 0.7)
    module = Regression(nets[0], lambda parameters: torch.optim.SGD(parameters, lr=0.1), seed=0)
    population = Population(module, nets, [{"_target_": "torch.optim.SGD"}] * 2, data, [0, 0])
    for epoch in range(10):
        population.train_epoch(population.batches(epoch), torch.tensor([rates]))
    inputs, targets = data.gather(data.train, torch.arange(len(data.train)))
    for member, rate in enumerate(rates):
        weights = torch.zeros(inputs.shape[1])
        for _ in range(10):
            weights -= rate * 2 / len(targets) * inputs.T @ (inputs @ weights - targets)
        assert_close(population.weights["weight"][member, 0], weights)
    assert set(population.evaluate()[0]) == {"val_loss"}


def test_a_state_goes_on_in_another_population_with_some_of_the_members(run_config: Configure) -> None:
    configs = [
        run_config(*_OVERRIDES, *_NETWORKS["fer_cnn"], "optimizer=adam", "lr=0.001", f"seed={seed}")
        for seed in range(3)
    ]
    whole = train_together(configs)
    part = population_of([configs[2], configs[0]])
    part.load_state_dict(members_of(whole.state_dict(), [2, 0]))
    for population, rates in ((whole, 3), (part, 2)):
        batches = population.batches(_EPOCHS)
        population.train_epoch(batches, torch.full((len(batches), rates), 0.002))
    for name, weights in whole.weights.items():
        assert_close(part.weights[name], weights[[2, 0]], rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adamw"])
def test_a_members_state_goes_on_under_torch_optim(run_config: Configure, optimizer: str) -> None:
    configs = [
        run_config(*_OVERRIDES, *_NETWORKS["mnist_cnn"], f"optimizer={optimizer}", f"seed={seed}", "lr=0.002")
        for seed in (0, 1)
    ]
    population = train_together(configs)
    state, moments = single_state(population.state_dict(), 1)
    data = double(parts.build_data(configs[1]))
    data.setup()
    net = parts.build_network(configs[1], data).double()
    net.load_state_dict(state)
    alone = parts.build_module(configs[1], net, data, 0.002).configure_optimizers()
    alone.load_state_dict({"state": moments, "param_groups": alone.state_dict()["param_groups"]})
    for index in data.train_batches(_EPOCHS):
        inputs, targets = data.gather(data.train, index)
        alone.zero_grad()
        nn.functional.cross_entropy(net(inputs), targets).backward()
        alone.step()
    batches = population.batches(_EPOCHS)
    population.train_epoch(batches, torch.full((len(batches), 2), 0.002))
    for name, parameter in net.named_parameters():
        assert_close(population.weights[name][1], parameter, rtol=1e-5, atol=1e-12)


def test_mixed_precision_is_near_full(run_config: Configure) -> None:
    configs = [run_config("model.width=0.1", "epochs=2", "lr=0.05", f"seed={seed}") for seed in (0, 1)]
    full, mixed = train_together(configs, exact=False), train_together(configs, exact=False, autocast=torch.bfloat16)
    for a, b in zip(full.evaluate(), mixed.evaluate(), strict=True):
        assert a["val_loss"] != b["val_loss"]
        assert b["val_loss"] == pytest.approx(a["val_loss"], rel=0.02)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
def test_cuda_graphs_are_the_steps_one_by_one(run_config: Configure) -> None:
    configs = [run_config("model.width=0.1", "lr=0.05", f"seed={seed}", "epochs=4") for seed in (0, 1)]
    results = []
    for graphs in (False, True):
        population = population_of(configs)
        population._data.to("cuda")
        nets = [parts.build_network(config, population._data) for config in configs]
        optimizers = [config["optimizer"] for config in configs]
        other = Population(population._module, nets, optimizers, population._data, [0, 1], graphs=graphs)
        for epoch in range(4):
            batches = other.batches(epoch)
            other.train_epoch(batches, torch.full((len(batches), 2), 0.05))
        results.append(other)
    plain, graphed = results
    assert len(graphed._train_block._graphs) > 0
    for name, weights in plain.weights.items():
        assert_close(graphed.weights[name], weights, rtol=1e-4, atol=1e-6)
