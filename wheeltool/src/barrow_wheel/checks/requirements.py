"""Requires-Dist as installers of the wheel follow it: without extras, on the wheel's own platforms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from packaging.requirements import Requirement

from barrow_wheel.checks.matrix import installable_pythons
from barrow_wheel.facts.cpython import covered
from barrow_wheel.facts.manylinux import machine_of_platform
from barrow_wheel.readers.wheel import Wheel


def followed(wheel: Wheel, requirements: Iterable[Requirement]) -> tuple[Requirement, ...]:
    """Those whose marker holds for some CPython that installs the wheel; of extras nobody has to install any."""
    requirements = tuple(requirements)
    conditional = any(r.marker is not None for r in requirements)
    environments = tuple(_environments(wheel)) if conditional else ()
    return tuple(r for r in requirements if r.marker is None or any(_holds(r, e) for e in environments))


def _holds(requirement: Requirement, environment: dict[str, str]) -> bool:
    try:
        return requirement.marker is None or requirement.marker.evaluate(environment)
    except (ValueError, LookupError):
        # A marker that makes no sense excuses nobody from the requirement.
        return True


def _environments(wheel: Wheel) -> Iterator[dict[str, str]]:
    """Everything that a marker may ask for, so that no answer depends on the machine that checks."""
    minors = {python.minor for python in installable_pythons(wheel) or covered(None)}
    for platform in {tag.platform for tag in wheel.tags}:
        os_name, sys_platform, system = (
            ("nt", "win32", "Windows")
            if platform.startswith("win")
            else ("posix", "darwin", "Darwin")
            if platform.startswith("macosx")
            else ("posix", "linux", "Linux")
        )
        for minor in minors:
            yield {
                "extra": "",
                "os_name": os_name,
                "sys_platform": sys_platform,
                "platform_system": system,
                "platform_machine": machine_of_platform(platform) or "x86_64",
                "platform_release": "",
                "platform_version": "",
                "python_version": f"3.{minor}",
                "python_full_version": f"3.{minor}.0",
                "implementation_name": "cpython",
                "implementation_version": f"3.{minor}.0",
                "platform_python_implementation": "CPython",
            }
