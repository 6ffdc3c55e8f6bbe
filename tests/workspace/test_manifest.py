import multiprocessing

import pytest

from kerasrec.errors import KerasrecError
from kerasrec.workspace.manifest import Manifest


def add(path, number):
    Manifest(path).update("parts", {f"part-{number:03d}": {"digest": str(number)}})


def test_many_processes_update_one_manifest(tmp_path):
    path = tmp_path / "manifest.json"
    Manifest(path).replace(vocab={"size": 7})
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        pool.starmap(add, [(path, number) for number in range(24)])
    manifest = Manifest(path)
    assert list(manifest.section("parts")) == [f"part-{number:03d}" for number in range(24)]  # as named
    assert manifest.section("vocab") == {"size": 7} and manifest.section("nothing") == {}
    manifest.replace(parts={})
    assert manifest.read() == {"vocab": {"size": 7}, "parts": {}}


def test_a_folder_of_another_system_is_refused(tmp_path):
    manifest = Manifest(tmp_path / "manifest.json")
    manifest.require_system("siamese")
    assert manifest.read() == {}
    manifest.replace(vocab={"size": 7})  # as an earlier version wrote it, without the system
    manifest.claim("recall")
    manifest.claim("recall")
    manifest.require_system("recall")
    for refused in (manifest.claim, manifest.require_system):
        with pytest.raises(KerasrecError, match="files of kerasrec recall, not of kerasrec siamese: give another name"):
            refused("siamese")
    assert manifest.read() == {"vocab": {"size": 7}, "system": "recall"}


def test_added_files_are_checked_by_digest(tmp_path):
    manifest, path = Manifest(tmp_path / "manifest.json"), tmp_path / "users.parquet"
    path.write_bytes(b"one")
    assert (
        manifest.checked_path(path, "kerasrec recall split") == path
    )  # as an earlier version wrote it, without a digest
    assert manifest.command(path, "kerasrec recall split") == "kerasrec recall split"
    manifest.add_files("kerasrec recall split --log log.csv", path)
    assert manifest.checked_path(path, "kerasrec recall split") == path
    path.write_bytes(b"two")
    with pytest.raises(KerasrecError, match="users.parquet is damaged.*`kerasrec recall split --log log.csv`"):
        manifest.checked_path(path, "kerasrec recall split")


def test_a_section_that_is_not_an_object_is_refused(tmp_path):
    (tmp_path / "manifest.json").write_text('{"parts": 5}', encoding="utf-8")
    with pytest.raises(KerasrecError, match="manifest.json is damaged, its parts is not an object"):
        Manifest(tmp_path / "manifest.json").section("parts")
