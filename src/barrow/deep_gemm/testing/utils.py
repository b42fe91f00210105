"""Conditions under which a test runs."""

import functools
import os
from collections.abc import Callable
from typing import ParamSpec

import torch

P = ParamSpec("P")


def get_arch_major() -> int:
    """Major compute capability of the current GPU: 9 for Hopper."""
    return torch.cuda.get_device_capability()[0]


def test_filter(condition: Callable[[], bool]) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Run the decorated test only where `condition()` holds, and say so where it does not."""

    def decorate(function: Callable[P, None]) -> Callable[P, None]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> None:
            if condition():
                function(*args, **kwargs)
            else:
                print(f"{function.__name__}: filtered by {condition}")

        return run

    return decorate


# Its name would make pytest collect it.
test_filter.__test__ = False  # type: ignore[attr-defined]


def ignore_env(name: str, condition: Callable[[], bool]) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Run the decorated test without the environment variable `name` where `condition()` holds."""

    def decorate(function: Callable[P, None]) -> Callable[P, None]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> None:
            saved = os.environ.pop(name, None) if condition() else None
            try:
                function(*args, **kwargs)
            finally:
                if saved is not None:
                    os.environ[name] = saved

        return run

    return decorate
