"""Puts barrow's FP8 GEMM, dense and grouped, in the place of DeepGEMM's inside a process; the rest of DeepGEMM stays.

Engines import DeepGEMM late and by name, so it is changed where it is imported: at once if it is there already, else
by a finder on `sys.meta_path` right after its own code ran. Nothing is imported, and no GPU touched, before the engine
does so. Which of both runs a call is decided by the call: barrow on Hopper and on a CPU, DeepGEMM on other GPUs, for a
keyword that barrow does not know, and for what barrow refuses with NotImplementedError.
"""

import functools
import importlib.util
import inspect
import logging
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import torch

import barrow.deep_gemm

# Set to 0 to leave DeepGEMM as it is.
SWITCH = "BARROW_DEEP_GEMM"

# What calculates or would compile. The rest stays DeepGEMM's, and settings, which steer its other kernels.
REPLACED = (
    "fp8_fp4_gemm_nn",
    "fp8_fp4_gemm_nt",
    "fp8_fp4_gemm_tn",
    "fp8_fp4_gemm_tt",
    "fp8_gemm_nn",
    "fp8_gemm_nt",
    "fp8_gemm_tn",
    "fp8_gemm_tt",
    "fp8_m_grouped_gemm_nt_masked",
    "get_mn_major_tma_aligned_tensor",
    "k_grouped_fp8_gemm_nt_contiguous",
    "k_grouped_fp8_gemm_tn_contiguous",
    "m_grouped_fp8_fp4_gemm_nn_contiguous",
    "m_grouped_fp8_fp4_gemm_nt_contiguous",
    "m_grouped_fp8_fp4_gemm_nt_masked",
    "m_grouped_fp8_gemm_nn_contiguous",
    "m_grouped_fp8_gemm_nt_contiguous",
    "m_grouped_fp8_gemm_nt_masked",
    "transform_sf_into_required_layout",
)
# The one setting that is part of the layout of arguments: both have to know it.
TOLD_BOTH = ("set_mk_alignment_for_contiguous_layout",)
# Modules inside DeepGEMM that hand out the same functions.
SUBMODULES = ("utils", "utils.layout")

_hopper: dict[torch.device, bool] = {}


def runs_on(device: torch.device) -> bool:
    """Whether barrow's operators run on this device: a CPU, or a GPU of compute capability 9.0."""
    if device.type != "cuda":
        return device.type == "cpu"
    if device not in _hopper:
        # ROCm counts in the same way and calls an MI200 (9, 0).
        _hopper[device] = torch.version.hip is None and torch.cuda.get_device_capability(device) == (9, 0)
    return _hopper[device]


def _device(arguments: Iterable[Any]) -> torch.device | None:
    """Device of the first tensor, which may be the first of a pair."""
    for argument in arguments:
        tensor = argument[0] if isinstance(argument, (tuple, list)) and argument else argument
        if isinstance(tensor, torch.Tensor):
            return tensor.device
    return None


def _in_place_of(theirs: Callable[..., Any], ours: Callable[..., Any]) -> Callable[..., Any]:
    known = frozenset(inspect.signature(ours).parameters)

    @functools.wraps(theirs)
    def call(*args: Any, **kwargs: Any) -> Any:
        device = _device((*args, *kwargs.values()))
        # A keyword of one DeepGEMM asks for what only that one has.
        if device is None or not runs_on(device) or not known.issuperset(kwargs):
            return theirs(*args, **kwargs)
        try:
            return ours(*args, **kwargs)
        except NotImplementedError:
            return theirs(*args, **kwargs)

    return call


def _told_both(theirs: Callable[..., Any], ours: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(theirs)
    def call(*args: Any, **kwargs: Any) -> Any:
        result = theirs(*args, **kwargs)
        ours(*args, **kwargs)
        return result

    return call


def _replace(module: ModuleType, logger: logging.Logger) -> None:
    """Replace the functions of an imported DeepGEMM, once."""
    if hasattr(module, "_replaced_by_barrow"):
        return
    replaced = []
    for holder in (module, *(sys.modules.get(f"{module.__name__}.{name}") for name in SUBMODULES)):
        for name in (*REPLACED, *TOLD_BOTH):
            theirs = getattr(holder, name, None)
            if theirs is not None:
                wrap = _told_both if name in TOLD_BOTH else _in_place_of
                setattr(holder, name, wrap(theirs, getattr(barrow.deep_gemm, name)))
                replaced.append(name)
    if replaced:
        module._replaced_by_barrow = tuple(replaced)  # type: ignore[attr-defined]
        _say(logger, f"in place of {module.__name__} {getattr(module, '__version__', '')}")


def _say(logger: logging.Logger, where: str) -> None:
    logger.info(
        "barrow %s runs FP8 GEMM on Hopper %s, without compilation (%s=0 turns this off)",
        barrow.__version__,
        where,
        SWITCH,
    )


class _Finder(MetaPathFinder):
    """Finds DeepGEMM as the other finders do, and has its functions replaced after its import."""

    def __init__(self, logger: logging.Logger) -> None:
        self.names: set[str] = set()
        self._logger = logger

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self.names:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                self._watch(spec.loader)
                return spec
        return None

    def _watch(self, loader: Any) -> None:
        execute = loader.exec_module

        def execute_and_replace(module: ModuleType) -> None:
            execute(module)
            _replace(module, self._logger)

        # The loader stays of its own kind: importlib.resources and inspect ask it for more than modules.
        loader.exec_module = execute_and_replace


def _found(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # no parent package, or a module without a spec
        return name in sys.modules


def _stand_in() -> ModuleType:
    """A module `deep_gemm` with what barrow has, and no more: engines ask by hasattr what they can use."""
    module = ModuleType("deep_gemm", "barrow.deep_gemm, where there is no DeepGEMM.")
    module.__spec__ = ModuleSpec("deep_gemm", None, is_package=True)
    module.__path__ = []
    module.__dict__["__version__"] = barrow.deep_gemm.__version__
    for name in barrow.deep_gemm.__all__:
        setattr(module, name, getattr(barrow.deep_gemm, name))
    module._replaced_by_barrow = ()  # type: ignore[attr-defined]
    return module


def install(names: Sequence[str], logger: logging.Logger) -> None:
    """Put barrow in the place of the DeepGEMM that is importable under `names`, now or when it is imported.

    Where there is none, `deep_gemm` becomes a module with barrow's functions. Calling it again changes nothing.

    Args:
        names: modules to watch, such as "deep_gemm".
        logger: says in one line per DeepGEMM that it was replaced.
    """
    switch = os.environ.get(SWITCH, "1")
    if switch not in ("0", "1"):
        raise RuntimeError(f"barrow: {SWITCH} is {switch!r} but needs to be 0 or 1")
    if switch == "0":
        return
    finder = next((finder for finder in sys.meta_path if isinstance(finder, _Finder)), None)
    if finder is None:
        finder = _Finder(logger)
        sys.meta_path.insert(0, finder)
    finder.names.update(names)
    for name in names:
        if name in sys.modules:
            _replace(sys.modules[name], logger)
    if not any(_found(name) for name in names):
        sys.modules["deep_gemm"] = _stand_in()
        for name in SUBMODULES:
            sys.modules[f"deep_gemm.{name}"] = sys.modules[f"barrow.deep_gemm.{name}"]
        _say(logger, "as deep_gemm, which is not installed")
