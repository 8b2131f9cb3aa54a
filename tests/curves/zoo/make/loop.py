"""A plain PyTorch loop over a plan, for the libraries that only write what they are told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import common
import torch
from torch import nn


@dataclass(frozen=True)
class Step:
    number: int
    loss: float
    lr: float
    gradient_norm: float


@dataclass(frozen=True)
class Epoch:
    """One epoch, counted from 0; losses are means over rows, accuracies fractions (0 for regression)."""

    number: int
    steps: list[Step]
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    val_top5: float
    lr: float
    seconds: float


def network(p: common.Plan) -> nn.Sequential:
    torch.manual_seed(p.variant)
    layers: list[nn.Module] = []
    inputs = p.x.shape[1]
    for _ in range(2):
        layers += [nn.Linear(inputs, p.width), nn.ReLU(), nn.Dropout(p.dropout)]
        inputs = p.width
    return nn.Sequential(*layers, nn.Linear(inputs, p.classes or 1))


def optimizer_of(p: common.Plan, net: nn.Module) -> torch.optim.Optimizer:
    rate = p.rates[0]
    if p.optimizer == "adam":
        return torch.optim.Adam(net.parameters(), lr=rate)
    return torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9 if p.optimizer == "sgd" else 0.0)


def loss_of(p: common.Plan, out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    if p.classes:
        return nn.functional.cross_entropy(out, y)
    return nn.functional.mse_loss(out.squeeze(1), y)


def accuracy_of(p: common.Plan, out: torch.Tensor, y: torch.Tensor, k: int = 1) -> float:
    if not p.classes:
        return 0.0
    return float((out.topk(min(k, p.classes)).indices == y[:, None]).any(1).float().mean())


def train(p: common.Plan) -> Iterator[Epoch]:
    torch.set_num_threads(1)
    net = network(p)
    optimizer = optimizer_of(p, net)
    x_val, y_val = torch.from_numpy(p.x_val), torch.from_numpy(p.y_val)
    for number in range(p.epochs):
        start, steps, losses, right, rows = time.perf_counter(), [], 0.0, 0.0, 0
        net.train()
        for i, (x, y) in enumerate(p.batches(number)):
            step = number * p.steps + i
            rate = p.rates[step]
            optimizer.param_groups[0]["lr"] = rate
            target = torch.from_numpy(y)
            out = net(torch.from_numpy(x))
            loss = loss_of(p, out, target)
            optimizer.zero_grad()
            loss.backward()
            norm = float(nn.utils.clip_grad_norm_(net.parameters(), float("inf")))
            optimizer.step()
            steps.append(Step(step, loss.item(), rate, norm))
            losses += loss.item() * len(y)
            right += accuracy_of(p, out, target) * len(y)
            rows += len(y)
        net.eval()
        with torch.no_grad():
            out = net(x_val)
            val_loss = loss_of(p, out, y_val).item()
            top1, top5 = (accuracy_of(p, out, y_val, k) for k in (1, 5))
        seconds = time.perf_counter() - start
        yield Epoch(number, steps, losses / rows, right / rows, val_loss, top1, top5, p.rate_of(number), seconds)


def curve_of(p: common.Plan, epochs: list[Epoch]) -> common.Curve:
    return common.Curve(
        [e.train_loss for e in epochs],
        [e.val_loss for e in epochs],
        [e.lr for e in epochs],
        p.classes,
        [s.loss for e in epochs for s in e.steps],
    )
