"""The one exception that stands for a mistake of the user rather than of ours."""


class UserError(Exception):
    """What the user gave cannot be used.

    The message is one line that names the file or key, what is wrong with it, and the remedy. The command line prints
    it without a traceback and exits with status 2; every other exception is a bug and keeps its traceback.
    """
