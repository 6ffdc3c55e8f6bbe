import os
import shutil
from pathlib import Path

import pytest

from kerasrec.errors import KerasrecError
from kerasrec.serving.versions import FILES, check_files, latest_version, load_version, version_numbers

COMMAND = "kerasrec recall export"


@pytest.fixture
def version(served, tmp_path):
    return shutil.copytree(served.version, tmp_path / "versions" / "1")


def error_of(path, load=load_version):
    with pytest.raises(KerasrecError) as caught:
        load(path, COMMAND)
    [line] = str(caught.value).splitlines()
    assert COMMAND in line
    return line


def names(version):
    return sorted(path.relative_to(version).as_posix() for path in version.rglob("*") if path.is_file())


def test_every_file_of_an_export_is_checked(version):
    found = names(version)
    assert {"saved_model.pb", "variables/variables.index", "assets/items.txt", FILES.as_posix()} <= set(found)
    check_files(version, COMMAND)
    for name in found:
        file, whole = version / name, (version / name).read_bytes()
        middle = len(whole) // 2
        flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :] if whole else b"x"
        for damaged in (flipped, whole[:middle], b"", whole + b"\n", None):
            if damaged == whole or (name == FILES.as_posix() and damaged in (None, whole + b"\n")):
                continue
            file.unlink() if damaged is None else file.write_bytes(damaged)
            line = error_of(version, check_files)
            assert file.name in line or name == FILES.as_posix(), (name, line)
            file.write_bytes(whole)
    check_files(version, COMMAND)


@pytest.mark.parametrize("content", ["[]", "null", "7", '{"a": 1}', "{", '{"saved_model.pb": {}}'])
def test_an_invalid_list_of_files(version, content):
    (version / FILES).write_text(content)
    error_of(version, check_files)


def test_an_export_of_an_earlier_version_is_loaded_with_a_warning(version, logged):
    (version / FILES).unlink()
    found, module = load_version(version.parent, COMMAND)
    assert found == version and hasattr(module, "recommend")
    assert "its files cannot be checked" in logged()


@pytest.mark.parametrize("name", ["saved_model.pb", "variables/variables.index", "assets/items.txt"])
def test_a_damaged_file_without_a_list_is_refused_in_one_line(version, name):
    (version / FILES).unlink()
    whole = (version / name).read_bytes()
    (version / name).write_bytes(whole[: len(whole) // 2])
    assert f"{version} cannot be loaded" in error_of(version)


def test_folders_that_are_not_versions(tmp_path):
    for name in ("²", "٣", "-1", "1.5", "1_0", "notes", ".2.unfinished", ""):
        (tmp_path / "export" / name).mkdir(exist_ok=True, parents=True)
    (tmp_path / "export" / "7").touch()
    assert version_numbers(tmp_path / "export") == []
    assert "there is no exported model" in error_of(tmp_path / "export", latest_version)
    assert "there is no exported model" in error_of(tmp_path / "nothing", latest_version)
    assert "there is no exported model" in error_of(tmp_path / "export" / "7", latest_version)
    for name in ("2", "10"):
        (tmp_path / "export" / name).mkdir()
    assert latest_version(tmp_path / "export", COMMAND).name == "10"
    assert f"{tmp_path / 'export' / '10'} holds no exported model" in error_of(tmp_path / "export")


def test_unusual_names_of_folders(served, tmp_path):
    name = "what? * é %2F"
    copy = shutil.copytree(served.version, tmp_path / name / "1")
    assert load_version(tmp_path / name, COMMAND)[0] == copy


@pytest.mark.parametrize("name", [b"a\\b", b"[1]", b"\xff"])
def test_a_folder_name_that_tensorflow_cannot_read(served, tmp_path, name):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    shutil.copytree(served.version, folder / "1")
    with pytest.raises(KerasrecError, match="cannot be loaded"):
        load_version(folder, COMMAND)


def test_unreadable_files(version, monkeypatch):
    def refuse(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", refuse)
        assert "Permission denied" in error_of(version, check_files)
    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(KerasrecError, match="cannot be read"):
        version_numbers(version.parent)
