"""Model versions that need no model: a run, which test puzzles are solved, and the tags that decide.

As a program, `python made_up_versions.py NAME SOLVED...` says that it is ready, waits for a line, and registers them.
"""

import sys

import numpy as np

from hrm.serving.champion import DECISION, PENDING, UNDECIDED, Decision, decide
from hrm.serving.outcome import SOLVED, TESTS, Outcome
from hrm.serving.registry import ensure_model
from hrm.tracking.run_log import experiment_id
from hrm.tracking.server import connect


def pending(name: str, solved: str, tests: str = "tests", **tags: str) -> int:
    """Make a version that nobody has decided on; gives its number."""
    client = connect()
    run_id = client.create_run(experiment_id(client, name)).info.run_id
    outcome = Outcome(tests, np.array([one == "1" for one in solved], bool))
    client.log_text(run_id, outcome.text(), outcome.artifact)
    ensure_model(client, name)
    score, count = str(outcome.solved_E.mean()), str(len(solved))
    told = {DECISION: PENDING, TESTS: tests, SOLVED: outcome.artifact, "exact_accuracy": score, "test_puzzles": count}
    description = f"Made up.\n\n{UNDECIDED}\n"
    source = f"runs:/{run_id}/model"
    return int(client.create_model_version(name, source, run_id, {**told, **tags}, description=description).version)


def register(name: str, solved: str, tests: str = "tests", **tags: str) -> Decision:
    """Make a version and decide on it."""
    return decide(connect(), name, pending(name, solved, tests, **tags))


if __name__ == "__main__":
    experiment_id(connect(), sys.argv[1])
    print("ready", flush=True)
    sys.stdin.readline()
    for given in sys.argv[2:]:
        register(sys.argv[1], given)
