"""Real processes: what they tell each other, and how a lost one, a signal, a restart ends or goes on."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hrm.config import TrainSettings
from hrm.errors import UserError
from hrm.stages.train import train
from hrm.training.distributed import Processes, joined
from hrm.training.launch import launch

STEP = "step-00000025"
LAUNCH = """
import logging, signal, sys, time
from pathlib import Path
from hrm.cli import terminate
from hrm.progress import speak
from hrm.training.distributed import joined
from hrm.training.interrupts import Interrupts, end
from hrm.training.launch import launch

def work(folder):
    with Interrupts() as signals, joined() as processes:
        signals.at_once = False  # as after the first step
        (folder / f"ready-{processes.rank}").touch()
        while not (signum := processes.highest([signals.received])[0]):
            time.sleep(0.01)
        if processes.first:
            time.sleep(1)
            (folder / "saved").touch()
        processes.wait()
        end(signum)

if __name__ == "__main__":
    speak(logging.INFO)
    signal.signal(signal.SIGTERM, terminate)
    try:
        launch(work, [Path.cwd()], 2)
    except KeyboardInterrupt:
        sys.exit(130)
"""
TRAIN = """
import os, signal, sys
from pathlib import Path
from hrm.config import TrainSettings
from hrm.errors import UserError
from hrm.stages.train import train
from hrm.training import step

settings, dataset, run, victim = TrainSettings.model_validate_json(sys.argv[1]), *sys.argv[2:]
real = step.Step.__call__

def dying(self, state, *arguments):
    begun = Path(run).with_name(f"begun-{os.environ['RANK']}.txt")
    with begun.open("a") as file:
        file.write(f"{state.step} ")
    if state.step == 12 and begun.read_text().split().count("12") == 1 and os.environ["RANK"] == victim:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, state, *arguments)

step.Step.__call__ = dying
try:
    train(settings, Path(dataset), Path(run), "tiny")
except UserError as error:
    sys.exit(f"one line: {error}")
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def torchrun(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", *arguments]
    return subprocess.Popen(command, cwd=cwd, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _tell(folder: Path) -> None:
    """What every process hears; runs in each of four."""
    tensors = {
        "halted": torch.tensor([True, False, True]),
        "step": torch.tensor(7),
        "states": torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).bfloat16(),
        "none": torch.empty(0, 4),
        "view": torch.arange(12.0).view(3, 4).T,
    }
    for _ in range(2):  # a process may take part in one run after the other
        with joined() as processes:
            rank, first = processes.rank, processes.first
            assert processes.highest([rank, -rank, 2**62 * (rank == 2)]) == [3, 0, 2**62]
            assert processes.share({"step": 7, "where": (1, "a")} if first else None) == {"step": 7, "where": (1, "a")}
            heard = processes.spread(tensors if first else None)
            assert list(heard) == list(tensors)
            for name, tensor in tensors.items():
                assert heard[name].dtype == tensor.dtype
                assert torch.equal(heard[name], tensor), name
            assert processes.gather(torch.tensor([rank > 1])).tolist() == [False, False, True, True]
            assert processes.sum(torch.tensor([float(rank)])).tolist() == [6.0]
            processes.wait()
    (folder / str(rank)).touch()


def _die(folder: Path) -> None:
    with joined() as processes:
        processes.wait()
        if processes.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        processes.wait()


def _fail(folder: Path) -> None:
    with joined() as processes:
        processes.wait()
        if processes.rank == 1:
            raise UserError("the disk of this process is full")
        processes.wait()


def test_processes_hear_each_other(tmp_path: Path) -> None:
    launch(_tell, [tmp_path], 4)
    assert {path.name for path in tmp_path.iterdir()} >= {"0", "1", "2", "3"}


def test_one_process_hears_itself() -> None:
    alone = Processes(0, 1, torch.device("cpu"))
    assert alone.highest([3, -1]) == [3, -1]
    assert alone.share("this") == "this"
    assert torch.equal(alone.spread({"x": torch.ones(2)})["x"], torch.ones(2))


def test_a_killed_process_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """By the one that started it, or, where the others are quicker, without its number."""
    with pytest.raises(
        UserError, match=r"lost (process 1 of 2: ended by SIGKILL|another of the 2 processes \(.*\)); start"
    ):
        launch(_die, [tmp_path], 2)
    assert capfd.readouterr().err == ""


def _fill(folder: Path) -> None:
    with joined() as processes:
        processes.wait()
        if processes.rank == 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        processes.wait()


def test_what_the_machine_refuses_one_of_them_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"^process 1: No space left on device$"):
        launch(_fill, [tmp_path], 2)
    assert capfd.readouterr().err == ""


def test_the_cause_is_told_and_not_what_follows(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"^the disk of this process is full$"):
        launch(_fail, [tmp_path], 2)
    assert capfd.readouterr().err == ""


def terminated(process: subprocess.Popen[str]) -> None:
    """As a scheduler does, which loses its patience."""
    for _ in range(2):
        process.terminate()
        time.sleep(0.3)


def interrupted(process: subprocess.Popen[str]) -> None:
    """As Ctrl-C on a terminal, which all processes get, twice."""
    for _ in range(2):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.3)


@pytest.mark.parametrize(("stop", "status"), [(terminated, 143), (interrupted, 130)])
def test_a_signal_reaches_all_and_is_waited_for(
    stop: Callable[[subprocess.Popen[str]], None], status: int, tmp_path: Path
) -> None:
    """And a hang-up under `nohup` does not end anything."""
    (tmp_path / "launching.py").write_text(LAUNCH)
    process = subprocess.Popen(
        [sys.executable, "launching.py"],
        cwd=tmp_path,
        text=True,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    try:
        while not all((tmp_path / f"ready-{rank}").exists() for rank in range(2)):
            assert process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGHUP)
        time.sleep(0.3)
        assert not (tmp_path / "saved").exists()
        stop(process)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == status
    assert (tmp_path / "saved").exists()
    assert [line for line in said.splitlines() if not line.startswith("stopping")] == []


def test_restarted_processes_do_not_look_for_those_before_them(tmp_path: Path) -> None:
    """A late one would be looked for where its predecessor was, in the store that `torchrun` keeps."""
    (tmp_path / "restarting.py").write_text(
        "import os, signal, sys, time\n"
        "from hrm.training.distributed import joined\n"
        "again, rank = os.environ['TORCHELASTIC_RESTART_COUNT'] == '1', os.environ['RANK']\n"
        "time.sleep(2 if again and rank == sys.argv[1] else 0)\n"
        "with joined() as processes:\n"
        "    processes.wait()\n"
        "    again or os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    together = [
        torchrun("--standalone", "--nproc-per-node=2", "--max-restarts=1", "restarting.py", late, cwd=tmp_path)
        for late in "01"
    ]
    for agent in together:
        _, said = agent.communicate(timeout=60)
        assert agent.returncode == 0, said


def test_a_run_goes_on_after_a_process_was_killed(settings: TrainSettings, dataset: Path, tmp_path: Path) -> None:
    """Two machines, the second without a checkpoint on its disk: `torchrun` starts their processes anew."""
    train(settings, dataset, tmp_path / "whole", "tiny")
    endpoint = f"127.0.0.1:{free_port()}"
    machine = ["--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d", f"--rdzv-endpoint={endpoint}", "--rdzv-id=x"]
    machine += ["--local-addr=127.0.0.1", "--max-restarts=3", "training.py"]
    (tmp_path / "training.py").write_text(TRAIN)
    agents = []
    for number in "ab":
        arguments = [settings.model_dump_json(), str(dataset), str(tmp_path / f"run-{number}"), "1"]
        agents.append(torchrun(*machine, *arguments, cwd=tmp_path))
    try:
        for agent in agents:
            _, said = agent.communicate(timeout=120)
            assert agent.returncode == 0, said
    finally:
        for agent in agents:
            agent.kill()
            agent.communicate()
    for rank in range(2):
        begun = [int(step) for step in (tmp_path / f"begun-{rank}.txt").read_text().split()]
        assert begun[:13] == list(range(13))
        assert 10 <= begun[13] <= 12, "both go on from the checkpoint"
        assert begun[-1] == 24
    written = [run for run in (tmp_path / "run-a", tmp_path / "run-b") if (run / "checkpoints").exists()]
    assert len(written) == 1, "the first process writes, and nobody else"
    whole, ours = (
        load_file(run / "checkpoints" / STEP / "model.safetensors") for run in (tmp_path / "whole", *written)
    )
    for name, tensor in whole.items():
        torch.testing.assert_close(ours[name], tensor, rtol=1e-3, atol=1e-4)
    assert json.loads((written[0] / "train.json").read_text())["steps"] == 25


def test_a_mistake_under_torchrun_is_one_line_of_each(tmp_path: Path) -> None:
    """`-m hrm` is what a person types there."""
    agent = torchrun("--standalone", "--nproc-per-node=2", "-m", "hrm", "train", "nothing", cwd=tmp_path)
    _, said = agent.communicate(timeout=60)
    lines = [line for line in said.splitlines() if line.startswith("hrm: error:")]
    assert lines
    assert all("params.yaml" in line for line in lines)
    assert "Traceback" not in said.partition("hrm: error:")[0]
    assert "exitcode  : 2" in said
