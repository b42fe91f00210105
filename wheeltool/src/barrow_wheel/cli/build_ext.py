"""`barrow-wheel build-ext`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from barrow_wheel.build.plan import PLAIN_STANDARD, Extension, make_plan
from barrow_wheel.build.run import build
from barrow_wheel.build.toolchain import Torch, cuda_include, environment, find_pybind11, find_toolchain, find_torch
from barrow_wheel.cli.arguments import folder
from barrow_wheel.errors import EXIT_CLEAN, UsageError
from barrow_wheel.machine import PLAIN_JOB_BYTES, TORCH_JOB_BYTES, capacity, jobs_within
from barrow_wheel.pythons import Interpreter, resolve, resolve_all

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def register(commands: Subparsers) -> None:
    command = commands.add_parser(
        "build-ext",
        help="one extension for many CPythons from one environment",
        description="Builds one torch or pybind11 extension for many CPythons. Of each CPython only its headers and "
        "its suffix are used; torch stays in the environment that runs this command.",
    )
    command.add_argument("sources", nargs="+", type=Path, metavar="SOURCE", help="C++ sources")
    command.add_argument("--name", required=True, help="last part of the module's name, such as _C")
    command.add_argument("--out", type=folder, required=True, metavar="DIR", help="where the modules go")
    command.add_argument(
        "--python", action="append", default=[], metavar="X.Y|PATH", help="a CPython to build for (repeatable)"
    )
    command.add_argument(
        "--requires", metavar="SOURCE", help="all CPythons of a pyproject.toml or specifier instead of --python"
    )
    command.add_argument("--torch", action="store_true", help="compile and link against torch of this environment")
    command.add_argument("--pybind11", action="store_true", help="pybind11 of this environment (torch brings its own)")
    command.add_argument("-I", "--include", action="append", type=Path, default=[], metavar="DIR")
    command.add_argument("-D", "--define", action="append", default=[], metavar="NAME[=VALUE]")
    command.add_argument("-l", "--library", action="append", default=[], metavar="NAME")
    command.add_argument("--cxx-flag", action="append", default=[], metavar="FLAG", help="as --cxx-flag=-Wall")
    command.add_argument("--link-flag", action="append", default=[], metavar="FLAG", help="as --link-flag=-s")
    command.add_argument(
        "--std",
        metavar="STANDARD",
        help=f"of C++ (default: c++{PLAIN_STANDARD}, with --torch c++{Torch.STANDARD} as torch's own builder has it)",
    )
    command.add_argument(
        "--build-dir", type=folder, metavar="DIR", help="where objects are kept (default: OUT/../build-ext)"
    )
    command.add_argument(
        "-j", "--jobs", type=int, metavar="N", help="compilers at once (default: from cpus and memory)"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    interpreters = _interpreters(options)
    extension = Extension(
        name=options.name,
        sources=tuple(options.sources),
        include_dirs=tuple(options.include),
        defines=tuple(options.define),
        compile_flags=tuple(options.cxx_flag),
        link_flags=tuple(options.link_flag),
        libraries=tuple(options.library),
        standard=options.std or f"c++{Torch.STANDARD if options.torch else PLAIN_STANDARD}",
    )
    variables = environment()
    torch = find_torch() if options.torch else None
    system_includes = [find_pybind11()] if options.pybind11 else []
    system_includes += cuda_include(variables) if torch is not None else ()
    plan = make_plan(
        extension,
        interpreters,
        find_toolchain(variables),
        options.build_dir or options.out.resolve().parent / "build-ext",
        options.out,
        torch,
        system_includes,
    )
    jobs = options.jobs
    if jobs is None:
        jobs = jobs_within(capacity(), TORCH_JOB_BYTES if torch is not None else PLAIN_JOB_BYTES)
    if jobs < 1:
        raise UsageError(f"--jobs {jobs}: needs at least one")
    started = time.monotonic()
    built = build(plan, jobs, print)
    work = sum(one.seconds for one in built)
    print(f"{len(built)} modules in {time.monotonic() - started:.1f} s ({work:.1f} s of work, {jobs} jobs)")
    return EXIT_CLEAN


def _interpreters(options: argparse.Namespace) -> tuple[Interpreter, ...]:
    if bool(options.python) == bool(options.requires):
        raise UsageError("give either --python (repeatable) or --requires")
    if options.python:
        return resolve(options.python)
    return resolve_all(options.requires)
