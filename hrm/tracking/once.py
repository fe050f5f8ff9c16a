"""Making what must not be made twice, on a server that may execute a request without its answer arriving."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from hrm.tracking.server import set_meanwhile

T = TypeVar("T")
ATTEMPTS, PAUSE = 3, 1.0
"""How often to ask, and seconds between."""
LOST = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE")
"""What MLflow says where nobody knows whether a request was executed; anything else is a refusal."""
UNREPEATED = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}


def once(find: Callable[[], T | None], make: Callable[[], T]) -> T:
    """Find something on the server, or make it.

    MLflow itself repeats every request whose answer does not arrive, also the one that makes a run or a version. Here
    it does not: each new attempt looks first.

    Args:
        find: looks for it by what only it has; None where it is not there.
        make: makes it, in a single request.

    Raises:
        Exception: whatever MLflow raises when it cannot be reached or refuses.
    """
    from mlflow.exceptions import MlflowException

    for attempt in range(1, ATTEMPTS + 1):
        if (found := find()) is not None:
            return found
        try:
            with set_meanwhile(UNREPEATED):
                return make()
        except MlflowException as error:
            if error.error_code not in LOST or attempt == ATTEMPTS:
                raise
        time.sleep(PAUSE)
    raise AssertionError("the last attempt returns or raises")
