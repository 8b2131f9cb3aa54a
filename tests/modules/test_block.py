"""The block-wise training step against its slow twin, a plain loop of one batch at a time."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from lr_lab.chance import stream
from lr_lab.modules.classification import Classification
from lr_lab.run import parts
from lr_lab.run.folder import RunFolder, run_path
from lr_lab.run.training import train

Configure = Callable[..., dict[str, Any]]


def channels_last(net: torch.nn.Module) -> torch.nn.Module:
    for tensor in (*net.parameters(), *net.buffers()):
        if tensor.dim() == 4:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
    return net


def plain_loop(config: dict[str, Any], autocast: bool = False) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Training losses by epoch and final weights, as anybody would write it down."""
    data = parts.build_data(config)
    data.setup()
    net = channels_last(parts.build_network(config, data))
    optimizer = parts.build(config["optimizer"])(net.parameters(), lr=config["lr"])
    losses = []
    for epoch in range(config["epochs"]):
        torch.manual_seed(stream(config["seed"], "dropout", epoch))
        net.train()
        total = 0.0
        for index in data.train_batches(epoch):
            inputs, targets = data.gather(data.train, index)
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
                loss = F.cross_entropy(net(inputs), targets)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(targets)
        losses.append(total / len(data.train))
    return losses, net.state_dict()


@pytest.mark.parametrize(
    "overrides",
    [
        ("optimizer=momentum",),
        ("optimizer=adam", "lr=0.001", "optimizer.weight_decay=0.01"),
        ("model.dropout=0.4",),
        ("model=fer_cnn", "model.size=28", "model.classes=10", "model.width=0.125"),  # batch norm
    ],
)
def test_a_run_equals_the_plain_loop(run_config: Configure, overrides: tuple[str, ...]) -> None:
    config = run_config("sequence=constant", "batch_size=20", *overrides)  # 256 = 12 * 20 + 16: a ragged batch
    losses, weights = plain_loop(config)
    train(config)
    folder = RunFolder(run_path(config))
    assert [row["train_loss"] for row in folder.history()] == pytest.approx(losses, rel=1e-6)
    trained = torch.load(folder.checkpoint_file)["state_dict"]
    for name, weight in weights.items():
        torch.testing.assert_close(trained[f"net.{name}"], weight, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("strategy", ["epoch", "every_step"])
def test_histories_do_not_depend_on_the_size_of_blocks(run_config: Configure, strategy: str) -> None:
    histories = []
    for size in (1, 5, 100):
        config = run_config(f"study=blocks{size}", f"data.block_size={size}", "batch_size=20", f"strategy={strategy}")
        train(config)
        history = RunFolder(run_path(config)).history()
        histories.append([{k: v for k, v in row.items() if k != "seconds"} for row in history])
    assert histories[0] == histories[1] == histories[2]


def test_low_precision_follows_the_weights_within_a_block(run_config: Configure) -> None:
    config = run_config("sequence=constant", "trainer.precision=bf16-mixed", "lr=0.1", "batch_size=32", "epochs=2")
    losses, _ = plain_loop(config, autocast=True)
    train(config)
    assert [row["train_loss"] for row in RunFolder(run_path(config)).history()] == pytest.approx(losses, rel=1e-2)


def test_history_columns_against_a_computation_of_their_own(run_config: Configure) -> None:
    config = run_config("epochs=1", "batch_size=64", "sequence=constant", "data.limit=null")
    train(config)
    row = RunFolder(run_path(config)).history()[0]
    data = parts.build_data(config)
    data.setup()
    net = parts.build_network(config, data)
    optimizer = torch.optim.SGD(net.parameters(), lr=config["lr"])
    norms, hits = [], 0
    for index in data.train_batches(0):
        inputs, targets = data.gather(data.train, index)
        optimizer.zero_grad()
        outputs = net(inputs)
        F.cross_entropy(outputs, targets).backward()
        norms.append(torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]).norm().item())
        hits += int((outputs.argmax(1) == targets).sum())
        optimizer.step()
    with torch.no_grad():
        inputs, targets = data.gather(data.val, torch.arange(len(data.val)))  # 359: validated as 256 and 103
        outputs = net.eval()(inputs)
    assert row["gradient_norm"] == pytest.approx(sum(norms) / len(norms), rel=1e-5)
    assert row["train_accuracy"] == pytest.approx(hits / len(data.train))
    assert row["val_loss"] == pytest.approx(F.cross_entropy(outputs, targets).item(), rel=1e-5)
    assert row["val_accuracy"] == pytest.approx((outputs.argmax(1) == targets).float().mean().item(), rel=1e-5)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_the_untrained_network_is_validated_as_any_other_and_then_trained(
    run_config: Configure, precision: str
) -> None:
    """Without dropout, in the run's precision; afterwards dropout acts again."""
    losses, state = [], {}
    for baseline in ("first_epoch", "untrained"):
        config = run_config(
            f"study={baseline}",
            f"strategy.baseline={baseline}",
            *("strategy=cutoff", "strategy.ratio=0.5", "model.dropout=0.5", "epochs=1", "lr=0.1"),
            f"trainer.precision={precision}",
        )
        train(config)
        losses.append(RunFolder(run_path(config)).history()[0]["train_loss"])
        state = torch.load(RunFolder(run_path(config)).checkpoint_file)["callbacks"]["Schedule"]["strategy"]
    assert losses[0] == losses[1]
    data = parts.build_data(config)
    data.setup()
    net = channels_last(parts.build_network(config, data)).eval()
    inputs, targets = data.gather(data.val, torch.arange(len(data.val)))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
        untrained = F.cross_entropy(net(inputs), targets).item()
    shrink = config["strategy"]["shrink"] if abs(state["loss"] - untrained) < 0.5 * untrained else 1
    assert state["cutoff"] == pytest.approx(0.5 * untrained * shrink, rel=1e-6)


def test_a_batch_whose_loss_is_not_a_number_is_not_left_out() -> None:
    module = Classification(torch.nn.Linear(2, 2), lambda parameters: torch.optim.SGD(parameters, lr=0.1), 0, 2)
    targets = torch.tensor([0, 1])
    batches: Any = [(torch.ones(2, 2), targets), (torch.full((2, 2), torch.nan), targets)]
    module.validation_step(batches, 0)
    assert math.isnan(module._take_metrics()["val_loss"])


def test_long_gradients_are_shortened_and_their_whole_length_is_recorded(run_config: Configure) -> None:
    config = run_config("gradient_clip=2.5", "lr=0.02", "optimizer=momentum", "batch_size=20", "epochs=2")
    train(config)
    data = parts.build_data(config)
    data.setup()
    net = channels_last(parts.build_network(config, data))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
    norms = []
    for epoch in range(2):
        for index in data.train_batches(epoch):
            inputs, targets = data.gather(data.train, index)
            optimizer.zero_grad()
            F.cross_entropy(net(inputs), targets).backward()
            norms.append(torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]).norm().item())
            for parameter in net.parameters():
                parameter.grad = parameter.grad * min(1.0, 2.5 / norms[-1]) if parameter.grad is not None else None
            optimizer.step()
    assert min(norms) < 2.5 < max(norms)
    folder = RunFolder(run_path(config))
    steps = len(norms) // 2
    recorded = [row["gradient_norm"] for row in folder.history()]
    assert recorded == pytest.approx([sum(norms[:steps]) / steps, sum(norms[steps:]) / steps], rel=1e-4)
    trained = torch.load(folder.checkpoint_file)["state_dict"]
    for name, weight in net.state_dict().items():
        torch.testing.assert_close(trained[f"net.{name}"], weight, rtol=1e-4, atol=1e-6)


BATCH_NORM = ("model=fer_cnn", "model.size=28", "model.classes=10", "model.width=0.0625")
AVERAGED = (*BATCH_NORM, "ema=0.75", "data.limit=60", "batch_size=20", "lr=0.1")


def test_the_average_of_three_steps_is_validated(run_config: Configure) -> None:
    """Of weights and of batch norm's statistics: 0.75 (0.75 w_1 + 0.25 w_2) + 0.25 w_3."""
    config = run_config(*AVERAGED, "epochs=1", "model.dropout=0")
    train(config)
    data = parts.build_data(config)
    data.setup()
    net = channels_last(parts.build_network(config, data))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    states = []
    for index in data.train_batches(0):
        inputs, targets = data.gather(data.train, index)
        optimizer.zero_grad()
        F.cross_entropy(net(inputs), targets).backward()
        optimizer.step()
        states.append({name: value.clone() for name, value in net.state_dict().items()})
    first, second, third = states
    average = {
        name: 0.75 * (0.75 * first[name] + 0.25 * second[name]) + 0.25 * third[name]
        for name, value in third.items()
        if value.is_floating_point()
    }
    folder = RunFolder(run_path(config))
    kept = torch.load(folder.checkpoint_file)["state_dict"]
    for name, value in average.items():
        torch.testing.assert_close(kept[f"averaged.module.{name}"], value, rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(kept[f"net.{name}"], third[name], rtol=1e-5, atol=1e-7)
    net.load_state_dict(average, strict=False)  # batch norm counts its batches and never reads the count
    inputs, targets = data.gather(data.val, torch.arange(len(data.val)))
    with torch.no_grad():
        loss = F.cross_entropy(net.eval()(inputs), targets).item()
    assert folder.history()[0]["val_loss"] == pytest.approx(loss, rel=1e-5)


def test_an_interrupted_average_goes_on(run_config: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, broken = (run_config(*AVERAGED, f"study={study}", "optimizer=momentum") for study in ("whole", "broken"))
    train(whole)
    begin = Classification.on_train_epoch_start

    def interrupt(self: Classification) -> None:
        if self.current_epoch == 2:
            raise RuntimeError("interrupted")
        begin(self)

    with monkeypatch.context() as patch:
        patch.setattr(Classification, "on_train_epoch_start", interrupt)
        with pytest.raises(RuntimeError, match="interrupted"):
            train(broken)
    train(broken)
    histories = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in RunFolder(run_path(config)).history()]
        for config in (whole, broken)
    ]
    assert histories[0] == histories[1]


def test_a_run_starts_from_the_average_that_another_validated(run_config: Configure) -> None:
    config = run_config(*AVERAGED, "epochs=1")
    train(config)
    file = RunFolder(run_path(config)).checkpoint_file
    kept = torch.load(file)["state_dict"]
    started = parts.build_network(run_config(*BATCH_NORM, f"init_from={file}"), parts.build_data(config))
    for name, value in started.state_dict().items():
        assert torch.equal(value, kept[f"averaged.module.{name}"])
