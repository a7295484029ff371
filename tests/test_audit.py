"""`.ci/audit.py` fails for a known vulnerability, and says so when nothing could be checked."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

PATH = Path(__file__).parent.parent / ".ci" / "audit.py"
SAFE = {"name": "numpy", "version": "2.4", "vulns": []}
UNKNOWN = {"name": "jax", "skip_reason": "Dependency not found on PyPI and could not be audited: jax (0.10)"}
FLAW = {"id": "CVE-2026-1260", "fix_versions": ["0.2.1"], "aliases": []}
FLAWED = {"name": "sentencepiece", "version": "0.2.0", "vulns": [FLAW]}


@pytest.fixture(scope="module")
def audit():
    spec = importlib.util.spec_from_file_location("audit", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([SAFE], 0, "no known vulnerability in 1 packages"),
        ([SAFE, UNKNOWN], 0, "no known vulnerability in 1 packages; not known to the service: jax"),
        ([UNKNOWN, UNKNOWN], 0, "not audited: the service of vulnerabilities knows none of the packages"),
        ([SAFE, FLAWED, UNKNOWN], 1, "sentencepiece 0.2.0: CVE-2026-1260, mended in 0.2.1"),
    ],
    ids=["safe", "partly known", "mirror", "flawed"],
)
def test_the_verdict(audit, packages, code, said):
    found = audit.verdict({"dependencies": packages, "fixes": []})
    assert found[0] == code
    assert said in found[1]


@pytest.mark.parametrize(
    ("output", "code"),
    [
        ("sys.stderr.write('ERROR: connection refused'); sys.exit(1)", 0),
        (f"print({{'dependencies': [{FLAWED}]}}.__repr__().replace(chr(39), chr(34))); sys.exit(1)", 1),
    ],
    ids=["offline", "flawed"],
)
def test_the_exit_code_of_the_program(audit, monkeypatch, capsys, output, code):
    monkeypatch.setattr(audit, "COMMAND", [audit.sys.executable, "-c", f"import sys; {output}"])
    assert audit.main() == code
    assert ("connection refused" if code == 0 else "CVE-2026-1260") in capsys.readouterr().err
