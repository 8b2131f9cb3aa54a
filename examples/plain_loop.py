"""The rates of lr-lab in a plain loop, without Lightning: `Position` says the rate and is told the validation loss.

`python examples/plain_loop.py` trains a small network on random numbers and prints the rate of each epoch.
`--epochs=6 --checkpoint=FILE` goes on from a checkpoint, at the rate that the training stood at.
"""

import argparse

import torch
from lr_lab.schedule import Cutoff, Exponential, Position
from torch import nn


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--epochs", type=int, default=12)
    arguments.add_argument("--checkpoint")
    asked = arguments.parse_args()
    torch.manual_seed(0)
    inputs = torch.randn(512, 8)
    targets = inputs.sum(dim=1, keepdim=True).sin()
    net = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
    position = Position(Exponential(lr=0.01), Cutoff())
    optimizer = torch.optim.SGD(net.parameters(), lr=position.rate, momentum=0.9)
    first = 0
    if asked.checkpoint:
        kept = torch.load(asked.checkpoint)
        net.load_state_dict(kept["net"])
        optimizer.load_state_dict(kept["optimizer"])
        position.load_state_dict(kept["position"])
        first = kept["epochs"]
    for epoch in range(first, asked.epochs):
        for group in optimizer.param_groups:
            group["lr"] = position.rate
        print(f"epoch {epoch} rate {optimizer.param_groups[0]['lr']!r}", flush=True)
        for batch in torch.arange(256).split(32):
            optimizer.zero_grad()
            nn.functional.mse_loss(net(inputs[batch]), targets[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            val_loss = nn.functional.mse_loss(net(inputs[256:]), targets[256:]).item()
        print(f"epoch {epoch} val_loss {val_loss!r}", flush=True)
        position.observe(epoch, val_loss)
    kept = {"net": net.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(kept | {"position": position.state_dict(), "epochs": asked.epochs}, "plain_loop.ckpt")


if __name__ == "__main__":
    main()
