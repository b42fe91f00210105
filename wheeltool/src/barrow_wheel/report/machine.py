"""JSON and SARIF 2.1.0. Both are interfaces: keys may be added, never renamed."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from barrow_wheel import __version__
from barrow_wheel.check import Report, WheelReport
from barrow_wheel.checks.torch import torch_files
from barrow_wheel.findings import Finding, Severity
from barrow_wheel.report import summary
from barrow_wheel.rules import RULES

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def finding_json(found: Finding) -> dict[str, Any]:
    return {
        "rule": found.rule,
        "severity": str(found.severity),
        "wheel": found.wheel,
        "file": found.file,
        "message": found.message,
        "evidence": list(found.evidence),
        "remedy": found.remedy,
    }


def _wheel_json(report: WheelReport, whole: Report) -> dict[str, Any]:
    wheel = report.wheel
    gpus = summary.gpus_of(whole.gpus)
    return {
        "name": wheel.name,
        "distribution": wheel.metadata.name,
        "version": wheel.metadata.version,
        "bytes": wheel.size,
        "files": len(wheel.files),
        "requires_python": None if wheel.metadata.requires_python is None else str(wheel.metadata.requires_python),
        "tags": sorted(map(str, wheel.tags)),
        "matrix": {
            "pythons": [str(python) for python in report.matrix.pythons],
            "modules": [
                {
                    "name": module.name,
                    "loaded_by": module.loader.value,
                    "files": list(module.files),
                    "cells": [cell.value for cell in module.cells],
                }
                for module in report.matrix.modules
            ],
        },
        "torch": [
            {
                "file": file.path,
                "minimum": None if file.use.minimum is None else ".".join(map(str, file.use.minimum)),
                "stable_functions": len(file.use.shim),
                "unstable_symbols": list(file.use.unstable),
                "registers_operators": file.use.registers_operators,
            }
            for file in torch_files(wheel)
        ],
        "device_code": [
            {
                "file": binary.path,
                "cuda": [
                    {
                        "kind": code.kind,
                        "arch": code.arch,
                        "variant": code.variant,
                        "count": number,
                        "elf_abi": code.abi or None,
                        "ptx_isa": ".".join(map(str, code.ptx_isa)) if any(code.ptx_isa) else None,
                    }
                    for code, number in binary.device.cuda
                ],
                "hip": list(binary.device.hip),
            }
            for binary in wheel.binaries
            if binary.device
        ],
        "gpus": [
            {
                "files": list(row.files),
                "code": row.codes,
                "driver": row.driver or None,
                "support": {one.name: level.value for one, level in zip(gpus, row.support, strict=True)},
            }
            for row in summary.gpu_rows(report, gpus)
        ],
        "findings": [finding_json(found) for found in report.findings],
        "excused": report.excused,
    }


def to_json(report: Report) -> str:
    data = {
        "format": 1,
        "tool": f"barrow-wheel {__version__}",
        "wheels": [_wheel_json(wheel, report) for wheel in report.wheels],
        "findings": [finding_json(found) for found in report.general],
    }
    return json.dumps(data, indent=2) + "\n"


def to_sarif(report: Report) -> str:
    """SARIF for code-scanning services. The artifact is the wheel, the place in it a logical location."""
    used = sorted({found.rule for found in report.findings})
    rules = [
        {
            "id": name,
            "shortDescription": {"text": RULES[name].summary},
            "fullDescription": {"text": RULES[name].why},
            "help": {"text": RULES[name].remedy},
            "defaultConfiguration": {"level": _LEVELS[RULES[name].severity]},
        }
        for name in used
    ]
    results = [
        {
            "ruleId": found.rule,
            "ruleIndex": used.index(found.rule),
            "level": _LEVELS[found.severity],
            "message": {"text": _sarif_message(found)},
            "locations": [
                {
                    "physicalLocation": {"artifactLocation": {"uri": quote(found.wheel, errors="surrogateescape")}},
                    "logicalLocations": [{"fullyQualifiedName": f"{found.wheel}!{found.file}", "kind": "member"}],
                }
            ],
        }
        for found in report.findings
    ]
    run = {
        "tool": {"driver": {"name": "barrow-wheel", "version": __version__, "rules": rules}},
        "results": results,
        "columnKind": "unicodeCodePoints",
    }
    document = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=2) + "\n"


def _sarif_message(found: Finding) -> str:
    place = f"{found.file}: " if found.file else ""
    evidence = f" Evidence: {'; '.join(found.evidence)}." if found.evidence else ""
    return f"{place}{found.message}.{evidence} {found.remedy}"
