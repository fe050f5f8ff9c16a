"""Copies of checkpoints in a real S3 server, reached through a proxy where the network has to fail."""

import hashlib
import json
import logging
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from s3_server import SECRET, S3Server

from hrm.errors import UserError
from hrm.training.mirror import Mirror

LARGE = 21 << 20
"""Bytes that boto3 sends in several parts."""


def make_checkpoint(training: Path, step: int, size: int = 2000) -> Path:
    folder = training / f"step-{step:08d}"
    folder.mkdir(parents=True)
    contents = {"model": step.to_bytes(4, "big") * (size // 4), "training": step.to_bytes(3, "big") * 100}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    for name, content in contents.items():
        (folder / f"{name}.safetensors").write_bytes(content)
    (folder / "model.json").write_text(json.dumps({"step": step, "weights_digest": digests["model"]}))
    (folder / "training.json").write_text(json.dumps({"step": step, "tensors_digest": digests["training"]}))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "mirror"]


def wait_for(mirror: Mirror) -> None:
    """Until nothing is being copied."""
    until = time.monotonic() + 30
    while threads() and time.monotonic() < until:
        time.sleep(0.02)
    assert not threads()


class Proxy:
    """Passes bytes to the server until told to fail: `cut` after a number of bytes, or `stuck` without an answer."""

    def __init__(self, port: int) -> None:
        self.mode, self.allowed = "pass", 0
        self._server = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def fail(self, mode: str, allowed: int = 0) -> None:
        self.mode, self.allowed = mode, allowed

    def heal(self) -> None:
        """Passes again; who still waits has to connect anew."""
        self.mode = "pass"
        self._drop()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._drop()

    def _drop(self) -> None:
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._server))
            self._open += [client, server]
            threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if self.mode == "cut" and counted:
                    self.allowed -= len(data)
                    if self.allowed < 0:
                        break
                while self.mode == "stuck":
                    time.sleep(0.01)
                target.sendall(data)
            source.shutdown(socket.SHUT_RDWR)
            target.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    proxy = Proxy(s3.port)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
    yield proxy
    proxy.close()


@pytest.fixture(autouse=True)
def environment(s3: S3Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    caplog.set_level(logging.INFO, "hrm")


@pytest.fixture
def uri(s3: S3Server) -> str:
    return f"s3://{s3.fresh_bucket()}/runs/all"


@pytest.fixture
def training(tmp_path: Path) -> Path:
    return tmp_path / "training"


def keys(s3: S3Server, uri: str) -> list[str]:
    client = s3.client()
    found = client.list_objects_v2(Bucket=uri.split("/")[2]).get("Contents", [])
    client.close()
    return [item["Key"] for item in found]


def copied(s3: S3Server, uri: str) -> list[str]:
    """The checkpoints that have all of their files in the bucket."""
    return [key.split("/")[-2] for key in keys(s3, uri) if key.endswith("/model.json")]


def change(s3: S3Server, uri: str, key: str, content: bytes | None) -> None:
    client = s3.client()
    if content is None:
        client.delete_object(Bucket=uri.split("/")[2], Key=key)
    else:
        client.put_object(Bucket=uri.split("/")[2], Key=key, Body=content)
    client.close()


def push_all(uri: str, training: Path, *folders: Path) -> None:
    """Push one after the other, all of them kept."""
    for folder in folders:
        mirror = Mirror(uri, "small", training)
        mirror.push(folder, [folder.name for folder in folders])
        mirror.close(30)


def test_a_checkpoint_comes_back_byte_by_byte(
    s3: S3Server,
    uri: str,
    training: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One with a file in several parts, its curves as they were, though all of it is gone or changed after `push`."""
    folder = make_checkpoint(training, 1000, size=LARGE)
    (training / "curves.csv").write_text("step,loss\n1000,1.5\n")
    logged = {"mlflow_run.json": "{}", "wandb_run.json": "[]"}
    for name, text in logged.items():
        training.with_name(name).write_text(text)
    before = contents(folder)
    mirror = Mirror(uri, "small", training)
    mirror.push(folder, [])
    shutil.rmtree(folder)
    with (training / "curves.csv").open("a") as curves:
        curves.write("1001,1.4\n")
    mirror.close(30)
    assert not threads()
    assert [path.name for path in training.iterdir()] == ["curves.csv"]
    prefix = "runs/all/small/step-00001000"
    assert sorted(keys(s3, uri)) == sorted(f"{prefix}/{name}" for name in [*before, *logged, "curves.csv"])

    elsewhere = tmp_path / "elsewhere/training"
    mirror = Mirror(uri, "small", elsewhere)
    assert mirror.pull() == elsewhere / "step-00001000"
    mirror.close(0)
    assert contents(elsewhere / "step-00001000") == before
    assert (elsewhere / "curves.csv").read_text() == "step,loss\n1000,1.5\n"
    assert sorted(path.name for path in elsewhere.iterdir()) == ["curves.csv", "step-00001000"]
    # Where the run is logged lies in the folder of the run itself.
    assert {name: (elsewhere.parent / name).read_text() for name in logged} == logged
    assert caplog.messages == [f"{uri}/small: going on from the mirror's step 1,000"]


def test_only_what_is_kept_stays(s3: S3Server, uri: str, training: Path) -> None:
    folders = [make_checkpoint(training, step) for step in (1, 2, 3, 4)]
    push_all(uri, training, *folders[:3])
    assert copied(s3, uri) == [folder.name for folder in folders[:3]]
    change(s3, uri, "runs/all/small/notes/today.txt", b"of somebody else")
    change(s3, uri, "runs/all/smaller/step-00000001/model.json", b"of another run")
    mirror = Mirror(uri, "small", training)
    mirror.push(folders[3], [folders[1].name])
    mirror.close(30)
    names = [f"step-0000000{step}/{file.name}" for step in (2, 4) for file in folders[0].iterdir()]
    expected = [f"runs/all/small/{name}" for name in (*names, "notes/today.txt")]
    assert sorted(keys(s3, uri)) == sorted([*expected, "runs/all/smaller/step-00000001/model.json"])


def test_an_empty_bucket_has_nothing_to_pull(uri: str, training: Path) -> None:
    mirror = Mirror(uri, "small", training)
    assert mirror.pull() is None
    mirror.close(0)


def test_a_copy_in_part_is_skipped(
    s3: S3Server,
    uri: str,
    training: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folders = [make_checkpoint(training, step) for step in (1, 2)]
    push_all(uri, training, *folders)
    change(s3, uri, "runs/all/small/step-00000002/model.json", None)
    mirror = Mirror(uri, "small", tmp_path / "elsewhere")
    assert mirror.pull() == tmp_path / "elsewhere/step-00000001"
    mirror.close(0)
    assert f"{uri}/small/step-00000002: skipped, as it was copied in part only" in caplog.text
    change(s3, uri, "runs/all/small/step-00000001/model.json", None)
    mirror = Mirror(uri, "small", tmp_path / "third")
    assert mirror.pull() is None
    mirror.close(0)


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("model.safetensors", b"damaged", "model.safetensors is not what model.json says"),
        ("training.safetensors", b"", "training.safetensors is not what training.json says"),
        ("training.json", b"{", "training.json does not say the tensors_digest of training.safetensors"),
        ("model.json", b"[]", "model.json does not say the weights_digest of model.safetensors"),
    ],
)
def test_a_damaged_copy_is_skipped(
    s3: S3Server,
    uri: str,
    training: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    file: str,
    content: bytes,
    said: str,
) -> None:
    folders = [make_checkpoint(training, step) for step in (1, 2)]
    push_all(uri, training, *folders)
    change(s3, uri, f"runs/all/small/step-00000002/{file}", content)
    elsewhere = tmp_path / "elsewhere"
    mirror = Mirror(uri, "small", elsewhere)
    assert mirror.pull() == elsewhere / "step-00000001"
    assert f"hrm: warning: {uri}/small/step-00000002: damaged checkpoint skipped ({said})" in caplog.messages
    assert [path.name for path in elsewhere.iterdir()] == ["step-00000001"]
    assert contents(elsewhere / "step-00000001") == contents(folders[0])
    change(s3, uri, f"runs/all/small/step-00000001/{file}", content)
    with pytest.raises(UserError, match=f"^{uri}/small: every checkpoint here is damaged; remove them to begin anew$"):
        mirror.pull()
    mirror.close(0)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"AWS_ENDPOINT_URL": "http://ann:test-secret@127.0.0.1:9"}, "http://127.0.0.1:9 cannot be reached"),
        ({"AWS_SECRET_ACCESS_KEY": "test-secret-2"}, r"refuses \(SignatureDoesNotMatch\); check AWS_ACCESS_KEY_ID"),
        ({"AWS_ACCESS_KEY_ID": "ann"}, r"refuses \(InvalidAccessKeyId\); check AWS_ACCESS_KEY_ID"),
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "no credentials; set AWS_ACCESS_KEY_ID"),
        ({"AWS_ENDPOINT_URL": "127.0.0.1:9"}, "Invalid endpoint: 127.0.0.1:9; check the AWS_ variables"),
        ({"AWS_PROFILE": "nobody"}, r"profile \(nobody\) could not be found; check the AWS_ variables"),
    ],
)
def test_a_server_that_does_not_answer_is_one_line(
    monkeypatch: pytest.MonkeyPatch, uri: str, training: Path, changed: dict[str, str | None], said: str
) -> None:
    for name, value in changed.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=said) as caught:
        Mirror(uri, "small", training).pull()
    text = str(caught.value)
    assert text.startswith(f"{uri}")
    assert "\n" not in text
    assert SECRET not in text


def test_a_missing_bucket_is_one_line(s3: S3Server, training: Path) -> None:
    with pytest.raises(UserError) as caught:
        Mirror("s3://nowhere", "small", training).pull()
    remedy = "has no such bucket; make it, or change train.checkpoints.mirror"
    assert str(caught.value) == f"s3://nowhere/small: {s3.endpoint} {remedy}"


def test_a_missing_boto3_is_one_line(monkeypatch: pytest.MonkeyPatch, uri: str, training: Path) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)  # importing it fails, as where it is not installed
    with pytest.raises(UserError, match="boto3 is not installed; install it with `pip install boto3`"):
        Mirror(uri, "small", training)


def test_a_connection_that_breaks_loses_no_copy(
    s3: S3Server,
    uri: str,
    training: Path,
    tmp_path: Path,
    proxy: Proxy,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It breaks amid a large file, for two checkpoints; then it works again."""
    folders = [make_checkpoint(training, step, size=LARGE) for step in (1, 2, 3, 4)]
    mirror = Mirror(uri, "small", training)
    mirror.push(folders[0], [])
    wait_for(mirror)
    for folder in folders[1:3]:
        proxy.fail("cut", allowed=12 << 20)
        began = time.monotonic()
        mirror.push(folder, [])
        assert time.monotonic() - began < 0.5
        wait_for(mirror)
    assert copied(s3, uri) == ["step-00000001"]
    warnings = [message for message in caplog.messages if "warning" in message]
    assert len(warnings) == 1
    assert warnings[0].startswith(f"hrm: warning: {uri}/small: not brought up to step-00000002: http://127.0.0.1:")
    assert warnings[0].endswith("check the network and AWS_ENDPOINT_URL; training goes on and tries the next one")
    proxy.heal()
    elsewhere = Mirror(uri, "small", tmp_path / "elsewhere")
    assert elsewhere.pull() == tmp_path / "elsewhere/step-00000001"
    elsewhere.close(0)
    assert contents(tmp_path / "elsewhere/step-00000001") == contents(folders[0])
    mirror.push(folders[3], [])
    mirror.close(30)
    assert copied(s3, uri) == ["step-00000004"]
    assert caplog.messages[-1] == f"{uri}/small: works again; step-00000004 is there"
    assert not [path for path in training.iterdir() if path.name.startswith(".")]


def test_the_newest_takes_the_place_of_those_that_need_not_stay(
    s3: S3Server,
    uri: str,
    training: Path,
    tmp_path: Path,
    proxy: Proxy,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The server takes the first one's bytes, says nothing for a while, and is well again."""
    folders = [make_checkpoint(training, step) for step in (1, 2, 3, 4)]
    proxy.fail("stuck")
    mirror = Mirror(uri, "small", training)
    for folder in folders:
        began = time.monotonic()
        mirror.push(folder, ["step-00000001", "step-00000002"])
        assert time.monotonic() - began < 0.5
        shutil.rmtree(folder)
        with (training / "curves.csv").open("a") as curves:
            curves.write(f"after {folder.name}\n")
    mirror.close(0.2)
    last = f"hrm: warning: {uri}/small: not up to date; the last checkpoint may be in {training} alone"
    assert caplog.messages == [last]
    assert len(list(training.glob(".*"))) == 3  # the one that is being copied, the best, and the newest
    proxy.heal()
    mirror.close(30)
    assert copied(s3, uri) == ["step-00000001", "step-00000002", "step-00000004"]
    assert caplog.messages == [last]
    assert [path.name for path in training.iterdir()] == ["curves.csv"]
    assert not threads()
    elsewhere = Mirror(uri, "small", tmp_path / "elsewhere")
    elsewhere.pull()
    elsewhere.close(0)
    assert (tmp_path / "elsewhere/curves.csv").read_text().split("\n")[-2] == "after step-00000003"


def test_what_is_there_stays_until_something_newer_is(s3: S3Server, uri: str, training: Path, proxy: Proxy) -> None:
    """Two newer ones come while the first is on its way, and only the last of them is to stay."""
    proxy.fail("stuck")
    mirror = Mirror(uri, "small", training)
    mirror.push(make_checkpoint(training, 1), [])
    time.sleep(0.3)
    mirror.push(make_checkpoint(training, 2), [])
    mirror.push(make_checkpoint(training, 3), [])
    removed: list[set[str]] = []
    delete = mirror.bucket.delete
    mirror.bucket.delete = lambda name: (removed.append(set(copied(s3, uri))), delete(name))  # type: ignore[method-assign]
    proxy.heal()
    mirror.close(30)
    assert copied(s3, uri) == ["step-00000003"]
    assert all("step-00000003" in there for there in removed), "never before the newer one is there"


def test_the_end_tells_what_is_not_there(
    uri: str, training: Path, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.fail("cut")
    mirror = Mirror(uri, "small", training)
    mirror.push(make_checkpoint(training, 1), [])
    mirror.close(30)
    assert [message.split(": ")[3].split(" step-")[0] for message in caplog.messages] == [
        "not brought up to",
        f"not up to date; the last checkpoint may be in {training} alone",
    ]
    assert not threads()


def test_a_checkpoint_that_cannot_be_held_is_a_warning(
    uri: str, training: Path, caplog: pytest.LogCaptureFixture
) -> None:
    training.mkdir()
    mirror = Mirror(uri, "small", training)
    mirror.push(training / "step-00000001", [])
    assert "not brought up to step-00000001: [Errno 2] No such file" in caplog.text
    assert not list(training.iterdir())
    mirror.close(0)


def test_what_a_killed_process_left_is_removed(uri: str, training: Path) -> None:
    (training / ".mirror-abc").mkdir(parents=True)
    (training / ".mirror-abc/model.safetensors").write_text("large")
    make_checkpoint(training, 1)
    Mirror(uri, "small", training).close(0)
    assert [path.name for path in training.iterdir()] == ["step-00000001"]


def test_files_are_copied_where_a_second_name_is_not_possible(
    monkeypatch: pytest.MonkeyPatch,
    s3: S3Server,
    uri: str,
    training: Path,
) -> None:
    def no_links(*_: object) -> None:
        raise OSError("Operation not permitted")

    monkeypatch.setattr("os.link", no_links)
    folder = make_checkpoint(training, 1)
    mirror = Mirror(uri, "small", training)
    mirror.push(folder, [])
    shutil.rmtree(folder)
    mirror.close(30)
    assert copied(s3, uri) == ["step-00000001"]
