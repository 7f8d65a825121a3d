"""Downloads from a server of the test's own: whole, checked, or not there."""

import dataclasses
import hashlib
import http.server
import io
import json
import tarfile
import threading

import pytest

from robust3d.data.published import download as module
from robust3d.data.published.download import DOWNLOADS, download
from robust3d.errors import UserError


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serves an archive and a file, and a table of downloads that names them with their real checksums."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name in ("dtd/images/banded/a.jpg", "dtd/labels/test1.txt"):
            entry = tarfile.TarInfo(name)
            entry.size = 5
            archive.addfile(entry, io.BytesIO(b"hello"))
    files = {"/dtd.tar.gz": content.getvalue(), "/weights.pth": b"weights"}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path not in files:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(files[self.path])))
            self.end_headers()
            self.wfile.write(files[self.path])

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        at = f"http://127.0.0.1:{running.server_port}"
        digests = {
            "dtd": hashlib.md5(files["/dtd.tar.gz"]).hexdigest(),
            "resnet18": hashlib.sha256(b"weights").hexdigest()[:8],
        }
        urls = {"dtd": f"{at}/dtd.tar.gz", "resnet18": f"{at}/weights.pth"}
        known = {name: dataclasses.replace(DOWNLOADS[name], url=urls[name], digest=digests[name]) for name in urls}
        monkeypatch.setattr(module, "DOWNLOADS", known)
        yield known
        running.shutdown()


def test_the_checksums_are_torchvisions():
    from torchvision.datasets.dtd import DTD
    from torchvision.models import get_model_weights

    assert (DOWNLOADS["dtd"].url, DOWNLOADS["dtd"].digest) == (DTD._URL, DTD._MD5)
    for name in (name for name in DOWNLOADS.keys() - {"dtd"} if not name.endswith("_dinov2")):
        published = get_model_weights("vit_b_16" if name == "vit" else name).IMAGENET1K_V1
        assert DOWNLOADS[name].url == published.url and DOWNLOADS[name].target == f"{name}.pth"
        assert DOWNLOADS[name].url.endswith(f"-{DOWNLOADS[name].digest}.pth")


@pytest.mark.parametrize(
    ("size", "letter", "digest"),  # as others who pin these files have found them
    [
        ("small", "s", "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9"),
        ("base", "b", "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73"),
        ("large", "l", "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428"),
    ],
)
def test_the_weights_of_dinov2_are_the_published_ones(size, letter, digest):
    found = DOWNLOADS[f"vit_{size}_patch14_dinov2"]
    assert found.url == f"https://dl.fbaipublicfiles.com/dinov2/dinov2_vit{letter}14/dinov2_vit{letter}14_pretrain.pth"
    assert found.algorithm == "sha256" and len(found.digest) == 16 and digest.startswith(found.digest)


def test_an_archive_is_unpacked_and_a_file_is_put_in_place(server, tmp_path):
    folder, marker = tmp_path / "resources", tmp_path / "resources/.downloaded/dtd.json"
    assert download("dtd", folder, marker) == folder / "dtd"
    assert (folder / "dtd/dtd/images/banded/a.jpg").read_bytes() == b"hello"
    assert json.loads(marker.read_text())["digest"] == server["dtd"].digest
    assert download("resnet18", folder).read_bytes() == b"weights"
    assert sorted(path.name for path in folder.iterdir()) == [".downloaded", "dtd", "resnet18.pth"]


def test_what_is_there_stays(server, tmp_path, monkeypatch):
    (tmp_path / "resnet18.pth").write_bytes(b"mine")
    monkeypatch.setattr(module.urllib.request, "urlopen", None)
    assert download("resnet18", tmp_path).read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("change", "told"),
    [({"digest": "0" * 32}, "its md5 is .*, not 0000"), ({"url": "http://127.0.0.1:9/x"}, "put it at .*dtd")],
)
def test_what_cannot_be_had_leaves_nothing(server, tmp_path, monkeypatch, change, told):
    monkeypatch.setitem(server, "dtd", dataclasses.replace(server["dtd"], **change))
    with pytest.raises(UserError, match=told):
        download("dtd", tmp_path / "resources")
    assert not list((tmp_path / "resources").iterdir())


def test_a_file_in_place_of_the_folder_is_told(server, tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(UserError, match="a: no folder to write into: File exists"):
        download("dtd", tmp_path / "a")


def test_an_unknown_name_is_told():
    with pytest.raises(UserError, match="there are dtd, alexnet, googlenet, resnet18"):
        download("shapenet", None)
