"""What works on this machine, what does not, and what to do about it.

Every check returns findings; none raises. Packages are imported in processes of their own, so
that one that is broken (or crashes) is reported instead of ending the report.
"""

from __future__ import annotations

import configparser
import os
import pkgutil
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import sensorfusion
import sensorfusion.datasets

Status = Literal["ok", "note", "trouble"]

REPOSITORY = Path(__file__).resolve().parents[1]
INSTALL = "pip install -c constraints.txt"
REPAIR = f"{INSTALL} ./requirements/opencv-python -e '.[test]'"
GIB = 2**30
OPENCV_REPAIR = (
    "pip uninstall -y opencv-python opencv-python-headless; "
    f"{INSTALL} ./requirements/opencv-python; or apt-get install libgl1 libglib2.0-0"
)
# What to import where the distribution's own name is not its module's.
MODULES = {
    "mmengine": "mmengine.runner",
    "nuscenes-devkit": "nuscenes",
    "open3d-cpu": "open3d",
    "opencv-python": "cv2",
    "pillow": "PIL",
    "rerun-sdk": "rerun",
    "scikit-image": "skimage",
    "spconv-cu120": "spconv.pytorch",
    "spconv-cu126": "spconv.pytorch",
}
# Extras that are no parts of the package.
NO_PARTS = {"", "test", "all"}
# Reports each import on a line of its own, which packages that print cannot imitate by chance.
MARK = "\x1f"
IMPORTER = f"""
import importlib, sys
for module in sys.argv[1:]:
    try:
        importlib.import_module(module)
        problem = ""
    except BaseException as error:
        problem = " ".join(f"{{type(error).__name__}}: {{error}}".split())
    print({MARK!r} + problem[:300], flush=True)
"""


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Args:
        section: heading that it stands under. name: what was looked at. value: what was found.
        status: "ok"; "note", worth knowing; "trouble", something will not work.
        remedy: what to do about it.
    """

    section: str
    name: str
    value: str
    status: Status = "ok"
    remedy: str = ""


def examine() -> list[Finding]:
    """All checks, in the order of the report."""
    checks = (machine, required, torch_devices, sparse, optional, clashes, data)
    return [finding for check in checks for finding in check()]


def report(findings: list[Finding]) -> str:
    """The findings as aligned text, sections in order of first appearance."""
    width = max(len(finding.name) for finding in findings)
    marks = {"ok": " ", "note": "-", "trouble": "!"}
    lines: list[str] = []
    section = ""
    for finding in findings:
        if finding.section != section:
            section = finding.section
            lines += ["", section]
        lines.append(f" {marks[finding.status]} {finding.name:<{width}}  {finding.value}")
        if finding.remedy:
            lines.append(f"   {'':<{width}}  -> {finding.remedy}")
    if any(finding.remedy for finding in findings):
        pip = Path(sys.prefix) / "bin" / "pip"
        lines += ["", f"-> is what to do; commands run in {REPOSITORY}, where pip is {pip}."]
    troubles = sum(finding.status == "trouble" for finding in findings)
    lines += ["", f"{troubles} in trouble (marked !)" if troubles else "No trouble found."]
    return "\n".join(lines[1:])


def machine() -> Iterator[Finding]:
    """Python, processors, memory, disk and the shared memory of loader workers."""
    section = "Machine"
    yield Finding(section, "sensorfusion", f"{sensorfusion.__version__} in {REPOSITORY}")
    supported = sys.version_info >= (3, 11)
    yield Finding(
        section,
        "Python",
        f"{platform.python_version()} ({sys.executable})",
        "ok" if supported else "trouble",
        "" if supported else "install Python 3.11 or later",
    )
    yield Finding(section, "system", f"{platform.system()} {platform.release()}, {_architecture()}")
    yield Finding(section, "processors", f"{_usable_processors()} usable of {os.cpu_count()}")
    yield Finding(section, "disk", f"{shutil.disk_usage('.').free / GIB:.0f} GiB free here")
    shm = Path("/dev/shm")
    if shm.is_dir() and (size := shutil.disk_usage(shm).total) < GIB:
        yield Finding(
            section,
            "shared memory",
            f"{size / 2**20:.0f} MiB; loader workers may run out of it",
            "note",
            "in a container: docker run --shm-size=2g",
        )
    if os.environ.get("PYTHONPATH"):
        yield Finding(
            section,
            "PYTHONPATH",
            os.environ["PYTHONPATH"],
            "note",
            "it can shadow installed packages; unset it if imports behave strangely",
        )


def required() -> Iterator[Finding]:
    """Every package that is always needed: version within range, and it imports."""
    requirements = [r for r in _requirements() if not _extra(r)]
    names = [requirement.name for requirement in requirements]
    problems = _import_problems([*names, "cv2"])
    for requirement in requirements:
        yield _package("Required packages", requirement, problems[requirement.name])
    if problems["cv2"]:
        yield Finding("Required packages", "OpenCV", problems["cv2"], "trouble", OPENCV_REPAIR)


def optional() -> Iterator[Finding]:
    """Every package of an extra: present and importable, or the command that gets it."""
    wanted = [r for r in _requirements() if _extra(r) not in NO_PARTS]
    installed = [r.name for r in wanted if _version(r.name)]
    problems = _import_problems(installed)
    for requirement in wanted:
        if requirement.name in installed:
            yield _package("Optional parts", requirement, problems[requirement.name])
            continue
        command = f"{INSTALL} -e '.[{_extra(requirement)}]'"
        yield Finding("Optional parts", requirement.name, "not installed", "note", command)


def torch_devices() -> Iterator[Finding]:
    """Threads and accelerators as torch sees them."""
    section = "Devices"
    if _import_problems(["torch"])["torch"]:
        yield Finding(section, "torch", "cannot be imported", "note", "see above")
        return
    import torch

    threads, processors = torch.get_num_threads(), _usable_processors()
    crowded = threads > processors
    yield Finding(
        section,
        "threads",
        f"{threads} of torch on {processors} processors, "
        f"OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')}",
        "note" if crowded else "ok",
        f"set OMP_NUM_THREADS={processors}" if crowded else "",
    )
    if not torch.cuda.is_available():
        driver = Path("/proc/driver/nvidia/version").exists()
        yield _without_gpu(section, torch.version.cuda, driver)
        return
    for index in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(index)
        capability, memory = f"{gpu.major}.{gpu.minor}", gpu.total_memory / GIB
        value = f"{gpu.name}, capability {capability}, {memory:.0f} GiB, CUDA {torch.version.cuda}"
        yield Finding(section, f"GPU {index}", value)


def _without_gpu(section: str, built_for: str | None, driver: bool) -> Finding:
    if driver and built_for is None:
        remedy = "install a CUDA build of torch of the version in constraints.txt"
        return Finding(section, "GPU", "present, but torch is a CPU build", "note", remedy)
    if driver:
        remedy = "check nvidia-smi; the driver may be too old for this torch"
        value = f"torch for CUDA {built_for} cannot use it"
        return Finding(section, "GPU", value, "trouble", remedy)
    return Finding(section, "GPU", "none; everything runs on the CPU")


def sparse() -> Iterator[Finding]:
    """The backend that sparse convolutions use here, and every other one."""
    section = "Sparse convolution"
    if any(_import_problems(["torch", "numba"]).values()):
        yield Finding(
            section, "backend in use", "none without torch and numba", "note", "see above"
        )
        return
    import torch

    from sensorfusion.ops.backends import VARIABLE, default_name, obstacles

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    used = os.environ.get(VARIABLE) or default_name(device)
    found = obstacles(device)
    forced = f" ({VARIABLE} says so)" if os.environ.get(VARIABLE) else ""
    value = f"{used} on {device.type}{forced}"
    problem = found.get(used, f"there is none of this name; known: {', '.join(found)}")
    yield Finding(section, "backend in use", value, "trouble" if problem else "ok", problem)
    for name, obstacle in found.items():
        if name != used:
            yield Finding(section, f"{name} backend", obstacle or "available")


def clashes() -> Iterator[Finding]:
    """Installed packages that break each other."""
    section = "Clashes"
    opencv = _owners_of("cv2/__init__.py")
    if len(opencv) > 1:
        value = f"{' and '.join(opencv)} overwrite each other"
        remedy = f"pip uninstall -y {' '.join(opencv)}; {INSTALL} ./requirements/opencv-python"
        yield Finding(section, "OpenCV", value, "trouble", remedy)
    if _version("torchvision") and (problem := _import_problems(["torchvision"])["torchvision"]):
        remedy = "pip uninstall torchvision (nothing here needs it), or get the one for this torch"
        yield Finding(section, "torchvision", problem, "trouble", remedy)
    for owner, requirement, found in _unmet():
        value = f"{owner} needs {requirement}, found {found}"
        yield Finding(section, requirement.name, value, "trouble", REPAIR)


def data() -> Iterator[Finding]:
    """The data root, and which data sets in it have a reader here."""
    section = "Data"
    variable = os.environ.get("SENSORFUSION_DATA")
    root = Path(variable or REPOSITORY.parent / "shared" / "data").resolve()
    if not root.is_dir():
        status: Status = "trouble" if variable else "note"
        remedy = "set SENSORFUSION_DATA to the folder that holds one folder per data set"
        yield Finding(section, "SENSORFUSION_DATA", f"{root} is no folder", status, remedy)
        return
    yield Finding(section, "SENSORFUSION_DATA", str(root) + ("" if variable else " (default)"))
    readers = {module.name for module in pkgutil.iter_modules(sensorfusion.datasets.__path__)}
    folders = sorted(path for path in root.iterdir() if path.is_dir())
    known = [path for path in folders if path.name.replace("-", "_") in readers]
    for path in known:
        yield Finding(section, path.name, f"{sum(1 for _ in path.iterdir())} entries")
    if len(known) < len(folders):
        value = f"{len(folders) - len(known)} folders without a reader in this version"
        yield Finding(section, "others", value)


def _package(section: str, requirement: Requirement, problem: str) -> Finding:
    version = _version(requirement.name)
    if version is None:
        return Finding(section, requirement.name, "missing", "trouble", REPAIR)
    if not requirement.specifier.contains(version, prereleases=True):
        value = f"{version}, needed {requirement.specifier}"
        return Finding(section, requirement.name, value, "trouble", REPAIR)
    if problem:
        again = f"{INSTALL} --force-reinstall --no-deps {requirement.name}"
        remedy = OPENCV_REPAIR if "libGL" in problem else again
        return Finding(section, requirement.name, f"{version}: {problem}", "trouble", remedy)
    return Finding(section, requirement.name, version)


def _requirements() -> list[Requirement]:
    """The package's own requirements, from the installed metadata or from setup.cfg."""
    try:
        parsed = [Requirement(line) for line in metadata.requires("sensorfusion") or ()]
    except metadata.PackageNotFoundError:
        parsed = [Requirement(line) for line in _setup_lines()]
    return [r for r in parsed if canonicalize_name(r.name) != "sensorfusion" and _applies(r)]


def _setup_lines() -> Iterator[str]:
    setup = configparser.ConfigParser()
    setup.read(REPOSITORY / "setup.cfg", encoding="utf-8")
    if not setup.has_section("options"):
        return
    yield from setup["options"]["install_requires"].split("\n")[1:]
    for extra, lines in setup["options.extras_require"].items():
        for line in filter(None, lines.split("\n")):
            requirement, _, marker = line.partition(";")
            condition = f"({marker}) and " if marker else ""
            yield f'{requirement}; {condition}extra == "{extra}"'


def _extra(requirement: Requirement) -> str:
    """The extra that a requirement belongs to, or an empty string."""
    quoted = str(requirement.marker or "").partition("extra == ")[2]
    return quoted.split('"')[1] if quoted else ""


def _applies(requirement: Requirement) -> bool:
    extra = _extra(requirement)
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _owners_of(file: str) -> list[str]:
    owners = (d.name for d in metadata.distributions() if file in map(str, d.files or ()))
    return sorted(set(owners))


def _unmet() -> Iterator[tuple[str, Requirement, str]]:
    """Requirements of our requirements, and so on, that are not fulfilled."""
    waiting = [requirement.name for requirement in _requirements() if not _extra(requirement)]
    seen: set[str] = set()
    while waiting:
        owner = canonicalize_name(waiting.pop())
        if owner in seen or _version(owner) is None:
            continue
        seen.add(owner)
        for requirement in map(Requirement, metadata.requires(owner) or ()):
            if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
                continue
            waiting.append(requirement.name)
            version = _version(requirement.name)
            if not version or not requirement.specifier.contains(version, prereleases=True):
                yield owner, requirement, version or "none"


def _import_problems(distributions: Iterable[str]) -> dict[str, str]:
    """Per distribution the reason why it cannot be imported, or an empty string.

    One process imports them all; when it dies, the package at fault is the first one that it did
    not report, and another process goes on with the rest.
    """
    problems: dict[str, str] = {}
    waiting = list(distributions)
    while waiting:
        modules = [MODULES.get(name, name.replace("-", "_")) for name in waiting]
        command = [sys.executable, "-c", IMPORTER, *modules]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        lines = [line[1:] for line in done.stdout.splitlines() if line.startswith(MARK)]
        problems |= dict(zip(waiting, lines, strict=False))
        waiting = waiting[len(lines) :]
        if waiting:
            problems[waiting.pop(0)] = f"importing it ends the process with {done.returncode}"
    return problems


def _usable_processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _architecture() -> str:
    return platform.machine() or "unknown architecture"
