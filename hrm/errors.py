"""The one exception that stands for a mistake of the user rather than of ours; and what no message may hold."""

import re


class UserError(Exception):
    """What the user gave cannot be used.

    The message is one line that names the file or key, what is wrong with it, and the remedy. The command line prints
    it without a traceback and exits with status 2; every other exception is a bug and keeps its traceback.
    """


def without_credentials(text: str) -> str:
    """A text with every `//user:password@` in it cut to `//`; a password may hold any character but blanks."""
    return re.sub(r"//\S*@", "//", text)
