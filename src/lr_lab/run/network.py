"""The network of a run: built with its initial weights, and tried on two samples before anything is trained."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from lr_lab.chance import stream
from lr_lab.curves.readers.lab_run import classes_of
from lr_lab.data.in_memory import InMemoryDataModule
from lr_lab.errors import UserError
from lr_lab.modules.block import keep_contiguous, network_weights
from lr_lab.run.building import Config, build, reason
from lr_lab.run.fitting import differing, facts_of


def build_network(config: Config, data: InMemoryDataModule) -> nn.Module:
    """The network with its initial weights: drawn from the seed alone, or read from `init_from`.

    Raises:
        UserError: the network does not fit the data, or `init_from` does not fit the network.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(config["seed"], "weights"))
        net = _built(config)
        _check_fit(config, net, data)
    if config["init_from"]:
        _load_weights(config, net)
    return net


def _built(config: Config) -> Any:
    try:
        return build(config["model"])
    except UserError as error:
        if str(config["model"]["_target_"]).startswith("lr_lab."):  # these say which choice it is
            raise
        raise UserError(f"model={config['names']['model']} cannot be built: {str(error).rstrip('.')}.") from error


def _check_fit(config: Config, net: nn.Module, data: InMemoryDataModule) -> None:
    """Passes two samples of zeros through the network, as it is validated and then, on a copy, as it is trained.

    The first pass draws the weights of torch's lazy layers. The second may differ: in training, inception_v3 of
    torchvision returns two outputs, and channels are innermost in memory (`BlockModule`). A network that reshapes with
    `view` cannot take that, and gets its channels outermost.

    Raises:
        UserError: the network does not take the samples, or does not return one output for each class.
    """
    name, source = config["names"]["model"], config["names"]["data"]
    if not isinstance(net, nn.Module):
        raise UserError(
            f"model={name} makes an object of type {type(net).__name__}; name a class or function that makes a "
            "torch.nn.Module."
        )
    advice = _advice(config["model"], data)
    if (told := classes_of(config)) != data.classes:
        raise UserError(f"model={name} is set to {told} classes, but data={source} has {data.classes}; {advice}.")
    inputs = torch.zeros(2, *data.input_shape)
    try:
        with torch.no_grad():
            outputs = (net.eval()(inputs), _trained_on(net.train(), inputs))
    except Exception as error:  # a network of a person's own may raise anything
        kind = "" if isinstance(error, RuntimeError | ValueError) else f"{type(error).__name__}: "
        raise UserError(
            f"model={name} does not take two samples of data={source}, {_shape(inputs)} ({kind}{reason(error)}); "
            f"{advice}."
        ) from error
    for output in outputs:
        if not isinstance(output, Tensor):
            raise UserError(
                f"model={name} returns an object of type {type(output).__name__}, and training needs one tensor; "
                "choose another model, or wrap it in a class whose forward returns the logits alone."
            )
        wanted = ((2,), (2, 1)) if data.classes is None else ((2, data.classes),)
        if output.shape not in wanted:
            needs = "one number each" if data.classes is None else f"2x{data.classes} for {data.classes} classes"
            raise UserError(
                f"model={name} makes {_shape(output)} of two samples of data={source}, {_shape(inputs)}, and training "
                f"needs {needs}; {advice}."
            )


def _trained_on(net: nn.Module, inputs: Tensor) -> Any:
    """The outputs in training mode; the network stays as it is, but for the layout of its inputs."""
    if inputs.dim() == 4:
        try:
            innermost = copy.deepcopy(net).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            return innermost(inputs.to(memory_format=torch.channels_last))
        except RuntimeError as error:
            if "view size is not compatible" not in str(error):
                raise
        keep_contiguous(net)
    return copy.deepcopy(net)(inputs)


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"


def _advice(model: Config, data: InMemoryDataModule) -> str:
    """What a person may do about a network that does not fit: the arguments that differ from the data, if any do."""
    overrides = [f"model.{name}={value}" for name, value in differing(model, facts_of(data)).items()]
    return f"give {' '.join(overrides)}" if overrides else "choose another model, or give it arguments that fit"


def _load_weights(config: Config, net: nn.Module) -> None:
    try:
        weights = torch.load(config["init_from"], map_location="cpu", weights_only=True)
        if "state_dict" in weights:  # a run's checkpoint
            weights = network_weights(weights["state_dict"])
        net.load_state_dict(weights)
    except Exception as error:
        # If the file is not torch's, torch says whatever its reader stumbled on; of wrong weights it says which.
        is_torchs = isinstance(error, RuntimeError)
        why = reason(error) if is_torchs else "not a file of torch.save with a state_dict"
        raise UserError(
            f"init_from={config['init_from']} holds no weights for model={config['names']['model']} ({why}); "
            "name a checkpoint of such a run, or a file that torch.save wrote of this network's state_dict."
        ) from error


def check_smallest_batch(config: Config, net: nn.Module, data: InMemoryDataModule) -> None:
    """Refuses an epoch that ends with one sample if the network cannot be trained on one.

    Batch norm needs more than one value of a channel.

    Raises:
        UserError: the network cannot; the sentence gives another batch size.
    """
    inputs, _ = data.gather(data.train, torch.zeros(1, dtype=torch.int64, device=data.train.targets.device))
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            copy.deepcopy(net).to(inputs.device).train()(inputs)
    except ValueError as error:
        size, samples = config["batch_size"], len(data.train)
        other = min((n for n in range(2, samples + 2) if samples % n != 1), key=lambda n: abs(n - size))
        raise UserError(
            f"batch_size={size} leaves a batch of one of the {samples} samples, on which model="
            f"{config['names']['model']} cannot be trained ({reason(error)}); give another, such as "
            f"batch_size={other}."
        ) from error
