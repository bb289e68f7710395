"""The loop over epochs and steps that both phases share: it reports, judges, saves checkpoints and resumes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import keras

from classifier.learning.training.checkpoints import Checkpoint, Curves, Position, read_checkpoint, save_checkpoint
from classifier.learning.training.reporting import EventLog, Reporter
from classifier.learning.training.run_folder import RunFolder

CHECKPOINT_STEPS = 200
"""Steps after which the state is saved. It is also saved after every epoch."""
LOG_STEPS = 10
"""Steps after which TensorBoard gets the loss and the learning rate."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase of a training, with a compiled model.

    Steps are counted from the start of the phase. `batches` returns a `tf.data.Dataset` for a range of them.
    """

    name: str
    model: Any
    epochs: int
    steps_per_epoch: int
    batches: Callable[[range], Any]
    judging: Any
    """A `tf.data.Dataset` of the pictures to judge by."""


@dataclass(frozen=True, slots=True)
class Session:
    """How a training runs, apart from its recipe and its pictures. `saved` is called after each checkpoint."""

    folder: RunFolder
    reporter: Reporter
    devices: Sequence[str] = ()
    """Names of the devices that share each batch. Without any, TensorFlow chooses one."""
    checkpoint_steps: int = CHECKPOINT_STEPS
    saved: Callable[[], None] = lambda: None


class Loop:
    """Runs phases, and continues where the checkpoint of the run is."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._checkpoint = read_checkpoint(session.folder.checkpoint)
        self._log = EventLog(session.folder.tensorboard)

    def is_past(self, phase: str) -> bool:
        """Return whether the checkpoint belongs to another phase than `phase`, which is a later one."""
        return self._checkpoint is not None and self._checkpoint.position.phase != phase

    def run(self, phase: Phase) -> Curves:
        """Train a phase to its end, and return its curves. The model then has the averaged weights, if it averages."""
        checkpoint, self._checkpoint = self._checkpoint, None
        model, steps = phase.model, phase.steps_per_epoch
        total = phase.epochs * steps
        if checkpoint is not None:
            checkpoint.restore(model)
            # Keras makes the variables of the metrics when it first uses them.
            model.evaluate(phase.judging.take(1), verbose=0)
        position = checkpoint.position if checkpoint else Position(phase.name, 0, Curves())
        self._session.reporter.phase(phase.name, total - position.steps_done)
        watch = _Watch(phase, position, checkpoint, self)
        rest_of_epoch = -position.steps_done % steps
        for end in (position.steps_done + rest_of_epoch, total):
            start = watch.position.steps_done
            if start == end:
                continue
            epochs = -(-(end - start) // steps)
            model.fit(
                phase.batches(range(start, end)),
                epochs=epochs,
                steps_per_epoch=(end - start) // epochs,
                shuffle=False,
                callbacks=[watch],
                verbose=0,
            )
            if end < total and (saved := read_checkpoint(self._session.folder.checkpoint)):
                # `fit` ends with the averaged weights, but the next steps go on from the model's own.
                saved.restore(model)
        model.optimizer.finalize_variable_values(model.trainable_variables)
        return watch.position.curves

    def end_step(self, phase: Phase, position: Position, loss: float, note: str) -> None:
        """Report a step, and save the state if it is time."""
        self._session.reporter.step(note)
        done = position.steps_done
        if done % LOG_STEPS == 0:
            self._log.write(phase.name, done, loss=loss, learning_rate=float(phase.model.optimizer.learning_rate))
        if done % self._session.checkpoint_steps == 0 and done % phase.steps_per_epoch:
            self._save(phase, position, unfinished_epoch=True)

    def end_epoch(self, phase: Phase, position: Position, learned: dict[str, float]) -> float:
        """Evaluate the pictures to judge by, save the state, and return the accuracy."""
        with averaged_weights(phase.model):
            judged: dict[str, float] = phase.model.evaluate(phase.judging, return_dict=True, verbose=0)
        position.curves.add(learned, judged)
        figures = {f"epoch_{name}": value for name, value in learned.items()}
        figures |= {f"validation_{name}": value for name, value in judged.items()}
        self._log.write(phase.name, position.steps_done, **figures)
        self._log.flush()
        self._save(phase, position, unfinished_epoch=False)
        return judged["accuracy"]

    def _save(self, phase: Phase, position: Position, *, unfinished_epoch: bool) -> None:
        save_checkpoint(self._session.folder.checkpoint, position, phase.model, unfinished_epoch=unfinished_epoch)
        self._session.saved()


class _Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """Counts the steps of a phase, and tells the loop when a step or an epoch has ended."""

    def __init__(self, phase: Phase, position: Position, checkpoint: Checkpoint | None, loop: Loop) -> None:
        super().__init__()
        self.position = position
        self._phase, self._checkpoint, self._loop = phase, checkpoint, loop
        self._judged = ""

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if self._checkpoint is not None:
            self._checkpoint.restore_metrics(self.model)
            self._checkpoint = None

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.position = replace(self.position, steps_done=self.position.steps_done + 1)
        loss = float((logs or {})["loss"])
        self._loop.end_step(self._phase, self.position, loss, f"loss {loss:.3f}{self._judged}")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        accuracy = self._loop.end_epoch(self._phase, self.position, dict(logs or {}))
        number = self.position.steps_done // self._phase.steps_per_epoch
        self._judged = f", validation {accuracy:.3f} after epoch {number}"


@contextmanager
def averaged_weights(model: Any) -> Iterator[None]:
    """Give a compiled model the averaged weights of its optimizer, if it averages, and its own weights at the end."""
    own = [variable.numpy() for variable in model.trainable_variables]
    model.optimizer.finalize_variable_values(model.trainable_variables)
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, own, strict=True):
            variable.assign(value)
