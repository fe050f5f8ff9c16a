"""Makes the platform's settings on first use: the example, with a random secret for each empty value."""

import os
import re
import secrets
import sys
from pathlib import Path


def filled(example: str) -> str:
    """The text of an example, with a random secret after each `NAME=` that stands alone on its line."""
    return re.sub(r"^(\w+)=$", lambda line: f"{line[1]}={secrets.token_urlsafe(24)}", example, flags=re.MULTILINE)


def write(example: Path, target: Path) -> None:
    """Write the settings, whole or not at all, so that their owner alone can read them.

    Raises:
        FileExistsError: when they are there already; their secrets are the ones that the data was made with.
    """
    text = filled(example.read_text(encoding="utf-8"))
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        try:
            file.write(text)
            file.flush()
        except BaseException:
            target.unlink()
            raise


if __name__ == "__main__":
    try:
        write(Path(sys.argv[1]), Path(sys.argv[2]))
    except OSError as error:
        sys.exit(f"{error.filename or sys.argv[2]}: {error.strerror}")
