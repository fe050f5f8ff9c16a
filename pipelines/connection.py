"""The way to a Kubeflow Pipelines server: who we are, how long we wait, and every failure in one line."""

from __future__ import annotations

import ipaddress
import json
import os
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
from kfp_server_api import ApiClient, ApiException, Configuration

from hrm.errors import UserError

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 20.0
"""A run is created within a second or two; `KFP_TIMEOUT` (seconds) changes both limits for a slow network."""
TOKEN_FILE = Path("/var/run/secrets/kubeflow/pipelines/token")
"""Where Kubernetes puts the token of a pod's service account that is meant for Kubeflow Pipelines."""
REMEDY = "put a token in KFP_TOKEN, or the path of its file in KF_PIPELINES_SA_TOKEN_PATH"


class ServerError(UserError):
    """The server cannot be reached, or refuses.

    Attributes:
        passing: whether the same question may succeed later.
    """

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


class Connection(ApiClient):
    """The client that kfp itself uses, with what it lacks: time limits, no detours, and errors in a line.

    `kfp.Client` above it waits without end, asks for the server's health five times with pauses, follows the redirect
    of a login page, and takes the page for an empty answer.
    """

    def __init__(self, host: str) -> None:
        configuration = Configuration(host=host)
        # Nothing is sent twice, and a redirect is an answer: a token goes to this host and to no other.
        configuration.retries = False
        configuration.ssl_ca_cert = os.environ.get("SSL_CERT_FILE")
        super().__init__(configuration)  # type: ignore[no-untyped-call]
        self.host = host
        self.seconds = time_limit()

    def request(self, method: str, url: str, *arguments: Any, **keywords: Any) -> Any:
        """One request; called by the generated client for each of its functions.

        Raises:
            ServerError: when there is no answer, or a refusal.
        """
        source, token = sender()
        if token:
            check_encrypted(self.host, source)
            keywords["headers"] = {**(keywords.get("headers") or {}), "authorization": f"Bearer {token}"}
        keywords["_request_timeout"] = (min(CONNECT_SECONDS, self.seconds), self.seconds)
        try:
            return super().request(method, url, *arguments, **keywords)  # type: ignore[no-untyped-call]
        except ApiException as error:
            raise refusal(self.host, error, source) from None  # its text holds the answer's cookies
        except urllib3.exceptions.HTTPError as error:
            raise ServerError(f"{self.host}: {self._silence(method, error)}", passing=True) from error

    def deserialize(self, response: Any, response_type: Any) -> Any:
        """The answer as an object of the generated client.

        Raises:
            ServerError: when it is no answer of the API, such as a login page.
        """
        if not isinstance(_parsed(response.data), dict):
            raise ServerError(
                f"{self.host}: a web page instead of the API, perhaps to log in: {REMEDY}, or check --host"
            )
        return super().deserialize(response, response_type)  # type: ignore[no-untyped-call]

    def _silence(self, method: str, error: urllib3.exceptions.HTTPError) -> str:
        """Why there is no answer, and what to do."""
        errors = urllib3.exceptions
        if isinstance(error, errors.NameResolutionError):
            return "no such host; check --host, or the network"
        if isinstance(error, errors.NewConnectionError):
            reason = getattr(error.__cause__, "strerror", None) or "no connection"
            return f"{reason}; check --host, and that the server or its port-forward runs"
        if isinstance(error, errors.ConnectTimeoutError):
            return f"no connection within {min(CONNECT_SECONDS, self.seconds):g} s; check --host, or the network"
        reason = f"no answer within {self.seconds:g} s" if isinstance(error, errors.ReadTimeoutError) else "cut off"
        if method == "POST":
            return f"{reason}; it may have been created all the same: look with `python -m pipelines status` first"
        return f"{reason}; check --host, or give a slow server more seconds in KFP_TIMEOUT"


def time_limit() -> float:
    """How long a request may take, in seconds.

    Raises:
        UserError: when `KFP_TIMEOUT` is not a positive number.
    """
    text = os.environ.get("KFP_TIMEOUT", "")
    try:
        seconds = float(text) if text else ANSWER_SECONDS
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UserError(f"KFP_TIMEOUT={text}: expected a number of seconds above 0")
    return seconds


def sender() -> tuple[str, str]:
    """The name of the variable or file that holds the token, and the token; both empty when there is none.

    It is read for each request, as Kubernetes renews the file every hour.

    Raises:
        UserError: when the file cannot be read, or what is there is no token; the token itself is never shown.
    """
    source, token = "KFP_TOKEN", os.environ.get("KFP_TOKEN", "").strip()
    named = os.environ.get("KF_PIPELINES_SA_TOKEN_PATH")
    if not token and (named or TOKEN_FILE.is_file()):
        source = named or str(TOKEN_FILE)
        try:
            token = Path(source).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise UserError(f"KF_PIPELINES_SA_TOKEN_PATH: {source}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise UserError(f"KF_PIPELINES_SA_TOKEN_PATH: {source}: not text") from None
    if not all("!" <= character <= "~" for character in token):
        raise UserError(f"{source}: not a token: it has blanks, line breaks or letters beyond ASCII")
    return (source, token) if token else ("", "")


def check_encrypted(host: str, source: str) -> None:
    """Refuse to send a token in clear text, except within this machine or the cluster.

    Raises:
        UserError: when the host is somewhere else and its address begins with http://.
    """
    parts = urlsplit(host)
    name = parts.hostname or ""
    inside = "." not in name or name.endswith((".svc", ".cluster.local", ".localhost"))
    with suppress(ValueError):
        inside = ipaddress.ip_address(name).is_loopback
    if parts.scheme != "https" and not inside:
        remedy = "use https://, a port-forward, or inside the cluster the name that ends in .svc"
        raise UserError(f"{host}: the token of {source} would travel unencrypted; {remedy}")


def refusal(host: str, error: ApiException, source: str) -> ServerError:
    """What a status other than success means, and what to do.

    Args:
        host: the server.
        error: what the generated client made of the answer; its status is 0 for a certificate that is not trusted.
        source: where the token came from; empty when none was sent.
    """
    status, said = error.status, _said(error.body)
    if status == 0:
        detail = " ".join(str(error.reason).split())[:200]
        return ServerError(f"{host}: no safe connection: {detail}; name the file of its authority in SSL_CERT_FILE")
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        remedy = f"check the token of {source}, its rights and --namespace" if source else REMEDY
        return ServerError(f"{host}: {'not signed in' if status == 401 else 'not allowed'} ({status}){said}; {remedy}")
    if 300 <= status < 400:
        aim = urlsplit((error.headers or {}).get("Location", "")).netloc
        return ServerError(f"{host}: sends us on{f' to {aim}' if aim else ''}, perhaps to log in: {REMEDY}")
    if status == HTTPStatus.NOT_FOUND and not said:
        return ServerError(
            f"{host}: no API of Kubeflow Pipelines 2 here (404); --host is the address of its page, up to /pipeline"
        )
    if status >= 500 or status == HTTPStatus.TOO_MANY_REQUESTS:
        return ServerError(f"{host}: the server failed ({status}){said}; try again later", passing=True)
    return ServerError(f"{host}: refused ({status}){said}")


def _said(body: Any) -> str:
    """The API's own message as the rest of a sentence; empty when the answer is not the API's."""
    content = _parsed(body)
    message = (content.get("message") or content.get("error")) if isinstance(content, dict) else None
    if not isinstance(message, str):
        return ""
    line = " ".join(message.split())
    return f": {line if len(line) <= 300 else f'{line[:299]}…'}"


def _parsed(body: Any) -> Any:
    try:
        return json.loads(body or "")
    except ValueError:
        return None
