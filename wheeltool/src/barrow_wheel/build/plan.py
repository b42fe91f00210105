"""What to compile: pure functions from an extension and interpreters to commands."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from barrow_wheel.build.toolchain import Toolchain, Torch
from barrow_wheel.errors import UsageError
from barrow_wheel.pythons import Interpreter

_SOURCES = (".cpp", ".cc", ".cxx", ".c++")


# The C++ that any compiler of today takes, for an extension without torch.
PLAIN_STANDARD = 17


@dataclass(frozen=True, slots=True)
class Extension:
    """One extension module as its author describes it. `name` is the last part of the module's name."""

    name: str
    sources: tuple[Path, ...]
    include_dirs: tuple[Path, ...] = ()
    defines: tuple[str, ...] = ()
    compile_flags: tuple[str, ...] = ()
    link_flags: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    standard: str = f"c++{PLAIN_STANDARD}"

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise UsageError(f"--name {self.name}: is no module name; give the last part only, such as _C")
        if not self.sources:
            raise UsageError("give at least one source file")
        for source in self.sources:
            if source.suffix not in _SOURCES:
                raise UsageError(
                    f"{source}: is no C++ source ({', '.join(_SOURCES)}); compile device code into a library of its "
                    "own and link it with --library"
                )
            if not source.is_file():
                raise UsageError(f"{source}: no such file")
        file_names = [source.name for source in self.sources]
        if len(set(file_names)) != len(file_names):
            raise UsageError("two sources have the same file name; their objects would collide")


@dataclass(frozen=True, slots=True)
class Step:
    """One command, the file it makes, and the file that lists what it read (None for a link)."""

    command: tuple[str, ...]
    output: Path
    depfile: Path | None
    inputs: tuple[Path, ...]

    @property
    def fingerprint(self) -> str:
        """Changes when the command does, so that new flags rebuild."""
        return hashlib.sha256("\0".join(self.command).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Target:
    """Everything for one CPython: compile steps that are independent of each other, then one link."""

    interpreter: Interpreter
    compile: tuple[Step, ...]
    link: Step


@dataclass(frozen=True, slots=True)
class Plan:
    extension: Extension
    targets: tuple[Target, ...] = field(default_factory=tuple)


def make_plan(
    extension: Extension,
    interpreters: Sequence[Interpreter],
    toolchain: Toolchain,
    build_dir: Path,
    out_dir: Path,
    torch: Torch | None = None,
    system_includes: Sequence[Path] = (),
) -> Plan:
    """Plans one module file for each EXT_SUFFIX. Of an interpreter only its headers and its EXT_SUFFIX are used."""
    # One CPython may be named twice, as 3.12 and by its path; the two would write the same files at once.
    distinct: dict[str, Interpreter] = {}
    for one in interpreters:
        distinct.setdefault(one.ext_suffix, one)
    return Plan(
        extension,
        tuple(
            _target(extension, one, toolchain, build_dir, out_dir, torch, system_includes) for one in distinct.values()
        ),
    )


def _target(
    extension: Extension,
    interpreter: Interpreter,
    toolchain: Toolchain,
    build_dir: Path,
    out_dir: Path,
    torch: Torch | None,
    system_includes: Sequence[Path],
) -> Target:
    folder = build_dir / f"{extension.name}{interpreter.ext_suffix}.objects"
    flags = [f"-std={extension.standard}", "-O2", "-fPIC", "-fvisibility=hidden"]
    flags.append(f"-DTORCH_EXTENSION_NAME={extension.name}")
    if torch is not None:
        flags += ["-DTORCH_API_INCLUDE_EXTENSION_H", *torch.cxx_flags]
    flags += [f"-D{define}" for define in extension.defines]
    # A target's own headers first: torch's folder must not shadow another Python.h.
    flags += [f"-I{path}" for path in extension.include_dirs]
    flags += ["-isystem", str(interpreter.include)]
    for include in (*(torch.includes if torch is not None else ()), *system_includes):
        flags += ["-isystem", str(include)]
    flags += [*toolchain.compile_flags, *extension.compile_flags]
    steps = []
    for source in extension.sources:
        output = folder / f"{source.name}.o"
        depfile = folder / f"{source.name}.d"
        command = (
            *toolchain.launcher, *toolchain.cxx, *flags,
            "-MD", "-MF", str(depfile), "-c", str(source), "-o", str(output),
        )  # fmt: skip
        steps.append(Step(command, output, depfile, (source,)))
    objects = tuple(step.output for step in steps)
    output = out_dir / f"{extension.name}{interpreter.ext_suffix}"
    linked = [*toolchain.link_flags, *extension.link_flags]
    linked += [f"-l{library}" for library in extension.libraries]
    if torch is not None:
        linked += [f"-L{torch.library_folder}", *(f"-l{library}" for library in torch.libraries)]
    link = (*toolchain.cxx, "-shared", *map(str, objects), *linked, "-o", str(output))
    return Target(interpreter, tuple(steps), Step(link, output, None, (*objects, *_files_linked(linked))))


def _files_linked(flags: Sequence[str]) -> tuple[Path, ...]:
    """The files that link flags name, by path or as -lNAME in a -L folder.

    What lies in the linker's own folders is the system's: no build changes it.
    """
    text = "\0".join(flags)
    folders = re.findall(r"(?:^|\0)-L\0?([^\0]+)", text)
    names = re.findall(r"(?:^|\0)-l\0?([^\0]+)", text)
    found = []
    for name in names:
        files = (name[1:],) if name.startswith(":") else (f"lib{name}.so", f"lib{name}.a")
        found += [Path(folder, file) for folder in folders for file in files]
    # -Wl,--whole-archive,libx.a and -Wl,--version-script=x.map name files too.
    found += [Path(part) for flag in flags for part in (flag, *re.split("[,=]", flag))]
    return tuple(path for path in dict.fromkeys(found) if path.is_file())
