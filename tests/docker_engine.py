"""A real docker engine of our own, a base image of Debian's packages, and the project's image on it: no registry.

All lies in a folder that is thrown away, and ends with the tests; the machine's own engine, if there is one, rests.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[1]
BASE_IMAGE = "python:3.11-slim"
IMAGE = "hrm-mlops:cpu"
DOCKER = "/usr/bin/docker"
"""Debian's, which brings BuildKit; another one on the path may not."""
ALONE = ["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"]
"""The machine's network stays as it is; containers and builds use it with `--network=host`."""
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True)
class Engine:
    folder: Path

    @property
    def host(self) -> str:
        return f"unix://{self.folder}/docker.sock"

    @property
    def environment(self) -> dict[str, str]:
        """What makes docker's clients, the Python one as well, speak to this engine."""
        return {"DOCKER_HOST": self.host, "DOCKER_BUILDKIT": "1", "DOCKER_CONFIG": str(self.folder / "config")}

    def docker(self, *arguments: str) -> str:
        """What a docker command prints; it must succeed."""
        done = self.attempt(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def attempt(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """A docker command that may fail."""
        command = [DOCKER, *arguments]
        return subprocess.run(command, env=os.environ | self.environment, capture_output=True, text=True)


@contextmanager
def running_engine() -> Iterator[Engine]:
    """An engine until the block ends, with its containers and images."""
    # A socket's path may have a hundred characters only: pytest's folders are too deep.
    folder = Path(tempfile.mkdtemp(prefix="engine-"))
    engine = Engine(folder)
    command = ["dockerd", f"--host={engine.host}", f"--pidfile={folder}/pid", *ALONE]
    command += [f"--data-root={folder}/data", f"--exec-root={folder}/exec"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait_until_ready(engine, process)
        yield engine
        if left := engine.docker("ps", "--all", "--quiet").split():
            engine.docker("rm", "--force", *left)
    finally:
        process.terminate()  # its containerd ends with it
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove the engine's folder, and nothing that is still mounted in it: the network's name stays so behind it."""
    for mount in reversed(Path("/proc/mounts").read_text().splitlines()):
        if (place := mount.split()[1]).startswith(f"{folder}/"):
            _quietly("umount", place)
    _quietly("rm", "--recursive", "--force", "--one-file-system", str(folder))


def _wait_until_ready(engine: Engine, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 60
    while engine.attempt("version").returncode:
        if process.poll() is not None or time.monotonic() > until:
            raise AssertionError(f"the docker engine did not start:\n{(engine.folder / 'log').read_text()[-3000:]}")
        time.sleep(0.2)


def import_base_image(engine: Engine) -> None:
    """Make Debian with Python, under the name of the image that the Dockerfile starts from."""
    root = engine.folder / "base"
    packages = "ca-certificates,python3,python3-pip,python3-venv"
    _quietly("debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", str(root))
    (root / "usr/lib/python3.11/EXTERNALLY-MANAGED").unlink()
    (root / "usr/bin/python").symlink_to("python3")
    shutil.copy(f"/{CERTIFICATES}", root / CERTIFICATES)  # whom this machine trusts
    shutil.rmtree(root / "var/cache/apt/archives")
    tar = engine.folder / "base.tar"
    _quietly("tar", f"--directory={root}", "--create", f"--file={tar}", ".")
    engine.docker(
        "import", "--change", f"ENV PIP_CERT=/{CERTIFICATES}", "--change", 'CMD ["python3"]', str(tar), BASE_IMAGE
    )
    shutil.rmtree(root)
    tar.unlink()


def make_image(engine: Engine, folder: Path) -> None:
    """Build the image by `make image` in a copy of this tree, which is a commit of its own."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0"):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    for wheel in _torch_wheels():
        shutil.copy(wheel, folder / "docker/wheels")
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "start"]):
        _quietly("git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.org", *command)
    make = ["make", "-C", str(folder), "image", f"DOCKER={DOCKER}", "DOCKER_BUILD_FLAGS=--network=host"]
    _quietly(*make, environment=engine.environment)


def _torch_wheels() -> Iterator[Path]:
    """PyTorch's CPU build, where pip is told of a local folder with it; else pip's index has it."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    for line in listed.stdout.splitlines():
        key, _, value = line.partition("=")
        if key.endswith(".find-links"):
            for place in value.strip("'\"").split():
                yield from Path(urlsplit(place).path).glob("torch-*+cpu-*.whl")


def _quietly(*command: str, environment: dict[str, str] | None = None) -> None:
    """A command that prints only when it fails."""
    done = subprocess.run(command, env=os.environ | (environment or {}), capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """One engine for all tests."""
    if os.geteuid():
        pytest.skip("a docker engine of one's own needs root")
    with running_engine() as running:
        yield running


@pytest.fixture(scope="session")
def base_image(engine: Engine) -> str:
    """The image that the Dockerfile starts from."""
    import_base_image(engine)
    return BASE_IMAGE


@pytest.fixture(scope="session")
def image_tree(engine: Engine, base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The copy of this tree that the image was built from, once."""
    folder = tmp_path_factory.mktemp("image")
    make_image(engine, folder)
    return folder


@pytest.fixture(scope="session")
def image(image_tree: Path) -> str:
    """The project's image for CPUs."""
    return IMAGE
