"""A real S3 server, SeaweedFS, on free ports of this machine, its data in a folder that is thrown away."""

import random
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

KEY, SECRET = "test-key", "test-secret"
IDENTITIES = (
    f'{{"identities": [{{"name": "test", "credentials": [{{"accessKey": "{KEY}", "secretKey": "{SECRET}"}}], '
    '"actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}'
)
SERVERS = ("master", "volume", "filer", "s3")
RPC = 10_000
"""Each server listens for the others at its own port plus this."""
ALONE = [
    *("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false", "-s3.autoCreateBucket=false"),
    *("-master.volumeSizeLimitMB=64", "-volume.max=400", "-volume.preStopSeconds=0"),
]


@dataclass(frozen=True)
class S3Server:
    port: int
    key: str = KEY
    secret: str = SECRET
    _numbers: Iterator[int] = field(default_factory=count)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What boto3 reads; nothing of the user's own counts besides."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self) -> Any:
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            region_name="us-east-1",
            config=Config(retries={"total_max_attempts": 1}),
        )

    def fresh_bucket(self) -> str:
        """The name of a new, empty bucket."""
        name = f"bucket-{next(self._numbers)}"
        client = self.client()
        client.create_bucket(Bucket=name)
        client.close()
        return name


@contextmanager
def running_s3(
    folder: Path,
    *,
    script: Path | None = None,
    environment: Mapping[str, str] | None = None,
    key: str = KEY,
    secret: str = SECRET,
) -> Iterator[S3Server]:
    """The server, its data below a folder, until the block ends.

    Args:
        folder: for its data, its identities and its log.
        script: what starts the server with identities of its own; takes the options of `weed server`.
        environment: of the process, in place of ours.
        key: of an identity that may make buckets.
        secret: of the same.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ports = dict(zip(SERVERS, free_ports(), strict=False))
    weed = f"{sysconfig.get_path('scripts')}/weed"
    (folder / "s3.json").write_text(IDENTITIES)
    command = ["sh", str(script)] if script else [weed, "server", "-s3", f"-s3.config={folder}/s3.json"]
    command += [f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3.ip.bind=127.0.0.1", *ALONE]
    command += [f"-{name}.port={ports[name]}" for name in SERVERS]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
    try:
        server = S3Server(ports["s3"], key, secret)
        _wait_until_ready(server, process, folder / "log")
        yield server
    finally:
        process.kill()  # it takes half a minute to end by itself, and its data is thrown away
        process.wait()
        for port in [*ports.values(), *(port + RPC for port in ports.values())]:
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink()


def _wait_until_ready(server: S3Server, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until an object can be written: the servers find each other one after the other."""
    from botocore.exceptions import BotoCoreError, ClientError

    until = time.monotonic() + 60
    client = server.client()
    while True:
        try:
            with suppress(client.exceptions.BucketAlreadyOwnedByYou):
                client.create_bucket(Bucket="ready")
            client.put_object(Bucket="ready", Key="ready", Body=b"ready")
            break
        except (BotoCoreError, ClientError):
            if process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"the S3 server did not start:\n{log.read_text()[-3000:]}") from None
            time.sleep(0.1)
    client.close()


def free_ports() -> Iterator[int]:
    """Ports that are free, and free for the servers among themselves, below those that clients get."""
    for port in random.sample(range(11_000, 21_000), k=10_000):
        if all(map(_is_free, (port, port + RPC))):
            yield port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One server for all tests; each takes a bucket of its own."""
    with running_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server
