"""The plan of the house: who may import whom, which library lives where, and how large things may grow."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "nmt_cli"
FILES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))

# What each room may import besides itself. A name ending in .py at the top level is a room of its own.
GROUND = {"batch", "config", "errors", "__init__"}
ROOMS = {
    "__init__": set(),
    "__main__": {"cli"},
    "cli": {"arguments", "translating", "calling", "process", "__init__"},
    "arguments": {"config", "errors"},
    "translating": {"arguments", "calling"},
    "calling": {"commands", "errors"},
    "commands": {"run", "training", "visualize", "data", "nn"} | GROUND,
    "visualize": {"run", "data", "nn"} | GROUND,
    "run": {"data", "nn"} | GROUND,
    "training": {"nn"} | GROUND,
    "data": GROUND,
    "nn": GROUND,
    "batch": set(),
    "config": {"combinations", "options", "sections", "errors"},
    "sections": {"options"},
    "combinations": set(),
    "options": {"errors"},
    "errors": set(),
    "process": set(),
}

# One library, one place. A library that is not here may be used anywhere.
PLACES = {
    "typer": ("cli.py", "arguments.py", "translating.py"),
    "tomllib": ("config.py", "data/demo/lexicon.py"),
    "datasets": ("data/",),
    "pyarrow": ("data/",),
    "sentencepiece": ("data/",),
    "flax": ("nn/",),
    "optax": ("training/",),
    "orbax": ("run/",),
    "safetensors": ("run/",),
    "sacrebleu": ("run/scoring.py",),
    "rich": ("commands/",),
    "tensorboardX": ("commands/", "run/"),
    "matplotlib": ("visualize/",),
    "jax": ("nn/", "training/", "run/", "commands/", "visualize/"),
    "pickle": (),
    "marshal": (),
    "shelve": (),
}

BANNED_MODULES = {"utils", "util", "helpers", "helper", "common", "misc", "base", "core", "tools", "manager"}
BANNED_CLASSES = re.compile(r"(Trainer|Manager|Helper|Util)s?$|^Base[A-Z]|Base$")

# The train loop is one readable piece (see the comment at its head); everything else fits a screen.
LONG_FUNCTIONS_ALLOWED = {"commands/train.py": 1}
MOST_LINES_OF_A_FILE = 300
MOST_LINES_OF_A_FUNCTION = 60
LINES_OF_MOST_FUNCTIONS = 30


@functools.cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse((PACKAGE / file).read_text(encoding="utf-8"))


def room_of(file: Path) -> str:
    return file.parts[0].removesuffix(".py")


def imports(node: ast.AST, typing_too: bool) -> Iterator[str]:
    """Dotted names that a file imports, inside functions as well; those for type checkers only where wanted."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not typing_too:
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from imports(child, typing_too)


def rooms_imported(file: Path) -> set[str]:
    ours = [name.split(".") for name in imports(tree_of(file), typing_too=True) if name.split(".")[0] == "nmt_cli"]
    return {parts[1] if len(parts) > 1 and parts[1] in ROOMS else "__init__" for parts in ours}


def functions(file: Path) -> Iterator[tuple[str, int]]:
    """Each function's name and its lines, signature and docstring counted."""
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{file.as_posix()}:{node.lineno} {node.name}", (node.end_lineno or 0) - node.lineno + 1


def modules_loaded_by(program: str) -> set[str]:
    """Top-level modules in memory after a fresh interpreter ran the program."""
    command = f"{program}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("file", FILES, ids=str)
def test_every_file_is_in_a_known_room(file):
    assert room_of(file) in ROOMS


@pytest.mark.parametrize("file", FILES, ids=str)
def test_imports_go_down_only(file):
    room = room_of(file)
    assert rooms_imported(file) <= ROOMS[room] | {room}


@pytest.mark.parametrize("file", FILES, ids=str)
def test_each_library_stays_in_its_place(file):
    used = {name.split(".")[0] for name in imports(tree_of(file), typing_too=False)}
    strays = [library for library in used & PLACES.keys() if not file.as_posix().startswith(PLACES[library] or ("/",))]
    assert strays == []


def test_the_arrows_have_no_cycles():
    # Follow each arrow down; a room that reaches itself stands on its own roof.
    def below(room: str, seen: frozenset[str] = frozenset()) -> set[str]:
        assert room not in seen, f"{room} imports itself by way of others"
        return ROOMS[room].union(*(below(lower, seen | {room}) for lower in ROOMS[room]))

    assert all(room not in below(room) for room in ROOMS)


def test_a_forbidden_import_is_seen():
    tree = ast.parse("def late():\n    import optax\n    from nmt_cli.run import model\n")
    assert list(imports(tree, typing_too=True)) == ["optax", "nmt_cli.run.model"]


@pytest.mark.parametrize("file", FILES, ids=str)
def test_files_are_named_after_what_they_hold(file):
    assert not {part.removesuffix(".py").lower() for part in file.parts} & BANNED_MODULES


@pytest.mark.parametrize("file", FILES, ids=str)
def test_classes_are_named_after_what_they_are(file):
    classes = [node.name for node in ast.walk(tree_of(file)) if isinstance(node, ast.ClassDef)]
    assert [name for name in classes if BANNED_CLASSES.search(name)] == []


@pytest.mark.parametrize("file", FILES, ids=str)
def test_files_stay_small(file):
    assert len((PACKAGE / file).read_text(encoding="utf-8").splitlines()) <= MOST_LINES_OF_A_FILE


@pytest.mark.parametrize("file", FILES, ids=str)
def test_no_function_is_longer_than_two_screens(file):
    long = [name for name, lines in functions(file) if lines > MOST_LINES_OF_A_FUNCTION]
    assert len(long) <= LONG_FUNCTIONS_ALLOWED.get(file.as_posix(), 0), long


def test_nine_functions_in_ten_fit_a_screen():
    lines = dict(entry for file in FILES for entry in functions(file))
    long = {name: count for name, count in lines.items() if count > LINES_OF_MOST_FUNCTIONS}
    assert len(long) <= 0.1 * len(lines), long


@pytest.mark.parametrize("file", FILES, ids=str)
def test_no_array_starts_uninitialised(file):
    # jax.numpy.empty returned zeros up to JAX 0.10 and returns whatever lies in memory since 0.11.
    calls = [ast.unparse(node) for node in ast.walk(tree_of(file)) if isinstance(node, ast.Attribute)]
    assert not {"jnp.empty", "jnp.empty_like", "jax.numpy.empty", "jax.numpy.empty_like", "jax.lax.empty"} & set(calls)


def test_the_command_line_loads_nothing_heavy():
    loaded = modules_loaded_by("import nmt_cli.cli")
    assert not loaded & {
        "jax",
        "jaxlib",
        "flax",
        "numpy",
        "datasets",
        "sentencepiece",
        "sacrebleu",
        "rich",
        "importlib_metadata",
    }


def test_help_loads_nothing_heavy():
    program = (
        "from typer.testing import CliRunner\nfrom nmt_cli.cli import app\nCliRunner().invoke(app, ['train', '--help'])"
    )
    assert not modules_loaded_by(program) & {"jax", "flax", "numpy", "datasets", "rich"}


def test_reading_text_loads_neither_jax_nor_datasets():
    names = [file.with_suffix("").as_posix().replace("/", ".") for file in FILES if room_of(file) == "data"]
    program = "\n".join(f"import nmt_cli.{name.removesuffix('.__init__')}" for name in names)
    assert not modules_loaded_by(program) & {"jax", "flax", "datasets"}


def test_importing_the_package_loads_nothing_of_it():
    program = "import sys\nbefore = set(sys.modules)\nimport nmt_cli\nassert set(sys.modules) - before == {'nmt_cli'}"
    modules_loaded_by(program)
