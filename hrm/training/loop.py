"""The training loop: from the state where a run is to its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import torch

from hrm.artifacts import write_json
from hrm.config import TrainSettings
from hrm.data.batch import Batch
from hrm.data.copies import symmetric_copies
from hrm.data.dataset import Dataset, open_dataset
from hrm.data.loader import Position, TrainBatches, prefetched
from hrm.errors import UserError
from hrm.progress import note, progress, warn
from hrm.training import checkpoint, interrupts
from hrm.training.card import ModelCard, card_of, newest_first
from hrm.training.distributed import Processes, joined
from hrm.training.interrupts import Interrupts
from hrm.training.records import Records
from hrm.training.saver import Saver
from hrm.training.schedule import total_steps
from hrm.training.state import TrainState, fresh_state
from hrm.training.step import Step
from hrm.training.validation import validate
from hrm.training.window import NotFiniteError
from hrm.training.workspace import Workspace

MOST_SKIPPED = 10
"""Batches that a run may leave out before it is given up."""


def run_training(settings: TrainSettings, dataset: Path, run: Path, name: str) -> None:
    """Train from the newest checkpoint of the run, or from the start, to the end.

    Every process of the run calls this. A finished run is left as it is; one of other settings or data is set aside.

    Args:
        settings: the experiment's `train` block.
        dataset: the dataset folder.
        run: the run's folder.
        name: of the experiment.

    Raises:
        UserError: when the dataset, a checkpoint or the mirror cannot be used, another training is at work in the
            folder, or a loss is no longer finite.
        OSError: when the disk does not take the last checkpoint.
        KeyboardInterrupt: after SIGINT, when the checkpoint is written.
        SystemExit: with status 143 after SIGTERM, likewise.
    """
    torch.compiler.reset()  # what was compiled for another run counts against a limit
    with Interrupts() as signals, joined() as processes, ExitStack() as held:
        data = open_dataset(dataset)
        place, card = Workspace(run), card_of(settings, data)
        if processes.first:
            held.enter_context(place.held())
            if aside := place.set_aside_others(card):
                note(f"{run}: a run of other settings or data was here; moved to {aside}")
        if processes.share(processes.first and place.is_finished(card)):
            note(f"{place.checkpoints}: this training is finished; remove the folder to train again")
            if processes.first:
                place.clear()
            return
        saver = None
        if processes.first:
            saver = held.enter_context(Saver(place.training, settings.checkpoints, f"{name}/{card.run_digest}"))
        state = resumed(settings, data, saver, processes)
        records = held.enter_context(Records(settings, data, place, name, step=state.step, processes=processes))
        Training(settings, data, place, card, name, state, records, saver, signals, processes).run()


def resumed(settings: TrainSettings, data: Dataset, saver: Saver | None, processes: Processes) -> TrainState:
    """The state of the newest checkpoint, or the fresh one where there is none."""
    state = fresh_state(settings, data, processes)
    if checkpoint.resume(saver.newest() if saver is not None else None, state, processes):
        note(f"going on from step {state.step:,}")
    return state


class Training:
    """A run in one of its processes."""

    def __init__(
        self,
        settings: TrainSettings,
        data: Dataset,
        place: Workspace,
        card: ModelCard,
        name: str,
        state: TrainState,
        records: Records,
        saver: Saver | None,
        signals: Interrupts,
        processes: Processes,
    ) -> None:
        self.settings, self.data, self.place, self.card, self.name = settings, data, place, card, name
        self.state, self.records, self.saver = state, records, saver
        self.signals, self.processes = signals, processes
        rows = processes.rows(settings.batch_size)
        self.batches = TrainBatches(data, batch_size=settings.batch_size, seed=settings.seed, rows=rows)
        self.tests = symmetric_copies(data, copies=1, max_puzzles=settings.eval_puzzles, seed=settings.seed)
        self.steps = steps_of(settings.epochs, settings, data)
        self.interval = steps_of(settings.eval_every, settings, data)
        self.take_step = Step(settings, self.steps, processes)
        self.saved_step = state.step
        self.begins: dict[int, Position] = {}
        """Where the batches of the steps since the last logged point begin."""

    def run(self) -> None:
        """Train to the end, and leave the records of a finished run."""
        while not self.is_done():
            try:
                self.train()
            except NotFiniteError as error:
                self.leave_out(error.step)
            except Exception:
                self.rescue()
                raise
        if self.saver is not None:
            self.saver.wait()
        self.signals.at_once = True
        if self.signals.received:  # too late to be heeded in the loop
            interrupts.end(self.signals.received)
        if self.saver is not None:
            best = self.records.best_step if self.settings.result == "best" else None
            result = self.saver.finish(best or self.state.step)
            self.place.publish(result, self.settings.checkpoints.leave)
        self.records.finish(self.state)
        if self.saver is not None:
            self.place.clear()

    # -- the loop ------------------------------------------------------------------------------------------------------

    def train(self) -> None:
        """Step by step, to the end of the run or to the validation at which its patience ends.

        Raises:
            NotFiniteError: when a loss or gradient was not.
        """
        state, records = self.state, self.records
        if self.is_milestone() and not self.processes.share(records.is_validated(state.step)):
            self.validate()  # the run was stopped between this checkpoint and its validation
        for batch, position in self.coming_batches():
            self.begins[state.step + 1] = state.position
            self.take_step(state, batch, position)
            if self.is_milestone() or state.step % self.settings.log_every == 0:
                records.add(state.step, state.window.close() | {"train/parameter_norm": state.parameter_norm})
                records.add_speed(state.step)
                self.begins.clear()
            signum, is_save_due = self.agreed()
            self.signals.at_once = False
            if self.is_milestone() or is_save_due or signum:
                self.save()
            if signum:
                self.stop(signum)
            if self.is_milestone():
                self.validate()
                if self.is_done():
                    return

    def coming_batches(self) -> Iterator[tuple[Batch, Position]]:
        """The batches to the end of the run, each with the position after it, and a progress bar."""
        done = self.state.step
        coming = prefetched(self.batches, self.state.position, self.steps - done, self.state.skipped)
        return progress(coming, total=self.steps, initial=done, desc=f"train {self.name}", unit="step")

    # -- what happens between steps ------------------------------------------------------------------------------------

    def is_milestone(self) -> bool:
        """Whether a validation follows the present step."""
        step = self.state.step
        return step > 0 and (step % self.interval == 0 or step == self.steps)

    def is_done(self) -> bool:
        """Whether the run is at its end; the same in every process."""
        at_end = self.state.step >= self.steps and self.records.is_validated(self.state.step)
        return self.processes.share(at_end or self.records.is_exhausted)

    def agreed(self) -> tuple[int, bool]:
        """The signal that any process has received, 0 for none, and whether a checkpoint is due.

        The same in every process: the hosts tell each other, and no device waits.
        """
        due = self.saver is not None and self.saver.is_due(self.state.step - self.saved_step)
        signum, is_due = self.processes.highest([self.signals.received, due])
        return signum, bool(is_due)

    def save(self) -> None:
        """Hand a copy of the state to the saver.

        Raises:
            NotFiniteError: when a loss or gradient since the last logged point was not.
        """
        if self.state.step == self.saved_step:
            return
        if self.saver is not None:
            self.saver.settle()  # else two copies of the state are in memory
        taken = checkpoint.snapshot(self.state, self.card, self.processes)
        if self.saver is not None and taken is not None:
            self.saver.save(taken, self.records.curves(), best=self.records.best_step)
        self.saved_step = self.state.step

    def stop(self, signum: int) -> NoReturn:
        """End as a signal asks, when the checkpoint is on the disk.

        Raises:
            KeyboardInterrupt: for SIGINT.
            SystemExit: for the others.
        """
        if self.saver is not None:
            self.saver.wait()
        note(f"{self.place.training}: stopped at step {self.state.step:,}; `hrm train {self.name}` goes on from there")
        interrupts.end(signum)

    def stop_if_asked(self) -> None:
        """End when any process has received a signal; the checkpoint of this step is written already."""
        signum, _ = self.agreed()
        if signum:
            self.stop(signum)

    def validate(self) -> None:
        """Score the test puzzles with the weights that predict."""
        step, settings = self.state.step, self.settings
        with self.state.predicting() as model:
            scores = validate(
                model,
                self.tests,
                batch_size=settings.batch_size,
                processes=self.processes,
                between=self.stop_if_asked,
            )
        self.records.add(step, scores)
        if self.saver is not None:
            self.saver.save_curves(self.records.curves())
        self.records.time_from(step)
        note(f"step {step:,} of {self.steps:,}: test puzzles {scores['eval/exact_accuracy']:.1%} exact")

    # -- what goes wrong -----------------------------------------------------------------------------------------------

    def leave_out(self, step: int) -> None:
        """Go back to the last checkpoint, and leave out the batch of a step that was not finite from then on.

        Raises:
            UserError: where the settings do not ask for it, or it has happened too often.
        """
        begin = self.batches.skip(self.begins[step], self.state.skipped)
        skipped = [*self.state.skipped, begin]
        report = self.place.run / "not_finite.json"
        if self.saver is not None:
            draw, _ = self.batches.draw(begin)
            rows = {"examples": draw.examples_B.tolist(), "variants": draw.variants_B.tolist()}
            write_json(report, {"step": step, **begin._asdict(), **rows})
            self.saver.settle()
        last = next(iter(newest_first(self.place.training)), None)
        told = f"{self.place.run}: loss or gradient not finite at step {step}; {report} names the rows of its batch"
        if self.settings.not_finite == "stop" or len(skipped) > MOST_SKIPPED:
            raise UserError(
                f"{told}; lower train.optimizer.lr, or set train.not_finite to skip; "
                + (f"the last good checkpoint is {last}" if last else "there is no checkpoint before it")
            )
        if self.processes.first:
            warn(f"{told}; going back to {last or 'the start'}, and on without it")
        self.state = resumed(self.settings, self.data, self.saver, self.processes)
        self.state.skipped = skipped
        self.saved_step = self.state.step
        self.records.forget_after(self.state.step)
        self.begins.clear()

    def rescue(self) -> None:
        """Keep what was learned when an error ends the training; several processes could only save together."""
        if self.processes.count == 1 and self.state.whole:
            try:
                self.save()
            except Exception as error:  # the first one is what matters, and is still to be told
                warn(f"no checkpoint of the step before the error could be made ({type(error).__name__})")


def steps_of(epochs: int, settings: TrainSettings, dataset: Dataset) -> int:
    """Optimizer steps that a number of epochs takes, at least one."""
    steps = total_steps(
        epochs=epochs,
        groups=len(dataset.train_groups),
        mean_examples=dataset.mean_puzzle_examples,
        global_batch=settings.batch_size,
    )
    return max(1, steps)
