"""The publishable model: a folder of weights, configuration and tokenizer that copies as it is.

    model.safetensors  the parameters, named by path: `encoder/forward/kernel`
    config.json        the resolved configuration
    tokenizer.*        see `nmt_cli.data.tokenizer`
    lexicon.*          see `nmt_cli.data.lexicon`; there may be none
    card.json          what is known of the model: vocabulary sizes, scores, data, provenance
    README.md          the same for people
    MANIFEST.json      SHA-256 and size of every file

NumPy in, NumPy out: nothing here loads jax, so that a model opens fast. A folder may come from a stranger: only files
that its manifest lists are read, and nothing in it is executed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401 (tells NumPy what bfloat16 is, which safetensors takes for granted)
import numpy as np

from nmt_cli.config import Config, from_json, to_json
from nmt_cli.data.lexicon import load_lexicon
from nmt_cli.data.manifest import sync, verify_manifest, write_manifest
from nmt_cli.data.staging import writing
from nmt_cli.data.store import Sentences
from nmt_cli.data.tokenizer import Tokenizer, load_tokenizers
from nmt_cli.errors import Exit, UserError
from nmt_cli.run import shapes
from nmt_cli.run.card import render_card

WEIGHTS, CONFIG, CARD, README = "model.safetensors", "config.json", "card.json", "README.md"
FORMAT = 1  # of the folder; a later one is refused with the advice to upgrade
LARGEST_HEADER = 1 << 20  # bytes; ours have some kilobytes
LARGEST_JSON = 1 << 20
WEIGHT_TYPES = {"float32", "bfloat16", "float16"}

Parameters = dict[str, Any]  # nested: name -> Parameters or array


@dataclass(frozen=True)
class Model:
    """A model as it lies on disk. Parameters are a nested dictionary of NumPy arrays, float32 or bfloat16."""

    path: Path
    parameters: Parameters
    config: Config
    source_tokenizer: Tokenizer
    target_tokenizer: Tokenizer
    card: dict[str, Any]
    lexicon: Sentences | None = None


def save_model(
    folder: Path,
    parameters: Mapping[str, Any],
    config: Config,
    sizes: tuple[int, int],
    text_files: Iterable[Path],
    card: Mapping[str, Any],
) -> None:
    """Write a model folder in the place of the one there may be; at every instant one of the two can be loaded.

    parameters: nested dictionary of float32 or bfloat16 arrays, of NumPy or of one device.
    sizes: pieces in the source and in the target vocabulary.
    text_files: of tokenizers and lexicon, to be copied.
    card: see `nmt_cli.run.card`; what is not known may be left out.
    Raises UserError (RESOURCE), leaving the old folder as it was.
    """
    from safetensors.numpy import save_file

    temporary, _ = siblings(folder)
    facts = {"format": FORMAT, "source_size": sizes[0], "target_size": sizes[1], **card}
    try:
        with writing(folder):
            recover(folder)
            temporary.mkdir()
            # safetensors writes the buffer as it lies in memory: a transposed view would be saved wrong.
            weights = {path: np.asarray(array, order="C") for path, array in flatten(parameters).items()}
            save_weights(save_file, weights, temporary / WEIGHTS)
            (temporary / CONFIG).write_text(to_json(config), encoding="utf-8")
            (temporary / CARD).write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            (temporary / README).write_text(render_card(facts, config, count(weights)), encoding="utf-8")
            for file in text_files:
                shutil.copyfile(file, temporary / file.name)
            write_manifest(temporary)
            swap(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def save_weights(save_file: Any, weights: dict[str, Any], path: Path) -> None:
    """Write a safetensors file. Raises OSError when the disk refuses, where safetensors has an error of its own."""
    from safetensors import SafetensorError

    try:
        save_file(weights, path)
    except SafetensorError as error:
        raise OSError(None, str(error), str(path)) from error


def load_model(path: Path) -> Model:
    """The model in a run or a model folder, checked against its manifest.

    Raises UserError: USAGE when there is none at `path`, INTEGRITY when it is damaged, hostile or of a later format.
    """
    folder = find_model(path)
    listed = set(verify_manifest(folder)["files"])
    for name in (WEIGHTS, CONFIG, CARD):
        if name not in listed:
            raise damaged(folder / name, "the manifest does not list it")
    found = (file.name for pattern in ("tokenizer*", "lexicon*") for file in folder.glob(pattern))
    unlisted = sorted(name for name in found if name not in listed)
    if unlisted:
        raise damaged(folder / unlisted[0], "the manifest does not list it")
    card = read_card(folder / CARD)
    config = read_config(folder / CONFIG)
    source_tokenizer, target_tokenizer = load_tokenizers(folder)
    sizes = (source_tokenizer.size, target_tokenizer.size)
    if sizes != (card.get("source_size"), card.get("target_size")):
        raise damaged(folder, f"its tokenizers have {sizes[0]} and {sizes[1]} pieces, its card says otherwise")
    weights, lexicon = read_weights(folder / WEIGHTS), load_lexicon(folder, *sizes)
    return Model(folder, weights, config, source_tokenizer, target_tokenizer, card, lexicon)


def find_model(path: Path) -> Path:
    """The model folder at `path`: itself, a run's `best/`, else its `last/`. Raises UserError (USAGE) without one."""
    if not path.exists() and not siblings(path)[1].exists():
        raise UserError(f"{path}: there is no such file or directory", "give a run directory or a model folder")
    for folder in (path, path / "best", path / "last"):
        # A process killed while it swapped models leaves the old one under this name.
        for candidate in (folder, siblings(folder)[1]):
            if (candidate / WEIGHTS).is_file():
                return candidate
    if (path / "checkpoints").is_dir():
        raise UserError(f"{path}: this run has no model yet", "train it until its first validation: nmt train DATA RUN")
    if any(path.glob("train.*")):
        raise UserError(f"{path}: this is prepared data, not a model", f"train one: nmt train {path} RUN")
    raise UserError(f"{path}: there is no model here", "give a run directory, or a folder with model.safetensors")


def siblings(folder: Path) -> tuple[Path, Path]:
    """Where the next model is written, and where the previous one is during the swap."""
    folder = folder.absolute()
    return folder.with_name(f".{folder.name}.saving"), folder.with_name(f".{folder.name}.previous")


def recover(folder: Path) -> None:
    """Finish or undo what a killed swap left behind."""
    temporary, previous = siblings(folder)
    if previous.exists():
        if folder.exists():
            shutil.rmtree(previous)
        else:
            previous.rename(folder)
    if temporary.exists():
        shutil.rmtree(temporary)


def swap(folder: Path) -> None:
    """Put the written model in its place. Between the two renames `find_model` finds the previous one."""
    temporary, previous = siblings(folder)
    if folder.exists():
        folder.rename(previous)
    temporary.rename(folder)
    sync(folder.absolute().parent)
    if previous.exists():
        shutil.rmtree(previous)


def weight_shapes(path: Path) -> dict[str, shapes.Shape]:
    """Shape and dtype of each array in a safetensors file, none of them read. Raises UserError (INTEGRITY)."""
    from safetensors import SafetensorError, safe_open

    check_header(path)
    try:
        with safe_open(path, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            return {name: shapes.Shape(tuple(s.get_shape()), s.get_dtype()) for name, s in slices.items()}
    except SafetensorError as error:
        raise damaged(path, f"not a safetensors file: {error}") from error


def check_header(path: Path) -> None:
    """Refuse (INTEGRITY) a header so large that parsing it would be the attack."""
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
    if header > LARGEST_HEADER:
        raise damaged(path, f"its header claims {header:,} bytes, more than the {LARGEST_HEADER:,} allowed")


def read_weights(path: Path) -> Parameters:
    """The parameters in a safetensors file. Raises UserError (INTEGRITY) when it is not a sane one."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    check_header(path)
    try:
        weights = load_file(path)
    except (SafetensorError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise damaged(path, f"not a safetensors file: {error}") from error
    for name, array in weights.items():
        if str(array.dtype) not in WEIGHT_TYPES:
            raise damaged(path, f"{name} is {array.dtype}, not one of {', '.join(sorted(WEIGHT_TYPES))}")
    return unflatten(weights, path)


def read_json(path: Path) -> str:
    """The text of a JSON file of a sane size. Raises UserError (INTEGRITY)."""
    if path.stat().st_size > LARGEST_JSON:
        raise damaged(path, f"larger than {LARGEST_JSON:,} bytes")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise damaged(path, str(error)) from error


def read_card(path: Path) -> dict[str, Any]:
    """What `save_model` was told of the model. Raises UserError (INTEGRITY), also for a later format."""
    try:
        card = json.loads(read_json(path))
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"not JSON: {error}") from error
    if not isinstance(card, dict) or type(card.get("format")) is not int or card["format"] < 1:
        raise damaged(path, "not the card of a model")
    if card["format"] > FORMAT:
        what = f"{path}: the model has format {card['format']}, this nmt-cli reads up to {FORMAT}"
        raise UserError(what, "upgrade: pip install --upgrade nmt-cli", Exit.INTEGRITY)
    return card


def read_config(path: Path) -> Config:
    """The configuration of a model. Raises UserError (INTEGRITY)."""
    try:
        return from_json(read_json(path), where=f"{path}: ")
    except RecursionError as error:
        raise damaged(path, "nested too deeply") from error
    except UserError as error:
        raise UserError(error.what, error.hint, Exit.INTEGRITY) from error


def damaged(path: Path, why: str) -> UserError:
    return UserError(f"{path}: {why}", "copy the model again from where it came from", Exit.INTEGRITY)


def flatten(parameters: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, from path (`encoder/forward/kernel`) to array."""
    flat: dict[str, Any] = {}
    for name, value in parameters.items():
        flat |= flatten(value, f"{prefix}{name}/") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def unflatten(arrays: Mapping[str, Any], where: Path) -> Parameters:
    """The inverse of `flatten`. Raises UserError (INTEGRITY) when one path goes through another."""
    nested: Parameters = {}
    for path, array in sorted(arrays.items()):
        *folders, name = path.split("/")
        inner = nested
        for folder in folders:
            inner = inner.setdefault(folder, {})
            if not isinstance(inner, dict):
                raise damaged(where, f"{path} lies inside another array")
        if name in inner:
            raise damaged(where, f"{path} is there twice")
        inner[name] = array
    return nested


def check_shapes(parameters: Mapping[str, Any], expected: Mapping[str, Any], where: Path) -> None:
    """Refuse (INTEGRITY) parameters that are not what the configuration implies, listing each path that differs.

    expected: nested dictionary of anything with a `shape`, for example from `jax.eval_shape`. Dtypes may differ.
    where: the model's folder, for the message.
    """
    found = {path: shapes.Shape(tuple(a.shape), str(a.dtype)) for path, a in flatten(parameters).items()}
    wanted = {path: shapes.Shape(tuple(a.shape)) for path, a in flatten(expected).items()}
    shapes.check(str(where / WEIGHTS), found, wanted, "its config.json belongs to another model")


def count(weights: Mapping[str, Any]) -> int:
    """Numbers in all arrays together."""
    return sum(int(np.size(array)) for array in weights.values())
