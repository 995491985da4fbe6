"""What holds for every file: sizes, who imports what, words that do not belong here."""

from __future__ import annotations

import ast
import configparser
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "sensorfusion"
MODULES = sorted(PACKAGE.rglob("*.py"))
TOOLS = sorted((REPOSITORY / "tools").glob("*.py"))

FLAGS = {
    "pretrain": {
        "--work-dir",
        "--data-root",
        "--launcher",
        "--cfg-options",
        "--allow-change",
        "--preview",
    },
    "evaluate": {
        "--protocol",
        "--split",
        "--seeds",
        "--out",
        "--floors",
        "--set",
        "--merge",
        "--data-root",
        "--touch-test",
        "--allow-seen",
        "--confusion",
    },
    "table": {"--stage", "--only", "--seeds", "--out", "--dry-run", "--data-root"},
    "segment": {
        "--protocol",
        "--fraction",
        "--start",
        "--seeds",
        "--settings",
        "--out",
        "--data-root",
    },
    "doctor": {"--json"},
    "report": {"--out", "--sample", "--no-scene", "--data-root"},
    "prepare": set(),
    "prepare simulate": {
        "--format",
        "--out",
        "--scenes",
        "--seed",
        "--frames",
        "--image-size",
        "--quality",
        "--sweeps",
        "--camera-sweeps",
        "--distorted",
        "--workers",
    },
    "prepare superpixels": {"--method", "--set", "--masks", "--root", "--workers", "--check"},
}
# Written apart, so that this file does not find itself.
FORBIDDEN = {
    "registry host": r"(files\.)?python" + r"hosted\.org|py" + r"pi\.org|registry\.npm" + "js",
    "machine path": r"(?<![\w.])/" + r"(work|root|opt|home/(?!user\b)\w+)/",
    "issue number": r"\b(issue|PR|pull request)s? #?\d|(?<=[\s(])#\d+\b",
}


def tracked_files() -> Iterator[Path]:
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in listed.stdout.decode().split("\0"):
        if name and (REPOSITORY / name).is_file():
            yield REPOSITORY / name


def ids(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def test_the_package_is_found() -> None:
    assert len(MODULES) >= 20
    assert len(TOOLS) >= 1


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_words_of_one_workplace(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what])
    found = []
    for path in tracked_files():
        if path.name == "LICENSE":
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{ids(path)}: {match[0]}" for match in pattern.finditer(text)]
    assert not found


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("registry host", "https://files.python" + "hosted.org/x"),
        ("machine path", "open('/wo" + "rk/data')"),
        ("issue number", "see issue " + "2"),
        ("issue number", "fixes (#" + "17)"),
    ],
)
def test_the_words_would_be_found(what: str, text: str) -> None:
    assert re.search(FORBIDDEN[what], text)


def test_nothing_large_is_tracked() -> None:
    large = [ids(path) for path in tracked_files() if path.stat().st_size > 1_000_000]
    assert not large


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_module_and_its_functions_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 60, node.name


@pytest.mark.parametrize("path", TOOLS, ids=ids)
def test_tool_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 60


def imported_by(path: Path) -> set[str]:
    """Top-level names of all imports, those inside functions included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.split(".")[0] for name in names}


def test_only_the_engine_imports_mmengine() -> None:
    outside = [p for p in MODULES if "engine" not in p.relative_to(PACKAGE).parts]
    assert not [ids(path) for path in outside if "mmengine" in imported_by(path)]


def test_only_ops_imports_spconv() -> None:
    outside = [p for p in MODULES if "ops" not in p.relative_to(PACKAGE).parts]
    assert not [ids(path) for path in outside if "spconv" in imported_by(path)]


def test_every_import_is_a_requirement() -> None:
    """What the package imports is the standard library, itself, or named in setup.cfg."""
    setup = configparser.ConfigParser()
    setup.read(REPOSITORY / "setup.cfg")
    lines = setup["options"]["install_requires"].split()
    for extra, listed in setup["options.extras_require"].items():
        lines += [] if extra in ("test", "all") else [x.split(";")[0] for x in listed.split("\n")]
    named = {canonicalize_name(Requirement(line).name) for line in lines if line}
    distribution = {
        "PIL": "pillow",
        "cv2": "opencv-python",
        "nuscenes": "nuscenes-devkit",
        "open3d": "open3d-cpu",
        "rerun": "rerun-sdk",
        "skimage": "scikit-image",
        "spconv": "spconv-cu120",
    }
    allowed = {*sys.stdlib_module_names, "sensorfusion"}
    unknown = {
        f"{ids(path)}: {name}"
        for path in MODULES
        for name in imported_by(path) - allowed
        if canonicalize_name(distribution.get(name, name)) not in named
    }
    assert not unknown


def test_every_requirement_has_a_tested_version() -> None:
    constraints = [
        Requirement(line)
        for line in (REPOSITORY / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    tested = {canonicalize_name(r.name): str(r.specifier).removeprefix("==") for r in constraints}
    setup = configparser.ConfigParser()
    setup.read(REPOSITORY / "setup.cfg")
    lines = setup["options"]["install_requires"].split("\n")
    for extra, listed in setup["options.extras_require"].items():
        lines += [] if extra == "all" else listed.split("\n")
    python = {"python_version": "3.11", "sys_platform": "linux", "platform_machine": "x86_64"}
    for requirement in map(Requirement, filter(None, lines)):
        if requirement.marker is None or requirement.marker.evaluate(python):
            version = tested.get(canonicalize_name(requirement.name))
            assert version, f"{requirement} has no version in constraints.txt"
            assert requirement.specifier.contains(version), requirement


def test_import_is_light() -> None:
    """`import sensorfusion` loads nothing heavy; the words only torch, NumPy and SciPy."""
    heavy = ["torch", "numpy", "scipy", "numba", "matplotlib", "mmengine", "cv2", "tensorboard"]
    assert loaded_by("sensorfusion", heavy) == []
    assert loaded_by("sensorfusion.model", heavy[3:]) == []


def loaded_by(module: str, candidates: list[str]) -> list[str]:
    code = f"import sys, {module}; print(*[m for m in {candidates!r} if m in sys.modules])"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize("name", sorted({path.stem for path in TOOLS} | set(FLAGS)))
def test_flags_are_few_and_frozen(name: str) -> None:
    tool, *subcommand = name.split()
    command = [sys.executable, str(REPOSITORY / "tools" / f"{tool}.py"), *subcommand, "--help"]
    environment = {"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin", "COLUMNS": "200"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    listed = re.findall(r"^\s+(?:-\w,\s)?(--[\w-]+)", done.stdout, flags=re.MULTILINE)
    assert name in FLAGS, f"list the flags of {name} here: {sorted(set(listed))}"
    assert set(listed) - {"--help"} == FLAGS[name]


def test_flags_of_every_subcommand_are_listed() -> None:
    from sensorfusion.prepare import COMMANDS

    assert {f"prepare {name}" for name in COMMANDS} <= set(FLAGS)


def test_skeletons_of_contributing_run() -> None:
    """The code blocks of CONTRIBUTING.md work, one after the other, as one program."""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 6
    program = "\n".join(blocks) + "\nassert model.encoders['near'].layer.weight.grad.norm() > 0\n"
    program += "print(float(losses['same.distance']))"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 0


def test_links_between_documents_lead_somewhere() -> None:
    broken = []
    for document in [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8")):
            if "://" not in target and not (document.parent / target).exists():
                broken.append(f"{document.name}: {target}")
    assert not broken
