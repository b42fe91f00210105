"""DeepGEMM's process-wide settings: checked, kept and returned, and without effect on barrow's kernels.

They steer what DeepGEMM compiles. Programs set some of them around a call and put them back, so what was set must be
what is read.
"""

import torch

_num_sms = 0
_tc_util = 100
_pdl = False


def _check_range(op: str, name: str, value: int, most: int | None) -> None:
    if value < 0 or (most is not None and value > most):
        needed = "at least 0" if most is None else f"from 0 to {most}"
        raise RuntimeError(f"barrow.deep_gemm.{op}: {name} is {value} but needs to be {needed}")


def _device_sms() -> int | None:
    """SMs of the current GPU; None without one."""
    if not torch.cuda.is_available():
        return None
    return torch.cuda.get_device_properties(torch.cuda.current_device()).multi_processor_count


def set_num_sms(new_num_sms: int) -> None:
    """Say how many SMs a kernel should use, 0 for all. barrow's kernels use all of them whatever is said."""
    global _num_sms
    _check_range("set_num_sms", "new_num_sms", new_num_sms, _device_sms())
    _num_sms = new_num_sms


def get_num_sms() -> int:
    """What `set_num_sms` said, at first the SMs of the current GPU."""
    sms = _num_sms or _device_sms()
    if sms is None:
        raise RuntimeError("barrow.deep_gemm.get_num_sms: there is no GPU whose SMs to count; call set_num_sms first")
    return sms


def set_tc_util(new_tc_util: int) -> None:
    """Say what share of the tensor cores' time to use, in percent, 0 for all of it."""
    global _tc_util
    _check_range("set_tc_util", "new_tc_util", new_tc_util, 100)
    _tc_util = new_tc_util or 100


def get_tc_util() -> int:
    """What `set_tc_util` said, 100 at first."""
    return _tc_util


def set_pdl(new_enable_pdl: bool) -> None:
    """Say whether programmatic dependent launch is wanted."""
    global _pdl
    _pdl = bool(new_enable_pdl)


def get_pdl() -> bool:
    """What `set_pdl` said, False at first."""
    return _pdl


def set_ignore_compile_dims(new_value: bool) -> None:
    """Accepted: barrow's kernels take every dimension at run time."""


def set_block_size_multiple_of(new_value: int | tuple[int, int]) -> None:
    """Accepted: barrow's tiles are those of its catalogue."""


def use_deterministic_algorithms(mode: bool) -> None:
    """Accepted: the same input always gives the same bits."""
