"""What MLflow's scoring server (`mlflow models serve`) lacks: a refusal of every request that it cannot read."""

from __future__ import annotations

import sys
from functools import wraps
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST

SERVER = "mlflow.pyfunc.scoring_server"


def refuse_what_cannot_be_read() -> None:
    """In the scoring server's process, let it answer 400 where MLflow itself would answer 500.

    Such are a request without a content type, and JSON that is nested too deeply or has an endless number in it.
    Elsewhere nothing is changed.
    """
    if f"{SERVER}.app" not in sys.modules:
        return
    server: Any = sys.modules[SERVER]
    if hasattr(server.invocations, "__wrapped__"):
        return
    answer = server.invocations

    @wraps(answer)
    def invocations(*arguments: Any, **named: Any) -> Any:
        try:
            return answer(*arguments, **named)
        except MlflowException:
            raise
        except Exception as error:
            # What the model raises, the server has caught by now: this is about the request itself.
            raise MlflowException(f"The request cannot be read: {error!r}", error_code=BAD_REQUEST) from error

    server.invocations = invocations
