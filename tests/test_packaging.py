"""What is shipped: the lock fits what the project asks for, and a wheel holds all that the program needs."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from nmt_cli import __version__

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.txt").read_text(encoding="utf-8")
PYTHONS = ["3.11", "3.12", "3.13"]
MACHINES = [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")]


def pins(environment: dict[str, str]) -> dict[str, str]:
    """The lock's versions by name, for one kind of machine."""
    entries = [Requirement(line.rstrip(" \\")) for line in LOCK.splitlines() if not line.startswith((" ", "#"))]
    chosen = [entry for entry in entries if entry.marker is None or entry.marker.evaluate(environment)]
    assert len({entry.name for entry in chosen}) == len(chosen), "two versions of one package"
    return {canonicalize_name(entry.name): str(entry.specifier).removeprefix("==") for entry in chosen}


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(("system", "machine"), MACHINES)
@pytest.mark.fault(67)
def test_the_lock_has_a_fitting_version_of_everything_asked_for(python, system, machine):
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": system,
        "platform_machine": machine,
    }
    locked = pins(environment)
    asked = map(Requirement, PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"])
    for requirement in asked:
        assert locked[canonicalize_name(requirement.name)] in requirement.specifier, f"{requirement}: run `make lock`"


def test_every_version_in_the_lock_is_exact_and_hashed():
    entries = re.split(r"\n(?=\S)", LOCK.strip())
    assert len(entries) > 50
    for entry in entries:
        assert re.match(r"[a-z0-9-]+==\S+", entry)
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry)


def test_the_lock_names_no_place_on_the_network_or_on_disk():
    assert not re.search(r"://|--(extra-)?index-url|--find-links|\s@\s", LOCK)


def test_the_changelog_knows_this_version():
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_a_wheel_holds_all_that_the_program_needs(tmp_path):
    pytest.importorskip("hatchling", reason="hatchling builds the wheel; `make install` brings it")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == f"nmt_cli-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        shipped = set(archive.namelist())
        entry_points = archive.read(f"nmt_cli-{__version__}.dist-info/entry_points.txt").decode()
    package = {path for path in (ROOT / "nmt_cli").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    recipes = {path.name for path in (ROOT / "recipes").iterdir() if path.is_file()}
    assert shipped >= {path.relative_to(ROOT).as_posix() for path in package}
    assert shipped >= {f"nmt_cli/recipes/{name}" for name in recipes}
    assert "nmt = nmt_cli.cli:start" in entry_points
    assert not [name for name in shipped if name.startswith("tests/")]
