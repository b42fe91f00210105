"""Checks of what functions on whole models are given."""

from torch import nn


def check_model(function: str, model: object) -> None:
    """Raise TypeError unless `model` is a module."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"barrow.{function}: model is a {type(model).__name__}; pass an nn.Module")


def check_filter(function: str, name: str, filter: object) -> None:
    """Raise TypeError unless an argument that picks layers is a function or None."""
    if not (filter is None or callable(filter)):
        raise TypeError(
            f"barrow.{function}: {name} is {filter!r}; pass a function of a layer's name and the layer, such as "
            "lambda name, layer: True, or None"
        )
