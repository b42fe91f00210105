"""`barrow info`: GPU, driver, torch and kernels, and what would run here."""

import argparse
import json
import platform
from typing import Any

import torch

import barrow
from barrow import launcher
from barrow.cli import pack
from barrow.cli.exit_status import FAILED
from barrow.linear import backends

_COLUMNS = ("name", "registers", "spill_bytes", "smem_bytes", "threads", "size")


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser's."""
    help_text = "tell what is there and what would run: GPU, driver, torch, kernels"
    parser = commands.add_parser(
        "info", help=help_text, description=f"{help_text}. Exits with {FAILED} if the kernels are damaged."
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--kernels", action="store_true", help="list the kernels")
    parser.set_defaults(run=run)


def _choice(device: torch.device) -> backends.Choice | str:
    """What runs on a device, or why nothing does: BARROW_BACKENDS may name only what cannot, or nothing that is."""
    try:
        return backends.on_device(device)
    except (RuntimeError, ValueError) as error:
        return str(error).removeprefix("barrow: ")


def _device(device: launcher.Device) -> dict[str, Any]:
    choice = _choice(torch.device("cuda", device["index"]))
    if isinstance(choice, str):
        return {**device, "backend": None, "why_not_barrow": choice}
    return {**device, "backend": choice.backend.name, "why_not_barrow": choice.others.get("barrow")}


def gather() -> dict[str, Any]:
    """Everything the command prints, as JSON values."""
    driver = launcher.driver()
    contents = pack.inspect()
    return {
        "barrow": barrow.__version__,
        "python": platform.python_version(),
        "torch": {"version": torch.__version__, "cuda": torch.version.cuda},
        "driver": {key: driver[key] for key in ("available", "version", "error")},
        "devices": [_device(device) for device in driver["devices"]],
        "pack": {"path": contents.path, "toolchain": contents.toolchain, "error": contents.error},
        "kernels": contents.kernels,
    }


def _driver_line(driver: dict[str, Any]) -> str:
    if not driver["available"]:
        return str(driver["error"]).removeprefix("barrow: ")
    return f"CUDA {driver['version'] // 1000}.{driver['version'] % 1000 // 10}"


def _device_line(device: dict[str, Any]) -> str:
    capability = ".".join(map(str, device["capability"]))
    runs = "runs barrow's kernels" if device["backend"] == "barrow" else f"no kernels: {device['why_not_barrow']}"
    return f"{device['index']}: {device['name']}, compute capability {capability}, {device['num_sms']} SMs; {runs}"


def _kernels_line(kernels: list[dict[str, Any]]) -> str:
    if not kernels:
        return "none"
    gemms = sum("block_m" in kernel for kernel in kernels)
    size = sum(kernel["size"] for kernel in kernels)
    registers = [kernel["registers"] for kernel in kernels]
    spills = sum(kernel["spill_bytes"] for kernel in kernels)
    return (
        f"{len(kernels)} ({gemms} GEMM, {len(kernels) - gemms} other), {size / 1e3:.0f} kB, "
        f"{min(registers)} to {max(registers)} registers, {spills} bytes spilled"
    )


def _lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    cuda = facts["torch"]["cuda"]
    cpu = _choice(torch.device("cpu"))
    lines = [
        ("barrow", f"{facts['barrow']}, Python {facts['python']}"),
        ("torch", f"{facts['torch']['version']}, " + (f"CUDA {cuda}" if cuda else "a build without CUDA")),
        ("driver", _driver_line(facts["driver"])),
    ]
    lines += [("GPU", _device_line(device)) for device in facts["devices"]] or [("GPU", "none")]
    lines.append(("CPU", f"nothing runs: {cpu}" if isinstance(cpu, str) else f"runs {cpu.backend.summary}"))
    lines.append(("kernels", _kernels_line(facts["kernels"])))
    if facts["kernels"] or facts["pack"]["error"]:
        state = facts["pack"]["error"] or f"intact, compiled by {facts['pack']['toolchain']}"
        lines.append(("pack", f"{facts['pack']['path']}: {state}"))
    return lines


def _table(kernels: list[dict[str, Any]]) -> list[str]:
    rows = [_COLUMNS, *(tuple(str(kernel.get(column, "-")) for column in _COLUMNS) for kernel in kernels)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]


def run(options: argparse.Namespace) -> int:
    """Print the facts; return 1 if the kernels are damaged."""
    facts = gather()
    if options.json:
        print(json.dumps(facts, indent=2))
    else:
        for label, text in _lines(facts):
            print(f"{label:8} {text}")
        if options.kernels and facts["kernels"]:
            print("", *_table(facts["kernels"]), sep="\n")
    return FAILED if facts["pack"]["error"] else 0
