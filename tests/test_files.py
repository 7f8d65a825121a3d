"""Files that appear whole, with the permissions that the user asked for."""

import errno
import os
import stat
import struct
from pathlib import Path

import pytest
import torch
from safetensors.numpy import save_file

from robust3d import files
from robust3d.files import cause, partial, publish, write_json
from robust3d.models.files import save_state
from robust3d.training.checkpoints import Checkpoint, save_checkpoint


def mode_of(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


@pytest.fixture(params=[0o022, 0o002, 0o027, 0o077])
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_weights_follow_the_umask_like_all_files(tmp_path, umask):
    path = tmp_path / "model.safetensors"
    save_state({"a": torch.zeros(3)}, partial(path))
    publish(partial(path), path)
    write_json(tmp_path / "model.json", {})
    (tmp_path / "plain").write_text("")
    save_checkpoint(tmp_path / "steps", Checkpoint(1, {"a": torch.zeros(3)}))
    made = [path, tmp_path / "model.json", tmp_path / "plain", *(tmp_path / "steps").iterdir()]
    assert {mode_of(file) for file in made} == {oct(0o666 & ~umask)}
    assert mode_of(tmp_path / "steps") == oct(0o777 & ~umask)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.json", "model.safetensors", "plain", "steps"]


def test_a_folder_s_access_list_counts_where_there_is_one(tmp_path):
    owner, group, others = (0x01, 7), (0x04, 7), (0x20, 0)  # what new files get; then the umask does not count
    entries = b"".join(struct.pack("<HHI", tag, allowed, 0xFFFFFFFF) for tag, allowed in (owner, group, others))
    try:
        os.setxattr(tmp_path, "system.posix_acl_default", struct.pack("<I", 2) + entries)
    except OSError:
        pytest.skip("no access lists here")
    save_file({}, partial(tmp_path / "model"))
    publish(partial(tmp_path / "model"), tmp_path / "model")
    (tmp_path / "plain").write_text("")
    assert mode_of(tmp_path / "model") == mode_of(tmp_path / "plain") == "0o660"


def test_the_group_of_a_shared_folder_stays(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    os.chown(tmp_path, -1, 61003)
    tmp_path.chmod(0o2775)
    save_file({}, partial(tmp_path / "model"))
    publish(partial(tmp_path / "model"), tmp_path / "model")
    assert (tmp_path / "model").stat().st_gid == 61003


def test_nothing_half_written_stays_where_there_is_no_room(tmp_path, monkeypatch):
    def full(temporary: Path, final: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "publish", full)
    with pytest.raises(OSError) as raised:
        write_json(tmp_path / "record.json", {"a": 1})
    assert not list(tmp_path.iterdir()) and cause(raised.value) == "no room"


def test_causes_in_words(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError) as raised:
        (tmp_path / "file" / "below").write_text("")
    assert cause(raised.value) == "a file is in place of a folder"
    assert cause(PermissionError(errno.EACCES, "Permission denied")) == "permission"
    assert cause(OSError(errno.ESTALE, "Stale file handle")) == "Stale file handle"
    assert cause(OSError("odd")) == "odd"
