"""Git as a program: one commit into a bare repository, whatever the user's own settings are."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from hrm.errors import UserError
from hrm.progress import note

PAUSES = (1.0, 4.0)
"""Seconds before each further attempt to fetch."""

UNADVERTISED = ("not our ref", "unadvertised object", "find remote ref")
"""What Git says where a server gives no single commits; or does not have this one."""

SETTINGS = (
    "core.hooksPath=/dev/null",
    "gc.auto=0",
    "maintenance.auto=false",
    "fetch.recurseSubmodules=false",
    # A server that sends less than this many bytes a second, for so many seconds, has broken off.
    "http.lowSpeedLimit=100",
    "http.lowSpeedTime=60",
)
"""The user's other settings hold: how to reach a server (proxy, certificates, credentials) is theirs to say."""

OF_ANOTHER = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_SHALLOW_FILE",
)
"""Variables that point to the repository in which a hook runs this program."""


class Repository:
    """A bare repository of our own."""

    def __init__(self, folder: Path, where: str) -> None:
        """Make it.

        Args:
            folder: where it will be; not there yet.
            where: how messages begin.

        Raises:
            UserError: when `git` is not installed.
        """
        self.folder, self.where = folder, where
        folder.parent.mkdir(parents=True, exist_ok=True)
        self.run("init", "--quiet", "--bare", "--template=", "--object-format=sha1")

    def run(self, *arguments: str, given: bytes = b"", failure: str | None = None) -> bytes:
        """The output of a Git command.

        Args:
            arguments: the command and what it takes; no shell reads them.
            given: its standard input.
            failure: what to say when it fails; None: what Git says.

        Raises:
            UserError: when it fails, or there is no `git`.
        """
        git = shutil.which("git")
        if git is None:
            raise UserError(f"{self.where}: the program git is not installed; install it, or use a folder")
        command = [git, f"--git-dir={self.folder}", *(word for each in SETTINGS for word in ("-c", each)), *arguments]
        done = subprocess.run(command, input=given, capture_output=True, env=_environment(), check=False)  # noqa: S603
        if done.returncode:
            raise UserError(f"{self.where}: {failure or _reason(done.stderr)}")
        return done.stdout

    def fetch(self, address: str, commit: str) -> None:
        """Bring one commit with its files, without its history where the server allows.

        Raises:
            UserError: when the server cannot be reached, breaks off again and again, or does not have the commit.
        """
        for pause in (*PAUSES, None):
            try:
                self._fetch_once(address, commit)
                break
            except UserError as error:
                if pause is None:
                    remedy = "check the source's repository, the network and your credentials for it"
                    raise UserError(f"{error}; {remedy}") from None
                note(f"{error}; trying again in {pause:g} s")
                time.sleep(pause)
        missing = f"no commit {commit} in it; check the source's commit"
        found = self.run("rev-parse", "--verify", f"{commit}^{{commit}}", failure=missing)
        if found.decode().strip() != commit:
            raise UserError(f"{self.where}: {missing}")

    def _fetch_once(self, address: str, commit: str) -> None:
        fetch = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head")
        try:
            self.run(*fetch, "--depth=1", address, commit)
        except UserError as error:
            if not any(sign in str(error) for sign in UNADVERTISED):
                raise
            self.run(*fetch, address, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


def _environment() -> dict[str, str]:
    """Ours, so that Git never asks the person at the terminal, and speaks English."""
    kept = {key: value for key, value in os.environ.items() if key not in OF_ANOTHER}
    quiet = {"GIT_ASKPASS": "", "GIT_SSH_COMMAND": "ssh -oBatchMode=yes"}
    forced = {"GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh", "LC_ALL": "C"}
    return quiet | kept | forced


def _reason(errors: bytes) -> str:
    """The line that says what went wrong, of those that Git prints."""
    lines = [" ".join(line.split()) for line in errors.decode(errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:"))]
    first, *_ = telling or lines or ["git failed"]
    return first.removeprefix("fatal: ").removeprefix("error: ")
