"""Validation as it would be if nobody had called `eval()`: a common mistake, beside the right numbers."""

from __future__ import annotations

import copy

import pytorch_lightning as pl
import torch

from lr_lab.modules.block import BlockModule
from lr_lab.probes.probe import Probe, undisturbed


class NoEval(Probe):
    """Columns `no_eval/val_loss` and `no_eval/val_accuracy`: validation of the network as if left in training mode.

    Batch norm then normalises each batch, of the training's batch size and in the order of the split, by its own mean
    and variance, and dropout stays on. The network itself is untouched: a copy is measured, in the precision that
    validation has, of the averaged network if there is one. A last batch so small that batch norm refuses it is left
    out; NaN if no batch is left.

    Costs a validation.

    Args:
        every: as for every Probe.
    """

    def __init__(self, every: int = 1) -> None:
        super().__init__(samples=None, every=every)

    def measure_now(self, trainer: pl.Trainer, module: BlockModule) -> dict[str, float]:
        if trainer.current_epoch % self.every:
            return {}
        data = trainer.datamodule  # type: ignore[attr-defined]
        batches = torch.arange(len(data.val), device=data.val.targets.device).split(data.batch_size)
        sums = torch.zeros(3, device=module.device)  # of losses, of hits, of samples
        with undisturbed(module), torch.no_grad(), trainer.precision_plugin.forward_context():
            net = copy.deepcopy(module.validated).train()
            for batch in batches:
                inputs, targets = data.gather(data.val, batch)
                try:
                    outputs = net(inputs)
                except ValueError:  # batch norm, of a single value per channel
                    continue
                loss, hits = module.criterion(outputs, targets) * len(batch), module.hits(outputs, targets)
                sums += torch.stack((loss, hits, torch.full_like(loss, len(batch))))
        loss, accuracy = (sums[:2] / sums[2]).tolist()
        return {"no_eval/val_loss": loss} | ({"no_eval/val_accuracy": accuracy} if module.counts_hits else {})
