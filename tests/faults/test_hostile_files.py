"""Model folders and configurations that a stranger made up: refused, with nothing executed and nothing written."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nmt_cli.config import from_json, load_recipe, resolve
from nmt_cli.data.manifest import MANIFEST, digest, read_manifest, write_manifest
from nmt_cli.errors import Exit, UserError
from nmt_cli.run.report import describe
from nmt_cli.run.translator import Translator
from nmt_cli.run.verification import examine
from tests.faults.nmt import GOLDEN

QUICK, LONG = 50, 1000
FILES = sorted(path.name for path in (GOLDEN / "model").iterdir() if path.name not in (MANIFEST, "README.md"))

# Numbers, names and depths that parsers stumble over.
ODD_NUMBERS = st.sampled_from([0, -1, 1e400, 2**31, 2**63, 2**64, 10**400, 0.5, float("nan")])
ODD_TEXT = st.sampled_from(["", "..", "../x", "/etc/passwd", "a\0b", "x" * 300, "\ud800", "bpe", "word", "__class__"])
LEAVES = st.none() | st.booleans() | ODD_NUMBERS | ODD_TEXT | st.integers(-9, 9) | st.text(max_size=5)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD_TEXT, inner, max_size=3))
DEEP = st.sampled_from([b"[" * 20_000, b'{"a":' * 20_000, b"9" * 5000, b"\xff\xfe", b"{", b"null", b"[]"])


class Watch:
    """Notes what this process does to the world outside the folders it may write to, while it is on."""

    FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "pickle.find_class",
                 "socket.connect", "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.symlink", "os.truncate",
                 "shutil.rmtree")  # fmt: skip

    def __init__(self) -> None:
        self.seen: list[str] | None = None
        sys.addaudithook(self.hear)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.seen is None:
            return
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or event in self.FORBIDDEN:
            self.seen.append(f"{event} {arguments}")

    @contextlib.contextmanager
    def on(self) -> Iterator[list[str]]:
        self.seen = []
        try:
            yield self.seen
        finally:
            self.seen = None


@pytest.fixture(scope="module")
def watch() -> Iterator[Watch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nmt_cli.run.translator.use_compile_cache", lambda note: None)  # its folder is the user's own
        yield Watch()


@st.composite
def changed_json(draw: st.DrawFn, content: bytes) -> bytes:
    """JSON with one node replaced, added or removed; or something else altogether."""
    if draw(st.integers(0, 9)) == 0:
        return draw(DEEP)
    whole = json.loads(content)
    node = whole
    while True:
        key = draw(st.sampled_from(sorted(node)))
        if isinstance(node[key], dict) and node[key] and draw(st.booleans()):
            node = node[key]
            continue
        action = draw(st.sampled_from(["replace", "add", "remove"]))
        if action == "remove":
            del node[key]
        else:
            node[key if action == "replace" else draw(ODD_TEXT)] = draw(VALUES)
        return json.dumps(whole).encode()


@st.composite
def changed_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes with a stretch replaced by others, mostly near the beginning, where headers are."""
    start = min(draw(st.integers(0, 200) | st.integers(0, len(content))), len(content))
    stop = min(start + draw(st.integers(0, 40)), len(content))
    return content[:start] + draw(st.binary(max_size=20)) + content[stop:]


def assert_only_refusals(watch: Watch, folder: Path) -> None:
    """Everything that reads a model either works or refuses with the code for damage; nothing is done besides."""
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    codes: list[Exit] = []
    with watch.on() as seen:
        for read in (lambda: Translator.load(folder, "cpu"), lambda: describe(folder), lambda: examine(folder)):
            try:
                read()
            except UserError as error:
                codes.append(error.code)
    assert seen == []
    assert set(codes) <= {Exit.INTEGRITY, Exit.USAGE}
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("hostile") / "model"
    shutil.copytree(GOLDEN / "model", folder)
    Translator.load(folder, "cpu")  # makes the folder of compiled programs, once
    return folder


@contextlib.contextmanager
def forged(folder: Path, name: str, content: bytes) -> Iterator[None]:
    """A file of a model with other content, and a manifest that fits it."""
    before = {path: path.read_bytes() for path in (folder / name, folder / MANIFEST)}
    try:
        (folder / name).write_bytes(content)
        write_manifest(folder)
        yield
    finally:
        for path, content in before.items():
            path.write_bytes(content)


def fuzz_file(examples: int, data: st.DataObject, folder: Path, watch: Watch) -> None:
    name = data.draw(st.sampled_from(FILES))
    content = (GOLDEN / "model" / name).read_bytes()
    change = changed_json if name.endswith(".json") and data.draw(st.integers(0, 4)) else changed_bytes
    with forged(folder, name, data.draw(change(content))):
        assert_only_refusals(watch, folder)


def fuzz_manifest(data: st.DataObject, folder: Path, watch: Watch) -> None:
    body = read_manifest(GOLDEN / "model")
    name = data.draw(ODD_TEXT | st.text(max_size=9) | st.sampled_from(["é" * 200, "a/" * 3000, "\udcff", "~", "con"]))
    body["files"][name] = data.draw(VALUES | st.just({"bytes": 9, "sha256": "0" * 64}))
    (folder / MANIFEST).write_text(json.dumps({**body, "digest": digest(body)}))
    try:
        assert_only_refusals(watch, folder)
    finally:
        shutil.copy(GOLDEN / "model" / MANIFEST, folder / MANIFEST)


def sized(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@pytest.mark.fault(62)
@pytest.mark.parametrize("examples", [QUICK, pytest.param(LONG, marks=pytest.mark.slow)])
def test_files_of_a_model_made_up_with_a_right_manifest(examples, folder, watch, figure):
    @sized(examples)
    @given(st.data())
    def fuzz(data: st.DataObject) -> None:
        fuzz_file(examples, data, folder, watch)

    fuzz()
    if examples == LONG:
        figure("hostile model folders", f"{examples:,} made up, 0 tracebacks, nothing executed or written")


@pytest.mark.fault(62)
@pytest.mark.parametrize("examples", [QUICK, pytest.param(LONG, marks=pytest.mark.slow)])
def test_manifests_made_up_with_a_right_digest(examples, folder, watch):
    @sized(examples)
    @given(st.data())
    def fuzz(data: st.DataObject) -> None:
        fuzz_manifest(data, folder, watch)

    fuzz()


OPTION = st.sampled_from(
    ["model.cell", "model.encoder_units", "train.learning_rate", "search.beam", "data", "x.y", "."]
)


@pytest.mark.fault(62)
@pytest.mark.parametrize("examples", [2 * QUICK, pytest.param(4 * LONG, marks=pytest.mark.slow)])
def test_configurations_and_options_made_up(examples, tmp_path):
    whole = (GOLDEN / "model" / "config.json").read_bytes()

    @sized(examples)
    @given(st.data())
    def fuzz(data: st.DataObject) -> None:
        text = data.draw(changed_json(whole) | DEEP | st.binary(max_size=40) | changed_bytes(whole))
        (tmp_path / "recipe.json").write_bytes(text)
        (tmp_path / "recipe.toml").write_bytes(data.draw(st.just(b"a = " + b"[" * 5000) | st.binary(max_size=40)))
        override = f"{data.draw(OPTION)}={data.draw(st.text(max_size=9) | st.just('[' * 5000) | st.just('9' * 5000))}"
        for read in (
            lambda: from_json(text.decode("utf-8", "replace")),
            lambda: load_recipe(str(tmp_path / "recipe.json")),
            lambda: load_recipe(str(tmp_path / "recipe.toml")),
            lambda: resolve(overrides=[override]),
        ):
            with contextlib.suppress(UserError):
                read()

    fuzz()
