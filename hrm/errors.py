"""The one exception that stands for a mistake of the user rather than of ours; and what no message may hold."""

import re


class UserError(Exception):
    """What the user gave cannot be used.

    The message is one line that names the file or key, what is wrong with it, and the remedy. The command line prints
    it without a traceback and exits with status 2; every other exception is a bug and keeps its traceback.
    """


def in_a_line(error: Exception, doing: str) -> str | None:
    """What is wrong, in a line: a mistake of the user, or what the machine cannot give; None for a bug.

    Args:
        error: what was raised.
        doing: what was being done, such as the verb.
    """
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename or doing}: {error.strerror or error}"
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _OUT_OF_MEMORY.search(str(error))):
        return f"{doing}: not enough memory ({error}); lower the sizes in the settings"
    return None


# PyTorch has no type of its own for this on CPUs.
_OUT_OF_MEMORY = re.compile(r"out of memory|DefaultCPUAllocator: (can't allocate|not enough) memory")


def without_credentials(text: str) -> str:
    """A text with every `//user:password@` in it cut to `//`; a password may hold any character but blanks."""
    return re.sub(r"//\S*@", "//", text)
