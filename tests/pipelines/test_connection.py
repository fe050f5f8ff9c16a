"""Every way in which a server can fail us is one line with its remedy, soon; and a token goes where it shall, only."""

import datetime
import ipaddress
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Command, process, refused
from kfp_server import KfpServer, OtherServer, running

from hrm.errors import UserError
from pipelines.connection import check_encrypted
from pipelines.server import address

LOGIN = OtherServer(content=b"<!doctype html><title>Log in</title>", headers={"Content-Type": "text/html"})


def test_nobody_listens(command: Command) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        line = refused(command("status", "--host", f"http://127.0.0.1:{held.getsockname()[1]}"))
    assert "Connection refused; check --host" in line


def test_no_such_host(command: Command) -> None:
    assert "no such host; check --host" in refused(command("status", "--host", "https://nowhere.invalid/pipeline"))


@pytest.mark.parametrize("kind", ["never accepts", "never answers"])
def test_a_silent_server_is_not_waited_for(kind: str, project: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1 if kind == "never answers" else 0)
        host = f"http://127.0.0.1:{silent.getsockname()[1]}"
        blockers = []
        if kind == "never accepts":  # the queue of connections is full
            for _ in range(3):
                blockers.append(socket.socket())
                blockers[-1].setblocking(False)
                blockers[-1].connect_ex(silent.getsockname())
            time.sleep(0.1)
        line = refused(process(project, "status", "--host", host, KFP_TIMEOUT="2"))
        for blocker in blockers:
            blocker.close()
    assert ("no answer within 2 s" if kind == "never answers" else "no connection within 2 s") in line


@pytest.mark.parametrize(
    ("other", "parts"),
    [
        (OtherServer(401, b"Jwt is missing"), ["not signed in (401)", "KFP_TOKEN", "KF_PIPELINES_SA_TOKEN_PATH"]),
        (OtherServer(403, b"RBAC: access denied"), ["not allowed (403)", "KFP_TOKEN"]),
        (LOGIN, ["a web page instead of the API", "KFP_TOKEN"]),
        (OtherServer(404, b"<html>nginx</html>"), ["no API of Kubeflow Pipelines 2 here (404)", "--host"]),
        (OtherServer(500, b"\xff\xfe not text"), ["the server failed (500)", "try again later"]),
        (OtherServer(503), ["the server failed (503)"]),
        (OtherServer(200, b""), ["a web page instead of the API"]),
        (OtherServer(200, b'["a list"]'), ["a web page instead of the API"]),
        (OtherServer(418, b'{"code": 3, "message": "a\\nteapot"}'), ["refused (418): a teapot"]),
    ],
)
def test_other_servers(other: OtherServer, parts: list[str], command: Command) -> None:
    with running(other):
        line = refused(command("status", "--host", other.host))
    assert all(part in line for part in [other.host, *parts]), line
    assert len(other.requests) == 1, "nothing is asked twice"


def test_a_redirect_is_told_and_not_followed(command: Command) -> None:
    """A token is for one host."""
    with running(OtherServer(200, b"{}")) as elsewhere:
        goal = f"{elsewhere.host}/dex/auth?state=private"
        with running(OtherServer(302, headers={"Location": goal})) as gate:
            line = refused(command("status", "--host", gate.host, KFP_TOKEN="secret-token"))
        assert elsewhere.requests == []
    assert f"sends us on to 127.0.0.1:{elsewhere.port}" in line
    assert "private" not in line
    assert len(gate.requests) == 1
    assert gate.requests[0].headers["authorization"] == "Bearer secret-token"


def test_a_token_opens_the_door_and_is_never_shown(kfp: KfpServer, command: Command, tmp_path: Path) -> None:
    kfp.token = "secret-token"
    assert "KFP_TOKEN" in refused(command("status", "--host", kfp.host))
    wrong = refused(command("status", "--host", kfp.host, KFP_TOKEN="wrong-token"))
    assert "check the token of KFP_TOKEN" in wrong
    assert "wrong-token" not in wrong
    file = tmp_path / "token"
    file.write_text("secret-token\n")
    for variables in ({"KFP_TOKEN": "secret-token"}, {"KF_PIPELINES_SA_TOKEN_PATH": str(file)}):
        done = command("status", KFP_HOST=kfp.host, **variables)
        assert done.returncode == 0, done.stderr
        assert "secret-token" not in done.stdout + done.stderr
    missing = refused(command("status", "--host", kfp.host, KF_PIPELINES_SA_TOKEN_PATH="/nonexistent/token"))
    assert "/nonexistent/token: No such file" in missing
    broken = refused(command("status", "--host", kfp.host, KFP_TOKEN="secret\ntoken"))
    assert "KFP_TOKEN: not a token" in broken
    assert "secret" not in broken


def test_in_a_pod_token_and_namespace_are_at_hand(
    kfp: KfpServer, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kfp.token, kfp.multi_user = "pods-token", True
    for name, content in (("connection.TOKEN_FILE", "pods-token"), ("server.NAMESPACE_FILE", "team\n")):
        file = tmp_path / name
        file.write_text(content)
        monkeypatch.setattr(f"pipelines.{name}", file)
    assert command("status", "--host", kfp.host).returncode == 0
    assert kfp.requests[-1].query["namespace"] == "team"


def test_a_token_is_not_sent_in_clear_text(kfp: KfpServer, command: Command) -> None:
    host = kfp.host.replace("127.0.0.1", "0.0.0.0")  # reaches the server, and is not known as this machine
    assert "unencrypted" in refused(command("status", "--host", host, KFP_TOKEN="secret-token"))
    assert kfp.requests == []
    assert command("status", "--host", host).returncode == 0, "without a token there is nothing to protect"


def test_where_a_token_may_go() -> None:
    for host in (
        "https://kubeflow.example.org/pipeline",
        "http://localhost:8080",
        "http://127.0.0.1:8080",
        "http://[::1]:8080",
        "http://ml-pipeline:8888",
        "http://ml-pipeline.kubeflow.svc:8888",
        "http://ml-pipeline.kubeflow.svc.cluster.local:8888",
    ):
        check_encrypted(host, "KFP_TOKEN")
    for host in ("http://kubeflow.example.org", "http://10.0.0.7:31380", "http://localhost.example.org"):
        with pytest.raises(UserError, match="KFP_TOKEN would travel unencrypted"):
            check_encrypted(host, "KFP_TOKEN")


def test_addresses() -> None:
    assert address("https://kubeflow.example.org/pipeline/#/runs?x=y") == "https://kubeflow.example.org/pipeline"
    assert address("http://localhost:8080/?ns=team") == "http://localhost:8080"
    for text in (
        "kubeflow.example.org",
        "ftp://kubeflow.example.org",
        "https://",
        "https://host:port",
        "http://a b",
        "http://[::1",
    ):
        with pytest.raises(UserError, match="not an address"):
            address(text)
    with pytest.raises(UserError, match="no user or password") as caught:
        address("https://user:hunter2@kubeflow.example.org")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(UserError, match="KFP_HOST"):
        address("")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and a certificate for 127.0.0.1 that nobody vouches for, in one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    file = tmp_path / "server.pem"
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(private + signed.public_bytes(pem))
    return file


@pytest.fixture
def encrypted(certificate: Path) -> Iterator[KfpServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with running(KfpServer(scheme="https"), context) as server:
        yield server


def test_certificates_are_checked(encrypted: KfpServer, certificate: Path, command: Command) -> None:
    line = refused(command("status", "--host", encrypted.host, KFP_TOKEN="secret-token"))
    assert "no safe connection" in line
    assert "SSL_CERT_FILE" in line
    assert encrypted.requests == []
    trusted = command("status", "--host", encrypted.host, KFP_TOKEN="secret-token", SSL_CERT_FILE=str(certificate))
    assert trusted.returncode == 0, trusted.stderr


def test_a_shared_server_wants_a_namespace(kfp: KfpServer, command: Command) -> None:
    kfp.multi_user = True
    assert "--namespace NAME" in refused(command("status", "--host", kfp.host))
    assert command("status", "--host", kfp.host, "--namespace", "team").returncode == 0
    assert kfp.requests[-1].query["namespace"] == "team"


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf"])
def test_a_time_limit_is_a_number(text: str, command: Command, kfp: KfpServer) -> None:
    assert f"KFP_TIMEOUT={text}" in refused(command("status", "--host", kfp.host, KFP_TIMEOUT=text))
