import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from hrm.errors import UserError
from hrm.tracking.server import IMPATIENT, connect, impatient, public_uri, reason, required, resolved_uri, tracking_uri


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
        ("sqlite:////srv/mlflow.db", "sqlite:////srv/mlflow.db"),
        ("http://ann:secret@mlflow.example:5000/base", "http://mlflow.example:5000/base"),
        ("postgresql://ann:se%40cret@db/mlflow?password=secret", "postgresql://db/mlflow"),
        ("http://ann:sec/ret@mlflow.example", "http://mlflow.example"),
        ("http://ann:sec@ret@mlflow.example", "http://mlflow.example"),
        ("http://ann:sec?ret#@[::1", "http://[::1"),
        ("postgresql://ann:sec?ret@db/mlflow", "postgresql://db/mlflow"),
        ("mlruns", "mlruns"),
        ("databricks", "databricks"),
    ],
)
def test_a_shown_address_has_no_credentials(uri: str, shown: str) -> None:
    assert public_uri(uri) == shown


def test_reasons_are_short_and_hide_credentials() -> None:
    text = reason(RuntimeError("GET http://ann:secret@host/api:\nforbidden " + "x" * 500))
    assert "secret" not in text
    assert "http://host/api: forbidden" in text
    assert len(text) <= 200


@pytest.mark.parametrize("password", ["se/cret", "se@cret", "se?cret", "se cret", "se#cret"])
def test_a_password_of_any_characters_is_hidden(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ann:{password}@127.0.0.1:9")
    with pytest.raises(UserError) as caught, required("log the run"), impatient():
        connect().search_experiments(max_results=1)
    assert str(caught.value).startswith("MLflow at http://127.0.0.1:9")
    assert "cret" not in str(caught.value)
    assert "ann" not in str(caught.value)


@pytest.mark.parametrize("uri", ["sqlite:///other.db", "sqlite:///below/other.db"])
def test_a_relative_database_is_the_same_one_everywhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, uri: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.chdir(tmp_path)
    assert resolved_uri() == f"sqlite:///{tmp_path}/{uri.removeprefix('sqlite:///')}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", resolved_uri())
    monkeypatch.chdir("/")
    assert resolved_uri() == f"sqlite:///{tmp_path}/{uri.removeprefix('sqlite:///')}"


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("http://[::1", "not an address"),
        ("sqlite://", "memory"),
        ("sqlite:///", "memory"),
        ("sqlite:///:memory:", "memory"),
        ("sqlite:////srv/it's/mlflow.db", "rename it"),
    ],
)
def test_an_address_that_keeps_nothing_is_refused(monkeypatch: pytest.MonkeyPatch, uri: str, said: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(UserError, match=said) as caught:
        connect()
    assert "\n" not in str(caught.value)


def test_the_default_is_the_embedded_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking_uri() == "sqlite:///mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example")
    assert tracking_uri() == "http://mlflow.example"


def test_impatience_ends_and_yields_to_the_users_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in IMPATIENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    with impatient():
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "1"
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


def test_an_absent_server_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:secret@127.0.0.1:9")
    with pytest.raises(UserError) as caught, required("register the model"), impatient():
        connect().search_experiments(max_results=1)
    text = str(caught.value)
    assert text.startswith("MLflow at http://127.0.0.1:9 is needed to register the model: no connection; check")
    assert "\n" not in text
    assert "secret" not in text


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (
            401,
            "You are not authenticated. Please see https://mlflow.example on how to authenticate.",
            "not signed in, or with a wrong password; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to "
            "an account of that server",
        ),
        (500, "<html>", "it fails again and again; the log of that server says why"),
        (403, "Permission denied", "permission denied; an administrator of that server can grant it to your account"),
        (
            403,
            "Invalid Host header - possible DNS rebinding attack detected",
            "it does not go by that name; an administrator of that server can add the name to its "
            "MLFLOW_SERVER_ALLOWED_HOSTS",
        ),
    ],
)
def test_a_refusal_says_what_helps(monkeypatch: pytest.MonkeyPatch, status: int, body: str, told: str) -> None:
    class Refuses(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Refuses) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        uri = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        with pytest.raises(UserError) as caught, required("log the run"), impatient():
            connect().get_experiment("0")
        server.shutdown()
    assert str(caught.value) == f"MLflow at {uri} is needed to log the run: {told}"


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("foo://ann:secret@host/x", "unsupported URI"),
        ("postgresql+missing://ann:secret@host/x", "missing"),
    ],
)
def test_an_address_that_cannot_be_used_is_one_line(monkeypatch: pytest.MonkeyPatch, uri: str, reason: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(UserError, match=reason) as caught, required("register the model"):
        connect().search_experiments(max_results=1)
    text = str(caught.value)
    assert text.startswith(f"MLflow at {public_uri(uri)} is needed to register the model: ")
    assert "\n" not in text
    assert "secret" not in text


def test_a_missing_driver_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)  # importing it fails, as where it is not installed
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://ann:secret@host/x")
    with (
        pytest.raises(
            UserError, match=r"^MLflow at postgresql://host/x is needed to log the run: [^\n]*psycopg[^\n]*$"
        ),
        required("log the run"),
    ):
        connect()


def test_a_fresh_database_says_nothing(tmp_path: Path) -> None:
    code = "from hrm.tracking.server import connect; connect().create_experiment('x')"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout + done.stderr == ""
    assert (tmp_path / "mlflow.db").is_file()


def test_the_package_is_imported_without_mlflow() -> None:
    code = "import sys, hrm.tracking; print([name for name in ('mlflow', 'wandb') if name in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
