"""Many networks trained at once on one device, as one population.

Lightning's Trainer drives one network with one optimizer and one rate. Here a step trains every member, each on its own
batch at its own rate, so training.py has a plain loop. A member computes the same as a single run in `BlockModule`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional as F

from lr_lab.data.in_memory import InMemoryDataModule
from lr_lab.modules.block import BlockModule, TrainingSummary
from lr_lab.population.graphs import Graphed
from lr_lab.population.optimizers import along, population_optimizer

CONVOLUTIONS = ("grouped", "channels_last", "matmul")

_BLOCK = 32  # steps per CUDA graph
_VAL_BATCH = 256


class MatmulConv2d(nn.Conv2d):
    """A convolution as one matrix product over patches: in a population a batched product, not a grouped convolution.

    Grouped convolutions can be slow (pytorch issues 70954, 73764). Patches take kernel height x width times the
    input's memory.
    """

    @staticmethod
    def expresses(module: nn.Module) -> bool:
        """True if a module is a convolution that this one can compute."""
        return (
            type(module) is nn.Conv2d
            and (module.groups, module.dilation, module.padding_mode) == (1, (1, 1), "zeros")
            and not isinstance(module.padding, str)
        )

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  torch's name for it
        (high, wide), (down, right) = self.kernel_size, self.stride
        above, left = cast(tuple[int, int], self.padding)
        image = F.pad(input, (left, left, above, above)).movedim(1, -1)  # (N, H, W, C)
        rows = (image.shape[1] - high) // down + 1
        columns = (image.shape[2] - wide) // right + 1
        # Slices, because the backward pass of unfold takes longer.
        shifted = [
            image[:, i : i + down * rows : down, j : j + right * columns : right]
            for i in range(high)
            for j in range(wide)
        ]
        patches = torch.cat(shifted, dim=-1).flatten(0, 2)  # (N * rows * columns, high * wide * C)
        outputs = patches @ self.weight.permute(2, 3, 1, 0).flatten(0, 2)
        if self.bias is not None:
            outputs = outputs + self.bias
        return outputs.view(-1, rows, columns, self.out_channels).movedim(-1, 1)


class Population:
    """Networks of one shape, each with its own weights, batches and rate.

    Members of equal seed share their batches. If all do, the batch is not repeated for them, and the first
    convolution is an ordinary one.

    Args:
        module: defines loss and hits.
        nets: the members with their initial weights; they are copied. All weights are trained.
        optimizers: the configuration of each member's optimizer; their `shared_settings` are equal.
        data: gives the batches; on the device to train on.
        seeds: of the members' batches.
        autocast: the type of mixed precision; None: the type of the weights.
        convolution: one of `CONVOLUTIONS`, which compute the same function: "grouped" as vmap turns convolutions into
            grouped ones, "channels_last" with the channel of the weights innermost in memory, "matmul" by
            `MatmulConv2d`.
        graphs: use CUDA graphs on a GPU.
        compiled: compile the networks by torch.compile.

    Raises:
        ValueError: a weight is frozen.

    Attributes:
        weights, buffers: by name, (members, ...) each.
        optimizer: moves the weights.
    """

    def __init__(
        self,
        module: BlockModule,
        nets: Sequence[nn.Module],
        optimizers: Sequence[Mapping[str, Any]],
        data: InMemoryDataModule,
        seeds: Sequence[int],
        autocast: torch.dtype | None = None,
        convolution: str = "grouped",
        graphs: bool = True,
        compiled: bool = False,
    ) -> None:
        if not all(weight.requires_grad for weight in nets[0].parameters()):
            raise ValueError("a network with frozen weights cannot be trained in a population")
        device = data.device
        self._module = module
        self._data = data
        self._autocast = autocast
        self._seeds = seeds
        self._streams = list(dict.fromkeys(seeds))
        # On the same device as the samples, which stay on the CPU if they are too many for the GPU.
        beside = data.train.targets.device
        self._stream_of_member = torch.tensor([self._streams.index(seed) for seed in seeds], device=beside)
        self._net = copy.deepcopy(nets[0]).to("meta")
        if convolution == "matmul":
            for layer in self._net.modules():
                if MatmulConv2d.expresses(layer):
                    layer.__class__ = MatmulConv2d
        weights, buffers = stack_module_state(list(nets))
        if convolution == "channels_last":
            weights = {name: _channels_innermost(tensor) for name, tensor in weights.items()}
        self.weights = {name: tensor.detach().to(device).requires_grad_() for name, tensor in weights.items()}
        self.buffers = {name: tensor.to(device) for name, tensor in buffers.items()}
        self.optimizer = population_optimizer(optimizers, list(self.weights.values()))
        exact = torch.float32 if device.type == "mps" else torch.float64
        self._sums = torch.zeros(len(seeds), 3, dtype=exact, device=device)
        self._losses = torch.compile(self._all_losses) if compiled else self._all_losses
        graphs = graphs and device.type == "cuda" and data.train.targets.device == device
        self._train_block = Graphed(self._take_steps, graphs)
        self._validate_block = Graphed(self._validate, graphs)

    def __len__(self) -> int:
        return len(self._seeds)

    def batches(self, epoch: int) -> list[Tensor]:
        """The batches of an epoch as indices, (streams, B) each: a row for each seed among the members.

        With augmentation they are (streams, B, 1 + choices): each index is followed by what is drawn for its picture.
        """
        orders = []
        for seed in self._streams:
            data = copy.copy(self._data)
            data.seed = seed
            order = torch.cat(data.train_batches(epoch))
            drawn = data.drawn(epoch)
            orders.append(order if drawn is None else torch.cat((order[:, None], drawn[order]), dim=1))
        return list(torch.stack(orders).split(self._data.batch_size, dim=1))

    def train_epoch(self, batches: Sequence[Tensor], rates: Tensor) -> list[TrainingSummary]:
        """Takes a step per batch.

        Args:
            batches: as from `batches`.
            rates: (steps, members).

        Returns:
            A summary of the epoch per member; reading it waits for the device.
        """
        self._net.train()
        self._sums.zero_()
        rates = rates.to(self._data.device, next(iter(self.weights.values())).dtype)
        for start in range(0, len(batches), _BLOCK):
            steps = slice(start, start + _BLOCK)
            self._train_block(rates[steps], *batches[steps])
        samples = sum(batch.shape[1] for batch in batches)
        return [
            TrainingSummary(loss / samples, hits / samples if self._module.counts_hits else None, norm / len(batches))
            for loss, hits, norm in self._sums.tolist()
        ]

    def _take_steps(self, rates: Tensor, *batches: Tensor) -> None:
        for rate, batch in zip(rates, batches, strict=True):
            index = batch[0] if len(self._streams) == 1 else batch.index_select(0, self._stream_of_member)
            drawn = None
            if self._data.augmentation is not None:
                index, drawn = index[..., 0], index[..., 1:]
            losses, hits = self._forward(self._data.train, index, drawn)
            gradients = torch.autograd.grad(losses.sum(), list(self.weights.values()))
            norms = torch.stack([torch.linalg.vector_norm(g.flatten(1), dim=1) for g in gradients])
            norm = torch.linalg.vector_norm(norms, dim=0)
            if self._module.gradient_clip is not None:
                # As torch.nn.utils.clip_grads_with_norm_ does.
                scale = (self._module.gradient_clip / (norm + 1e-6)).clamp(max=1)
                gradients = tuple(along(scale, g) * g for g in gradients)
            self.optimizer.step(gradients, rate)
            with torch.no_grad():
                self._sums += torch.stack((losses * index.shape[-1], hits, norm), dim=1)

    def _forward(self, split: Any, index: Tensor, drawn: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Losses and hits, (members,) each, on one batch (B,) or on one for each, (members, B)."""
        drawn = None if drawn is None else drawn.flatten(0, -2)
        inputs, targets = self._data.gather(split, index.flatten(), drawn)
        inputs, targets = inputs.unflatten(0, index.shape), targets.unflatten(0, index.shape)
        kind = self._data.device.type
        with torch.autocast(kind, self._autocast, enabled=self._autocast is not None, cache_enabled=False):
            return self._losses(self.weights, self.buffers, inputs, targets)

    def _all_losses(
        self, weights: dict[str, Tensor], buffers: dict[str, Tensor], inputs: Tensor, targets: Tensor
    ) -> tuple[Tensor, Tensor]:
        own = 0 if targets.dim() == 2 else None
        members = vmap(self._member_loss, in_dims=(0, 0, own, own), randomness="different")
        return members(weights, buffers, inputs, targets)

    def _member_loss(
        self, weights: dict[str, Tensor], buffers: dict[str, Tensor], inputs: Tensor, targets: Tensor
    ) -> tuple[Tensor, Tensor]:
        outputs = functional_call(self._net, (weights, buffers), (inputs,))
        loss = self._module.objective if self._net.training else self._module.criterion
        return loss(outputs, targets), self._module.hits(outputs, targets)

    @torch.no_grad()
    def evaluate(self) -> list[dict[str, float]]:
        """The validation metrics per member, under the names and in the precision of a single run's."""
        self._net.eval()
        self._sums.zero_()
        size = len(self._data.val)
        batches = torch.arange(size, device=self._data.val.targets.device).split(_VAL_BATCH)
        for start in range(0, len(batches), _BLOCK):
            self._validate_block(*batches[start : start + _BLOCK])
        names = ("val_loss", "val_accuracy") if self._module.counts_hits else ("val_loss",)
        return [dict(zip(names, means, strict=False)) for means in (self._sums / size).float().tolist()]

    def _validate(self, *batches: Tensor) -> None:
        for index in batches:
            losses, hits = self._forward(self._data.val, index)
            self._sums[:, :2] += torch.stack((losses * len(index), hits), dim=1)

    def state_dict(self) -> dict[str, Any]:
        """A copy on the CPU of everything that training changes; the first dimension counts the members."""
        state = {"weights": self.weights, "buffers": self.buffers, "optimizer": self.optimizer.state_dict()}
        return _map(lambda tensor: tensor.detach().to("cpu", copy=True), state)

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for mine, kept in ((self.weights, state["weights"]), (self.buffers, state["buffers"])):
            for name, tensor in mine.items():
                tensor.copy_(kept[name])
        self.optimizer.load_state_dict(state["optimizer"])


def _channels_innermost(tensor: Tensor) -> Tensor:
    return tensor.movedim(2, -1).contiguous().movedim(-1, 2) if tensor.dim() == 5 else tensor


def _map(function: Any, state: Any) -> Any:
    return torch.utils._pytree.tree_map(function, state)


def members_of(state: Mapping[str, Any], index: Sequence[int]) -> dict[str, Any]:
    """The state of some members out of a Population's state, in the order of `index`."""
    chosen = torch.tensor(index)
    return _map(lambda tensor: tensor[chosen] if tensor.dim() else tensor, state)


def single_state(state: Mapping[str, Any], member: int) -> tuple[dict[str, Tensor], dict[int, dict[str, Tensor]]]:
    """One member of a Population's state: the network's `state_dict`, and the optimizer's `state` by parameter."""
    net = {name: tensor[member].clone() for name, tensor in (state["weights"] | state["buffers"]).items()}
    optimizer = state["optimizer"]
    moments = {name: [tensor[member].clone() for tensor in tensors] for name, tensors in optimizer["moments"].items()}
    # torch.optim.SGD counts no steps; Adam counts them per parameter.
    counted = "exp_avg" in moments
    return net, {
        i: ({"step": optimizer["steps"].float()} if counted else {}) | {name: own[i] for name, own in moments.items()}
        for i in range(len(state["weights"]) if moments else 0)
    }
