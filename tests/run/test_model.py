"""A model folder copies as it is, is swapped in whole, and refuses to be anything but a model."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt_cli.config import Config
from nmt_cli.data.manifest import write_manifest
from nmt_cli.data.tokenizer import Tokenizer, save_tokenizers
from nmt_cli.errors import Exit, UserError
from nmt_cli.run.model import check_shapes, find_model, flatten, load_model, save_model, unflatten

PARAMETERS = {
    "encoder": {
        "forward": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3).T, "bias": np.float32(-0.0).reshape(())}
    },
    "output": {"kernel": np.array([1.5, -2.0, np.inf], ml_dtypes.bfloat16)},
}
CARD = {
    "source_language": "no",
    "target_language": "en",
    "step": 1200,
    "data": {"pairs": 29000, "hash": "abc | def"},
    "scores": [{"metric": "bleu", "value": 49.127, "signature": "nrefs:1|case:mixed|tok:13a"}],
    "provenance": {"command": "nmt train data run", "versions": {"jax": "0.10.2"}},
}


@pytest.fixture(scope="module")
def tokenizer_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    tokenizer = Tokenizer.train("word", ["une phrase courte", "a short sentence"], 20)
    return save_tokenizers(tmp_path_factory.mktemp("tokenizer"), tokenizer, tokenizer)


Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path, tokenizer_files: list[Path]) -> Save:
    """Saves a model, by default the one above, as `run/best`."""

    def save_here(parameters: dict[str, Any] = PARAMETERS, folder: str = "run/best") -> Path:
        (tmp_path / folder).parent.mkdir(parents=True, exist_ok=True)
        save_model(tmp_path / folder, parameters, Config(), (10, 10), tokenizer_files, CARD)
        return tmp_path / folder

    return save_here


def test_a_model_comes_back_bit_for_bit(save: Save) -> None:
    model = load_model(save())
    found, expected = flatten(model.parameters), flatten(PARAMETERS)
    assert found.keys() == expected.keys()
    for path, array in expected.items():
        assert (found[path].dtype, found[path].shape) == (array.dtype, array.shape)
        assert found[path].tobytes() == array.tobytes(), path
    assert model.config == Config()
    assert model.source_tokenizer.size == 10
    assert model.card["source_size"] == 10


def test_a_copy_is_the_same_model_and_a_run_stands_for_its_best(save: Save, tmp_path: Path) -> None:
    best = save()
    shutil.copytree(best, tmp_path / "copy")
    assert load_model(tmp_path / "copy").card == load_model(tmp_path / "run").card


def test_a_run_without_best_stands_for_its_last(save: Save, tmp_path: Path) -> None:
    last = save(folder="run/last")
    assert find_model(tmp_path / "run") == last
    assert find_model(tmp_path / "run") != save()


def test_loading_a_model_does_not_load_jax(save: Save) -> None:
    code = "import sys; from pathlib import Path; from nmt_cli.run.model import load_model\n"
    code += (
        "load_model(Path(sys.argv[1]))\nassert not {'jax', 'orbax', 'datasets'} & sys.modules.keys(), 'heavy imports'"
    )
    subprocess.run([sys.executable, "-c", code, str(save())], check=True)


def test_the_card_says_what_is_known(save: Save) -> None:
    text = (save() / "README.md").read_text()
    assert text.startswith('---\nlibrary_name: nmt-cli\npipeline_tag: translation\nlanguage:\n- "no"\n- "en"\n---')
    for fact in ("no → en", "1,200 updates", "49.13", "nrefs:1\\|case:mixed", "29,000", "jax 0.10.2", "10 source"):
        assert fact in text, fact


def test_the_card_of_an_unknown_model_has_no_empty_sections(tmp_path: Path, tokenizer_files: list[Path]) -> None:
    save_model(tmp_path / "model", PARAMETERS, Config(), (10, 10), tokenizer_files, {})
    text = (tmp_path / "model" / "README.md").read_text()
    assert "source → target" in text
    assert "## Scores" not in text
    assert "language:" not in text


def test_the_same_model_gives_the_same_bytes(save: Save) -> None:
    first = (save() / "MANIFEST.json").read_bytes()
    assert (save(folder="run/last") / "MANIFEST.json").read_bytes() == first


# Damage to what is there ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "card.json", "README.md", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "delete", "append", "swap"])
@pytest.mark.fault(44)
def test_a_damaged_file_is_refused_by_name(save: Save, name: str, damage: str) -> None:
    folder = save()
    file, content = folder / name, bytearray((folder / name).read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    if damage == "delete":
        file.unlink()
    else:
        sibling = folder / ("config.json" if name != "config.json" else "card.json")
        new = {"truncate": content[:-1], "empty": b"", "append": content + b" ", "swap": sibling.read_bytes()}
        file.write_bytes(new.get(damage, content))
    with pytest.raises(
        UserError, match=name if damage != "delete" or name != "model.safetensors" else "no model"
    ) as refusal:
        load_model(folder)
    assert refusal.value.code == (Exit.INTEGRITY if "no model" not in refusal.value.what else Exit.USAGE)


def test_a_model_without_manifest_is_refused(save: Save) -> None:
    folder = save()
    (folder / "MANIFEST.json").unlink()
    with pytest.raises(UserError, match=r"MANIFEST\.json") as refusal:
        load_model(folder)
    assert refusal.value.code == Exit.INTEGRITY


# Folders that a stranger made, with a manifest that fits ----------------------------------------------------------


def forged(save: Save, name: str, content: bytes) -> Path:
    folder = save()
    (folder / name).write_bytes(content)
    write_manifest(folder)
    return folder


def safetensors(header: bytes, data: bytes = b"", size: int | None = None) -> bytes:
    return (len(header) if size is None else size).to_bytes(8, "little") + header + data


TENSOR = b'{"a":{"dtype":"%s","shape":[%s],"data_offsets":[0,%s]}}'
HOSTILE_WEIGHTS = {
    "empty": b"",
    "short": b"abc",
    "pickle": b"\x80\x04\x95cos\nsystem\n(S'touch owned'\ntR.",
    "giant header": safetensors(b"{}", size=2**40),
    "large header": safetensors(b" " * (2**20) + b"{}"),
    "not json": safetensors(b"{]"),
    "deep json": safetensors(b"[" * 100_000),
    "a list": safetensors(b"[]"),
    "offsets outside": safetensors(TENSOR % (b"F32", b"2", b"8")),
    "shape overflow": safetensors(TENSOR % (b"F32", b"9223372036854775807,4", b"8"), bytes(8)),
    "negative shape": safetensors(TENSOR % (b"F32", b"-1", b"4"), bytes(4)),
    "shape and bytes differ": safetensors(TENSOR % (b"F32", b"2", b"4"), bytes(4)),
    "integers": safetensors(TENSOR % (b"I64", b"1", b"8"), bytes(8)),
    "unknown type": safetensors(TENSOR % (b"O32", b"1", b"4"), bytes(4)),
    "data left over": safetensors(TENSOR % (b"F32", b"1", b"4"), bytes(8)),
    "one path inside another": safetensors(
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a/b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
        bytes(8),
    ),
}


@pytest.mark.parametrize("content", HOSTILE_WEIGHTS.values(), ids=HOSTILE_WEIGHTS.keys())
@pytest.mark.fault(62)
def test_hostile_weights_are_refused(
    save: Save, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"model\.safetensors") as refusal:
        load_model(forged(save, "model.safetensors", content))
    assert refusal.value.code == Exit.INTEGRITY
    assert not (tmp_path / "owned").exists()


HOSTILE_JSON = {
    "empty": b"",
    "not json": b"{",
    "yaml tag": b"!!python/object/apply:os.system ['touch owned']",
    "not utf-8": b"\xff\xfe",
    "deep": b"[" * 100_000,
    "a list": b"[1]",
    "a number": b"1e400",
    "large": b'{"a": "' + b"x" * 2**20 + b'"}',
    "unknown option": b'{"model": {"cell": "lstm", "run": "rm"}}',
    "wrong type": b'{"model": {"encoder_units": "512"}, "format": "1"}',
    "out of range": b'{"model": {"encoder_layers": 1000000000}, "format": -1}',
}


@pytest.mark.parametrize("name", ["config.json", "card.json"])
@pytest.mark.parametrize("content", HOSTILE_JSON.values(), ids=HOSTILE_JSON.keys())
@pytest.mark.fault(62)
def test_hostile_json_is_refused(save: Save, name: str, content: bytes) -> None:
    with pytest.raises(UserError, match=name.replace(".", r"\.")) as refusal:
        load_model(forged(save, name, content))
    assert refusal.value.code == Exit.INTEGRITY


def rewritten_manifest(folder: Path, name: str) -> None:
    """A manifest with a right digest that lists one more file, `name`."""
    from nmt_cli.data.manifest import digest, read_manifest

    body = read_manifest(folder)
    body["files"][name] = dict(body["files"]["config.json"])
    (folder / "MANIFEST.json").write_text(json.dumps({**body, "digest": digest(body)}))


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../outside", "..", "", ".", "gone", "a\x00b"])
@pytest.mark.fault(62)
def test_a_manifest_that_points_outside_is_refused(save: Save, name: str) -> None:
    folder = save()
    (folder.parent / "outside").write_bytes((folder / "config.json").read_bytes())
    rewritten_manifest(folder, name)
    with pytest.raises(UserError) as refusal:
        load_model(folder)
    assert refusal.value.code == Exit.INTEGRITY


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "MANIFEST.json"])
@pytest.mark.fault(62)
def test_a_symbolic_link_is_refused(save: Save, name: str) -> None:
    folder = save()
    (folder / name).rename(folder.parent / "outside")
    (folder / name).symlink_to(folder.parent / "outside")
    with pytest.raises(UserError, match=name) as refusal:
        load_model(folder)
    assert refusal.value.code == Exit.INTEGRITY


@pytest.mark.fault(62)
def test_files_that_the_manifest_does_not_list_are_not_read(save: Save) -> None:
    folder = save()
    (folder / "model.pkl").write_bytes(b"\x80\x04cos\nsystem\n(S'false'\ntR.")
    (folder / "hook.py").write_text("raise SystemExit")
    load_model(folder)
    (folder / "tokenizer.target.txt").write_text("a")
    with pytest.raises(UserError, match=r"tokenizer\.target\.txt.*does not list") as refusal:
        load_model(folder)
    assert refusal.value.code == Exit.INTEGRITY


def test_a_later_format_asks_for_an_upgrade(save: Save) -> None:
    card = json.loads((save() / "card.json").read_text())
    with pytest.raises(UserError, match="format 99") as refusal:
        load_model(forged(save, "card.json", json.dumps({**card, "format": 99}).encode()))
    assert "pip install --upgrade" in refusal.value.hint


def test_tokenizers_of_another_size_are_refused(tmp_path: Path, tokenizer_files: list[Path]) -> None:
    save_model(tmp_path / "model", PARAMETERS, Config(), (10, 11), tokenizer_files, {})
    with pytest.raises(UserError, match="10 and 10 pieces") as refusal:
        load_model(tmp_path / "model")
    assert refusal.value.code == Exit.INTEGRITY


@pytest.mark.fault(47)
def test_parameters_of_another_shape_are_listed_and_dtypes_may_differ() -> None:
    params = {"a": np.zeros((2, 3), ml_dtypes.bfloat16), "b": {"c": np.zeros(4, np.float32)}}
    check_shapes(params, {"a": np.zeros((2, 3), np.float32), "b": {"c": np.zeros(4)}}, Path("m"))
    with pytest.raises(UserError, match=r"b/c: float32\[4\], should be array\[5\]") as refusal:
        check_shapes(params, {"a": np.zeros((2, 3)), "b": {"c": np.zeros(5)}}, Path("m"))
    assert refusal.value.code == Exit.INTEGRITY
    assert "1 array differs" in refusal.value.what


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1, max_size=5)
TREES = st.recursive(st.integers(), lambda inner: st.dictionaries(NAMES, inner, min_size=1, max_size=3), max_leaves=8)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(NAMES, TREES, max_size=3))
def test_flattening_loses_nothing(tree: dict[str, Any]) -> None:
    assert unflatten(flatten(tree), Path("m")) == tree


# Wrong places -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "hint"),
    [(["train.source.ids"], "nmt train"), (["checkpoints/"], "first validation"), ([], "run directory")],
)
def test_a_wrong_place_is_refused_with_the_way_out(tmp_path: Path, files: list[str], hint: str) -> None:
    for name in files:
        (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).touch()
    with pytest.raises(UserError) as refusal:
        find_model(tmp_path)
    assert refusal.value.code == Exit.USAGE
    assert hint in refusal.value.hint


def test_a_place_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file or directory") as refusal:
        find_model(tmp_path / "nowhere")
    assert refusal.value.code == Exit.USAGE


# The swap ---------------------------------------------------------------------------------------------------------

KILLED = """
import builtins, io, os, shutil, sys
from pathlib import Path
import numpy as np
from nmt_cli.config import Config
from nmt_cli.run.model import save_model

def crash_at(n):
    left = n
    def wrap(call):
        def counted(*args, **kwargs):
            nonlocal left
            left -= 1
            if left == 0:
                os._exit(9)
            return call(*args, **kwargs)
        return counted
    for name in ["open", "fsync", "replace", "rename", "unlink", "rmdir", "mkdir"]:
        setattr(os, name, wrap(getattr(os, name)))
    builtins.open = io.open = wrap(builtins.open)

start, files = Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]
n, code = -2, 9
while code == 9:
    n += 3
    folder = start.parent / f"killed-{n:03}" / "best"
    shutil.copytree(start, folder)
    child = os.fork()
    if child == 0:
        crash_at(n)
        save_model(folder, {"new": np.ones(3, np.float32)}, Config(), (10, 10), files, {})
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
sys.exit(code)
"""


@pytest.mark.fault(37)
def test_killed_at_some_calls_of_a_save_the_old_or_the_new_model_loads(save: Save, tokenizer_files: list[Path]) -> None:
    old = save({"old": np.zeros(2, np.float32)}, folder="best")
    command = [sys.executable, "-c", KILLED, str(old), *map(str, tokenizer_files)]
    subprocess.run(command, check=True)
    killed = sorted(old.parent.glob("killed-*"))
    assert len(killed) > 45 / 3
    found = [next(iter(load_model(run).parameters)) for run in killed]
    assert found == sorted(found, reverse=True)
    assert set(found) == {"old", "new"}
    for run in killed:
        save_model(run / "best", {"next": np.ones(1, np.float32)}, Config(), (10, 10), tokenizer_files, {})
        assert [path.name for path in run.iterdir()] == ["best"], run
        assert list(load_model(run).parameters) == ["next"]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from nmt_cli.config import Config
from nmt_cli.errors import UserError
from nmt_cli.run.model import save_model
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for limit in (0, 1000, 300_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        save_model(Path(sys.argv[1]), {"new": np.ones(100_000, np.float32)}, Config(), (10, 10), [], {})
    except UserError as error:
        print(int(error.code), error.what)
"""


@pytest.mark.fault(41)
def test_a_full_disk_leaves_the_old_model(save: Save) -> None:
    old = save({"old": np.zeros(2, np.float32)})
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(old)], capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in done.stdout.splitlines()] == [str(int(Exit.RESOURCE))] * 3, done.stdout
    assert "File too large" in done.stdout
    assert [path.name for path in old.parent.iterdir()] == ["best"]
    assert list(load_model(old).parameters) == ["old"]
