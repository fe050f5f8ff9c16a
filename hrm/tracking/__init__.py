"""MLflow and Weights & Biases behind one small interface.

`start` opens the trackers of a training run, whose `metrics` and `close` never wait for a network and never raise.
`log_finished` logs a run from its local record, and completes one that a server missed part of; `log_failure` leaves a
failed run where a pipeline has registered no model.
"""

from hrm.tracking.failure import PIPELINE_RUN, log_failure
from hrm.tracking.finished import log_finished
from hrm.tracking.tracker import Status, Tracker, start

__all__ = ["PIPELINE_RUN", "Status", "Tracker", "log_failure", "log_finished", "start"]
