"""Nothing in the package unpickles or runs what comes from outside."""

import ast
from pathlib import Path

import pytest

import sensorfusion

PACKAGE = Path(sensorfusion.__file__).parent
FORBIDDEN_NAMES = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FORBIDDEN_CALLS = {"pd.read_pickle", "os.system", "os.popen", "yaml.load", "all_gather_object",
                   "broadcast_object_list", "gather_object", "scatter_object_list"}  # fmt: skip


def violations(source):
    """What a module does that it must not: [(line, what)]."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            found += [(node.lineno, n) for n in names if n.split(".")[0] in FORBIDDEN_MODULES]
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in (
            FORBIDDEN_MODULES
        ):
            found.append((node.lineno, node.module))
        if isinstance(node, ast.Call):
            found += [(node.lineno, what) for what in _wrong_call(node)]
    return found


def _wrong_call(node):
    name = ast.unparse(node.func)
    keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
    if {name, name.split(".")[-1]} & FORBIDDEN_CALLS or name in FORBIDDEN_NAMES:
        yield name
    if name == "torch.load" and keywords.get("weights_only") != "True":
        yield "torch.load without weights_only=True"
    if keywords.get("allow_pickle") not in (None, "False"):
        yield "allow_pickle"
    if keywords.get("shell") not in (None, "False"):
        yield "shell"


def test_no_module_can_run_what_it_reads():
    modules = sorted(PACKAGE.rglob("*.py"))
    assert len(modules) > 20
    found = {str(file): violations(file.read_text()) for file in modules}
    assert {file: where for file, where in found.items() if where} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "eval(text)",
        "exec(text)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=flag)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=flag)",
        "subprocess.run(text, shell=True)",
        "dist.all_gather_object(a, b)",
    ],
)
def test_the_audit_finds(source):
    assert violations(source)


@pytest.mark.parametrize(
    "source",
    ["model.eval()", "ast.literal_eval(text)", "torch.load(p, weights_only=True)", "re.compile(x)"],
)
def test_the_audit_allows(source):
    assert not violations(source)


def test_only_the_engine_imports_mmengine():
    for file in PACKAGE.rglob("*.py"):
        if (PACKAGE / "engine") not in file.parents:
            for name in _imports(file):
                assert name.split(".")[0] != "mmengine", file
                assert not name.startswith("sensorfusion.engine"), file


def _imports(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
