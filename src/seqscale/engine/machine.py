"""What machine this is, read from the operating system without importing torch."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The facts that a measurement depends on. `fingerprint` is coarse on purpose: a clock that reads 2,249 MHz today
    and 2,250 tomorrow is the same machine; versions of software are facts beside it.
    """

    processor: str
    cores: int
    memory_gib: int
    system: str
    gpus: tuple[str, ...]

    def facts(self) -> dict[str, str]:
        """Return the facts as they are to be printed."""
        facts = {"processor": self.processor, "cores": str(self.cores), "memory": f"{self.memory_gib} GiB"}
        return facts | {"system": self.system} | ({"GPU": ", ".join(self.gpus)} if self.gpus else {})

    @property
    def fingerprint(self) -> str:
        """What enters the identity of a cell."""
        gpus = "".join(f", {gpu}" for gpu in self.gpus)
        return f"{self.processor}, {self.cores} cores, {self.memory_gib} GiB, {self.system}{gpus}"


def this_machine() -> Machine:
    """Read this machine's facts; cores are those that this process may use."""
    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        system=f"{platform.system()} {platform.machine()}",
        gpus=_gpus(),
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE)
        if found:
            return found.group(1).strip()
    return platform.processor() or platform.machine()


def _gpus() -> tuple[str, ...]:
    """Names of the NVIDIA GPUs that the driver lists; empty without a driver."""
    files = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    found = (re.search(r"^Model:\s*(.+)$", file.read_text(), re.MULTILINE) for file in files)
    return tuple(match.group(1).strip() for match in found if match)


def versions() -> dict[str, str]:
    """Return the versions of what a number depends on, by distribution name."""
    return {name: importlib.metadata.version(name) for name in ("seqscale", "torch", "numpy")} | {
        "python": platform.python_version()
    }
