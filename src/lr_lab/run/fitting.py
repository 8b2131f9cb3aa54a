"""A network's arguments that follow from the data: channels, size and number of classes.

This module imports no torch, so that a typing mistake answers at once; it imports the code of a network or a dataset
only if that is a person's own.
"""

from __future__ import annotations

import functools
import inspect
import json
import pydoc
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lr_lab.data import folders
from lr_lab.errors import UserError
from lr_lab.run.building import build

if TYPE_CHECKING:
    from lr_lab.data.in_memory import InMemoryDataModule

Facts = dict[str, int | None]

# Channels and pixels a side of a picture, and classes: `${data.channels}` and its like in a model's file.
FACTS = ("channels", "size", "classes")

# Datasets whose class fixes these numbers, so that configurations resolve without torch. Others are built and asked.
_KNOWN = {
    "MNIST": (1, 28, 10),
    "FashionMNIST": (1, 28, 10),
    "Digits": (1, 28, 10),
    "CIFAR10": (3, 32, 10),
    "CIFAR100": (3, 32, 100),
    "FER2013": (1, 48, 7),
    "FER2013StandIn": (1, 48, 7),
    "Line": (None, None, None),
}

# Names of these numbers in constructors.
_NAMES = {
    "in_channels": "channels",
    "in_chans": "channels",
    "size": "size",
    "image_size": "size",
    "img_size": "size",
    "classes": "classes",
    "num_classes": "classes",
}


def facts(data: Mapping[str, Any]) -> Facts:
    """The numbers of a dataset; None for one that it does not have.

    Args:
        data: its resolved configuration.

    Raises:
        UserError: the folder of pictures has no classes, or the dataset refuses an argument.
    """
    told = {key: data[key] for key in FACTS if key in data}
    if len(told) == len(FACTS):
        return told
    package, _, name = str(data["_target_"]).rpartition(".")
    if package == "lr_lab.data" and name in _KNOWN:
        return dict(zip(FACTS, _KNOWN[name], strict=True))
    if package == "lr_lab.data" and name == "ImageFolder":
        return {**told, "classes": len(folders.layout(Path(data["images"]).expanduser()).classes)}
    return facts_of(build(data, batch_size=1, seed=0))


def facts_of(data: InMemoryDataModule) -> Facts:
    """The numbers of a dataset that has to be built."""
    shape = data.input_shape
    channels, size = (shape[0], shape[-1]) if len(shape) == 3 else (None, None)
    return {"channels": channels, "size": size, "classes": data.classes}


def differing(model: Mapping[str, Any], known: Facts) -> dict[str, int]:
    """The arguments of a network that differ from the numbers of the data, with those numbers."""
    return {
        name: value
        for name, fact in _NAMES.items()
        if name in model and (value := known[fact]) is not None and model[name] != value
    }


def filled(model: Mapping[str, Any], known: Callable[[], Facts]) -> dict[str, Any]:
    """A network's configuration with the arguments that follow from the data, where its constructor has them.

    Args:
        model: a configuration; the arguments that it gives stay.
        known: returns the numbers of the data; called only if the constructor needs one.

    Raises:
        UserError: the class or function cannot be imported.
    """
    missing = [name for name in _names(json.dumps(model, sort_keys=True)) if name not in model]
    given = {name: known()[_NAMES[name]] for name in missing}
    return {**model, **{name: value for name, value in given.items() if value is not None}}


@functools.cache  # a sweep asks for every run
def _names(configuration: str) -> list[str]:
    """The names above that the constructor takes; from the network's configuration as JSON."""
    model = json.loads(configuration)
    target = model["_target_"]
    try:
        constructor = pydoc.locate(target)
        why = "nothing of that name is found"
    except pydoc.ErrorDuringImport as error:
        constructor, why = None, str(error)
    if constructor is None:
        raise UserError(
            f"model._target_={target} cannot be imported ({why}); give the path of a class or function, such as "
            "torchvision.models.resnet18, or my_nets.Net for the class Net of my_nets.py in this folder."
        )
    accepted, is_open = _parameters(constructor)
    if is_open:
        arguments = {name: value for name, value in model.items() if not name.startswith("_")}
        accepted |= {name for name in ("num_classes", "in_chans") if _takes(constructor, arguments, name)}
    return [name for name in _NAMES if name in accepted]


def _parameters(constructor: Any) -> tuple[set[str], bool]:
    """The names that a constructor takes, and whether it takes others that its signature does not show.

    A function of torchvision or timm hands its `**kwargs` to the class that it is annotated to return.
    """
    try:
        parameters = inspect.signature(constructor).parameters
    except (TypeError, ValueError):  # neither a class nor a function, or one that is not written in Python
        return set(), False
    names = set(parameters)
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return names, False
    returned = None if inspect.isclass(constructor) else _returned(constructor)
    if returned is None:
        return names, not inspect.isclass(constructor)
    return names | set(inspect.signature(returned).parameters), False


def _returned(function: Any) -> type | None:
    """The class that a function is annotated to return; None if that is only nn.Module."""
    try:
        returned = typing.get_type_hints(function).get("return")
    except Exception:  # annotations may name missing classes
        return None
    return returned if inspect.isclass(returned) and not returned.__module__.startswith("torch.nn") else None


def _takes(function: Any, arguments: Mapping[str, Any], name: str) -> bool:
    """True if a function with `**kwargs` takes an argument, which is tried."""
    try:
        function(**arguments, **{name: 2})
    except TypeError:
        return False
    except Exception:  # other errors are reported when the network is built
        return False
    return True
