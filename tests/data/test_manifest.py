"""MANIFEST.json: what it accepts and what it refuses."""

import json
import os
from pathlib import Path

import pytest

from nmt_cli.data.manifest import LARGEST_MANIFEST, MANIFEST, digest, verify_manifest, write_manifest
from nmt_cli.errors import Exit, UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "weights").write_bytes(bytes(range(256)))
    (tmp_path / "config.json").write_text("{}\n")
    (tmp_path / "empty").touch()
    write_manifest(tmp_path, {"step": 7})
    return tmp_path


def refused(folder: Path, message: str, contents: bool = True) -> None:
    with pytest.raises(UserError, match=message) as caught:
        verify_manifest(folder, contents)
    assert caught.value.code == Exit.INTEGRITY


def forge(folder: Path, **changes: object) -> None:
    """Rewrite the manifest with other parts and a digest that fits them, as someone hostile would."""
    body = json.loads((folder / MANIFEST).read_bytes())
    body.pop("digest")
    body.update(changes)
    (folder / MANIFEST).write_text(json.dumps({**body, "digest": digest(body)}))


def test_an_unchanged_folder_verifies_and_gives_back_what_was_kept(folder: Path) -> None:
    body = verify_manifest(folder)
    assert body["extra"] == {"step": 7}
    assert sorted(body["files"]) == ["config.json", "empty", "state/weights"]


def test_the_same_files_give_the_same_manifest_elsewhere(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other place")
    (other / "empty").touch()
    (other / "config.json").write_text("{}\n")
    (other / "state").mkdir()
    (other / "state" / "weights").write_bytes(bytes(range(256)))
    os.utime(other / "empty", (0, 0))
    write_manifest(other, {"step": 7})
    assert (other / MANIFEST).read_bytes() == (folder / MANIFEST).read_bytes()


def test_writing_again_replaces_the_manifest_and_leaves_no_temporary_file(folder: Path) -> None:
    (folder / "config.json").write_text('{"a": 1}\n')
    write_manifest(folder)
    assert verify_manifest(folder)["extra"] == {}
    assert sorted(path.name for path in folder.iterdir()) == [MANIFEST, "config.json", "empty", "state"]


def test_a_manifest_half_written_by_a_killed_process_is_no_part_of_the_folder(folder: Path) -> None:
    (folder / "MANIFEST.json.tmp").write_bytes(b"{")
    write_manifest(folder)
    assert "MANIFEST.json.tmp" not in verify_manifest(folder)["files"]


@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_bit_in_a_file_is_refused(folder: Path, bit: int) -> None:
    content = bytearray((folder / "state/weights").read_bytes())
    content[100] ^= 1 << bit
    (folder / "state/weights").write_bytes(content)
    refused(folder, "state/weights has changed")


def test_flipped_bits_all_over_the_manifest_are_refused(folder: Path) -> None:
    content = (folder / MANIFEST).read_bytes()
    survivors = []
    for place in range(0, len(content) * 8, 7):  # each bit of a byte in turn
        changed = bytearray(content)
        changed[place // 8] ^= 1 << place % 8
        (folder / MANIFEST).write_bytes(changed)
        try:
            body = verify_manifest(folder, contents=False)
        except UserError as error:
            if error.code != Exit.INTEGRITY:
                raise
        else:
            survivors.append((place, body))
    (folder / MANIFEST).write_bytes(content)
    # White space turned into other white space is the one change that says the same.
    assert all(body == verify_manifest(folder) and content[place // 8] in b" \n" for place, body in survivors)


def test_a_file_cut_short_is_refused_without_reading_it(folder: Path) -> None:
    os.truncate(folder / "state/weights", 255)
    refused(folder, "has 255 bytes instead of 256", contents=False)


def test_a_missing_file_is_refused(folder: Path) -> None:
    (folder / "empty").unlink()
    refused(folder, "empty is missing")


def test_a_missing_manifest_is_refused_as_incomplete(folder: Path) -> None:
    (folder / MANIFEST).unlink()
    refused(folder, "incomplete")


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "is missing")


@pytest.mark.fault(62)
def test_a_symbolic_link_in_place_of_a_file_is_refused(folder: Path) -> None:
    (folder / "config.json").rename(folder / "elsewhere.json")
    (folder / "config.json").symlink_to("elsewhere.json")
    refused(folder, "is a symbolic link")


def test_a_symbolic_link_in_place_of_a_directory_is_refused(folder: Path) -> None:
    (folder / "state").rename(folder / "elsewhere")
    (folder / "state").symlink_to("elsewhere")
    refused(folder, "is a symbolic link")


def test_a_pipe_in_place_of_a_file_is_refused_without_opening_it(folder: Path) -> None:
    (folder / "empty").unlink()
    os.mkfifo(folder / "empty")
    refused(folder, "is not a plain file")


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "state/../../outside", "", ".", "a\\b", "a\0b"])
@pytest.mark.fault(62)
def test_a_path_that_leaves_the_folder_is_refused(folder: Path, name: str) -> None:
    (folder.parent / "outside").touch()
    forge(folder, files={name: {"bytes": 0, "sha256": "0"}})
    refused(folder, "not a path inside|is not a plain file")


@pytest.mark.parametrize(
    "changes",
    [
        {"files": []},
        {"files": {"empty": 3}},
        {"files": {"empty": {"bytes": "x", "sha256": "y"}}},
        {"extra": None},
        {"more": 1},
    ],
)
def test_a_manifest_of_another_shape_is_refused(folder: Path, changes: dict[str, object]) -> None:
    forge(folder, **changes)
    refused(folder, "is damaged")


def test_a_manifest_of_another_format_is_refused(folder: Path) -> None:
    forge(folder, format=2)
    refused(folder, "reads format 1")


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_manifest_that_is_none_is_refused(folder: Path, content: bytes) -> None:
    (folder / MANIFEST).write_bytes(content)
    refused(folder, "is not readable JSON|is damaged")


@pytest.mark.fault(62)
def test_a_giant_manifest_is_refused_without_reading_it(folder: Path) -> None:
    os.truncate(folder / MANIFEST, LARGEST_MANIFEST + 1)
    refused(folder, "is larger than any manifest")


def test_a_folder_with_a_link_gets_no_manifest(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    with pytest.raises(UserError, match="is not a plain file"):
        write_manifest(tmp_path)
