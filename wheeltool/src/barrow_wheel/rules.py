"""Every rule of `barrow-wheel check`: its stable name, its severity, why it exists and what to do.

The names are an interface: allowlists, SARIF consumers and CI logs refer to them. docs/rules.md is generated from this
table.
"""

from __future__ import annotations

from dataclasses import dataclass

from barrow_wheel.findings import Finding, Severity, printable

_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    severity: Severity
    summary: str
    why: str
    remedy: str


_TABLE = (
    # The matrix module x CPython.
    Rule(
        "matrix-missing-cell",
        _E,
        "a CPython that the wheel is for finds no file for a module",
        "Requires-Python and the tags let the wheel be installed there, and then the import fails.",
        "Build the module for the missing CPythons (barrow-wheel build-ext), or narrow Requires-Python or the tag.",
    ),
    Rule(
        "matrix-missing-free-threaded",
        _W,
        "a free-threaded CPython that may install the wheel finds no file for a module",
        "A py3-none tag also admits free-threaded builds, which load neither abi3 files nor those of the usual builds.",
        "Ship a cp3XYt file, or give the wheel a cp or abi3 tag, which free-threaded builds do not accept.",
    ),
    Rule(
        "matrix-unversioned-module",
        _W,
        "a module with a bare .so name uses CPython symbols that are not stable",
        "Every CPython loads a bare .so, but such a file only fits the one version it was built for.",
        "Name the file with the EXT_SUFFIX of its CPython, or build it against the limited API.",
    ),
    Rule(
        "installs-nowhere",
        _E,
        "Requires-Python excludes every CPython that the tags admit",
        "No installer ever takes the wheel, so whatever is in it was for nothing.",
        "Correct Requires-Python or the tag.",
    ),
    Rule(
        "matrix-wrong-machine",
        _E,
        "a file was built for another processor than the platform tag says",
        "It does not load on any machine that installs the wheel.",
        "Rebuild the file, or correct the platform tag.",
    ),
    # abi3.
    Rule(
        "abi3-unstable-symbol",
        _E,
        "a file that claims abi3 uses CPython symbols outside of the stable ABI",
        "The symbol can change or vanish in any CPython; the import or a call then fails or corrupts memory.",
        "Compile with Py_LIMITED_API defined to the tag's version and replace the calls that no longer compile, or "
        "give the file its CPython's own suffix.",
    ),
    Rule(
        "abi3-floor-above-requires-python",
        _E,
        "a stable symbol is newer than the oldest CPython that Requires-Python allows",
        "On the older CPythons the symbol does not exist and the import fails.",
        "Define Py_LIMITED_API to the tag's version, or raise Requires-Python and the tag to the version needed.",
    ),
    Rule(
        "abi3-floor-above-tag",
        _W,
        "a stable symbol is newer than the tag's CPython, although Requires-Python excludes those",
        "The tag claims more than the file can do; only Requires-Python keeps the wheel from harm.",
        "Tag the wheel with the CPython that the file needs.",
    ),
    Rule(
        "abi3-floor-needlessly-high",
        _N,
        "the tag keeps out CPythons on which every file would import",
        "Requires-Python allows them and all symbols exist there, but the tag makes installers pass the wheel by.",
        "If tests pass there, build with a lower py_limited_api.",
    ),
    Rule(
        "links-libpython",
        _W,
        "a module links libpython",
        "CPython is often built without a shared libpython, and the module then fails to load (PEP 513).",
        "Link extension modules without -lpython3.X (CMake: Python::Module, not Python::Python).",
    ),
    # torch.
    Rule(
        "torch-floor-too-low",
        _E,
        "Requires-Dist allows a torch that lacks a function the file needs",
        "With the older torch the file fails to load: undefined symbol.",
        "Raise the lower bound of the torch requirement, or build with a lower TORCH_TARGET_VERSION.",
    ),
    Rule(
        "torch-requirement-missing",
        _W,
        "a file needs torch, and Requires-Dist does not say so",
        "An installer may choose any torch or none.",
        "Declare torch with its lower bound, or list the reason in an allowlist.",
    ),
    Rule(
        "torch-unstable-abi-unpinned",
        _W,
        "a file uses torch's C++ ABI, and Requires-Dist allows several minor versions",
        "The C++ ABI changes with every minor version of torch; the usual symptom is an undefined symbol in c10.",
        "Pin torch to one minor version (torch==2.X.*), or move to the stable C shim (torch/csrc/stable).",
    ),
    Rule(
        "torch-symbol-unknown",
        _N,
        "a file uses a function of torch's C shim that this version of barrow-wheel does not know",
        "The function is newer than the table, so the minimum torch cannot be told.",
        "Update barrow-wheel.",
    ),
    # CUDA.
    Rule(
        "gpu-not-covered",
        _E,
        "a GPU asked for with --gpu is not served by any device code of the wheel",
        "The first kernel launch fails: no kernel image is available.",
        "Add the architecture to the build (TORCH_CUDA_ARCH_LIST, CMAKE_CUDA_ARCHITECTURES), or PTX as a fallback.",
    ),
    Rule(
        "gpu-partly-covered",
        _W,
        "a GPU asked for with --gpu is served by some files and not by others",
        "What the other files offer fails on this GPU.",
        "Check that the package keeps away from those files on this GPU.",
    ),
    Rule(
        "gpu-jit-only",
        _W,
        "a GPU asked for with --gpu runs a file only after the driver compiled its PTX",
        "The first use compiles for seconds to minutes and needs a driver as new as the PTX.",
        "Add native code for the architecture.",
    ),
    Rule(
        "cuda-library-undeclared",
        _W,
        "a file links a CUDA library that nothing in Requires-Dist is sure to bring",
        "Without a toolkit on the machine the load fails: cannot open shared object file.",
        "Require the nvidia-*-cuXX package, or a torch of the same CUDA major, or link the library statically.",
    ),
    Rule(
        "cuda-major-conflict",
        _E,
        "a file links libraries of one CUDA major, and Requires-Dist brings another",
        "The required package carries other file names, so the load fails.",
        "Require the packages of the CUDA major that the build used.",
    ),
    Rule(
        "cuda-mixed-majors",
        _E,
        "one file links libraries of two CUDA major versions",
        "Two CUDA run times in one process do not share memory or streams.",
        "Rebuild against one toolkit.",
    ),
    # Needs at run time.
    Rule(
        "toolkit-at-run-time",
        _W,
        "the package needs a CUDA toolkit on the user's machine",
        "It compiles device code there, so headers, nvcc, nvrtc or cuobjdump must be installed.",
        "Compile ahead of time, or document the toolkit and fail with a message that names it.",
    ),
    Rule(
        "host-compiler-at-run-time",
        _W,
        "the package builds C++ extensions on the user's machine",
        "torch.utils.cpp_extension.load needs a host compiler and ninja, and for CUDA a toolkit.",
        "Build the extension into the wheel, or document the compiler.",
    ),
    Rule(
        "jit-at-run-time",
        _N,
        "the package compiles kernels when it runs",
        "First calls are slow, a cache folder must be writable, and Triton needs a C compiler for its launcher.",
        "Document it; warm up before serving.",
    ),
    Rule(
        "library-not-provided",
        _W,
        "a file links a library that is neither in the wheel, nor required, nor part of the platform",
        "The load fails on machines where the user has not installed it; a note where a requirement might bring it.",
        "Bundle it (auditwheel repair), link it statically, require a package with it, or document it.",
    ),
    Rule(
        "glibc-above-tag",
        _E,
        "a file needs a newer glibc than the platform tag promises",
        "On the older systems that the tag admits the load fails: version GLIBC_... not found.",
        "Build in the tag's manylinux image, or raise the tag (auditwheel repair does it).",
    ),
    Rule(
        "glibc-on-musl",
        _E,
        "a file of a musllinux wheel needs glibc",
        "Systems with musl have no libc.so.6, so the load fails.",
        "Build in the tag's musllinux image, or give the wheel a manylinux tag.",
    ),
    Rule(
        "libstdcxx-above-tag",
        _E,
        "a file needs a newer libstdc++ than systems of the platform tag have",
        "On those systems the load fails: version GLIBCXX_... not found.",
        "Build with the compiler of the tag's manylinux image, or raise the tag.",
    ),
    Rule(
        "rpath-outside",
        _W,
        "a library search path points outside of the installed package",
        "A folder of the build machine is searched on the user's machine, for everybody who can write to it to use.",
        "Remove it (patchelf --remove-rpath), or make it relative: $ORIGIN/...",
    ),
    Rule(
        "executable-stack",
        _W,
        "a file asks for an executable stack",
        "glibc 2.41 and hardened kernels refuse to load it.",
        "Mark assembly sources with .note.GNU-stack, or link with -z noexecstack.",
    ),
    # The wheel itself.
    Rule(
        "tag-mismatch",
        _W,
        "the tag in the file name differs from the tags in WHEEL",
        "Installers go by the name and then record the other; pip check and repackaging tools see a wrong platform.",
        "Rename with `wheel tags`, which rewrites both.",
    ),
    Rule(
        "platform-tag-linux",
        _W,
        "the platform tag is plain linux",
        "Package indexes refuse it, because it promises nothing about glibc.",
        "Run auditwheel repair.",
    ),
    Rule(
        "platform-tag-any",
        _E,
        "a wheel for any platform holds a Linux library",
        "Installers put it on every system and processor, and there the library does not load.",
        "Give the wheel its platform tag (setuptools: has_ext_modules; `wheel tags --platform-tag`).",
    ),
    Rule(
        "name-mismatch",
        _E,
        "name or version differ between file name, .dist-info folder and METADATA",
        "Installers refuse such a wheel.",
        "Rebuild it; do not rename wheels by hand.",
    ),
    Rule(
        "metadata-invalid",
        _E,
        "a field of METADATA or WHEEL is missing or does not parse",
        "Nothing can be held against it, and installers may refuse the wheel.",
        "Correct the project's metadata.",
    ),
    Rule(
        "record-mismatch",
        _E,
        "a file differs from its hash or size in RECORD",
        "Installers that verify refuse the wheel; the file was changed after the wheel was built.",
        "Regenerate RECORD (`wheel unpack`, `wheel pack`).",
    ),
    Rule(
        "record-incomplete",
        _E,
        "RECORD and the files do not list the same paths",
        "Files outside of RECORD are not verified and not uninstalled; listed files that are absent break installers.",
        "Regenerate RECORD (`wheel unpack`, `wheel pack`).",
    ),
    Rule(
        "unsafe-member",
        _E,
        "an archive member must not be unpacked",
        "Its path, type or encoding can lead an installer out of its folder.",
        "Build the wheel anew and find out what wrote this member.",
    ),
    Rule(
        "duplicate-member",
        _E,
        "the archive holds two members of the same path",
        "Tools differ in which one wins, so what was checked may not be what is installed.",
        "Build the wheel anew.",
    ),
    Rule(
        "unreadable-file",
        _E,
        "a file cannot be read, so nothing is known about it",
        "It is truncated, its headers lie, it is no binary despite its name (a Git LFS pointer, an empty file), or it "
        "asks for more than a reader should spend. Unknown is not clean.",
        "Build the file anew; if a loader takes it, please report it.",
    ),
    Rule(
        "binary-not-read",
        _N,
        "a binary of another platform was judged by its name only",
        "Symbols and libraries of PE, Mach-O and WebAssembly files are not read.",
        "Use delvewheel or delocate for the rest.",
    ),
    Rule(
        "debug-information",
        _W,
        "files carry debug information",
        "It is downloaded and stored by everybody and used by nobody.",
        "Link with -s, or strip --strip-debug; keep the symbols in a separate file.",
    ),
    Rule("symbol-table", _N, "files carry a static symbol table", "Loaders do not use it.", "strip --strip-unneeded"),
    Rule(
        "duplicate-content",
        _N,
        "the same content is stored under several paths",
        "Each copy is downloaded and stored.",
        "Keep one copy; zip archives hold no links.",
    ),
    Rule(
        "release-missing-wheel",
        _W,
        "a CPython of Requires-Python has no wheel among those given together",
        "Users of that CPython get the source distribution or an older release.",
        "Build the missing wheel, or narrow Requires-Python.",
    ),
    Rule(
        "allowlist-stale",
        _E,
        "an entry of the allowlist matches no finding",
        "What it excused is gone; a list that keeps it would hide the next one.",
        "Remove the entry.",
    ),
)

RULES: dict[str, Rule] = {rule.name: rule for rule in _TABLE}


def finding(
    rule: str,
    wheel: str,
    file: str,
    message: str,
    evidence: tuple[str, ...] = (),
    remedy: str = "",
    severity: Severity | None = None,
) -> Finding:
    """A finding with the rule's severity and remedy unless a sharper one is given; all of it printable."""
    known = RULES[rule]
    return Finding(
        rule=rule,
        severity=known.severity if severity is None else severity,
        wheel=wheel,
        file=printable(file),
        message=printable(message),
        remedy=remedy or known.remedy,
        evidence=tuple(map(printable, evidence)),
    )
