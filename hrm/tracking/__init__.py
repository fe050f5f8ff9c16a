"""MLflow and Weights & Biases behind one small interface.

`start` opens the trackers of a training run, whose `metrics` and `close` never wait for a network and never raise.
`log_finished` logs a run from its local record, and completes one that a server missed part of.
"""

from hrm.tracking.finished import log_finished
from hrm.tracking.tracker import Status, Tracker, start

__all__ = ["Status", "Tracker", "log_finished", "start"]
