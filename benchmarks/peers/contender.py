"""A pipeline in a process of its own, which is stopped while others are measured."""

import json
import os
import signal
import subprocess
import tempfile
import threading

from peers.protocol import MARK

START_SECONDS = 300
RUN_SECONDS = 180


class Contender:
    """Starts a pipeline's script with its own Python and lets it run in turns.

    Between its turns the whole process group is stopped (SIGSTOP), so that workers and
    prefetching of one pipeline take nothing from another. POSIX only.

    Args:
        name: What the table calls it.
        python: Path of its interpreter.
        script: Path of its script, which calls `protocol.serve`.
        task: Dictionary the script gets as JSON: `size`, `batch_size`, `source`
            ("arrays" or "files"), `path`, `source_size`, `workers`, the parameters of
            the policy, and under `run` the arguments of `protocol.measure`.
        gpu: Whether it may see GPUs.
    """

    def __init__(self, name, python, script, task, gpu=False):
        self.name = name
        self._errors = tempfile.TemporaryFile("w+", errors="replace")
        environment = {
            **os.environ,
            **({} if gpu else {"CUDA_VISIBLE_DEVICES": "-1"}),
            "KERAS_BACKEND": "tensorflow",
            "TF_CPP_MIN_LOG_LEVEL": "2",
        }
        self._process = subprocess.Popen(
            [str(python), str(script), json.dumps(task)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment,
            start_new_session=True,
        )

    def wait_until_ready(self):
        """Return what its first batch is made of; then it stands still.

        Raises:
            RuntimeError: If the process ends or stays silent.
        """
        reply = self._reply(START_SECONDS)
        self._signal(signal.SIGSTOP)
        return reply

    def run(self):
        """Return the result of one timed run.

        Raises:
            RuntimeError: If the process ends or stays silent.
        """
        self._signal(signal.SIGCONT)
        try:
            self._process.stdin.write("run\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise RuntimeError(self._reason()) from error
        reply = self._reply(RUN_SECONDS)
        self._signal(signal.SIGSTOP)
        return reply

    def close(self):
        """End the process and its workers."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            try:
                stream.close()
            except BrokenPipeError:
                pass

    def _reply(self, seconds):
        timer = threading.Timer(seconds, self._signal, [signal.SIGKILL])
        timer.start()
        try:
            for line in self._process.stdout:
                if line.startswith(MARK):
                    return json.loads(line[len(MARK) :])
        finally:
            timer.cancel()
        raise RuntimeError(self._reason(f" within {seconds} s"))

    def _reason(self, when=""):
        self._errors.seek(0)
        lines = [line for line in self._errors.read().splitlines() if line.strip()]
        return f"no answer{when}; its last line: {lines[-1] if lines else 'none'}"

    def _signal(self, number):
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            pass
