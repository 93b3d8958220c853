"""Progress lines, stages and the one closing line of every `make` command."""

import contextlib
import os
import shlex
import subprocess
import sys
import time
import traceback


class Failure(Exception):
    """What went wrong and what to do about it, in one line."""


class Command:
    """One `make` command: its stages, and the line it ends with."""

    def __init__(self, name):
        self.name = name
        self.started = time.monotonic()
        self.stage_name = None
        self.timings = []

    @contextlib.contextmanager
    def stage(self, name):
        say(f"==> {name}")
        self.stage_name = name
        started = time.monotonic()
        yield
        seconds = time.monotonic() - started
        self.timings.append((name, seconds))
        self.stage_name = None
        say(f"    ok: {name} ({seconds:.1f} s)")

    def seconds(self):
        return time.monotonic() - self.started

    def run(self, body):
        """Runs `body(self)`, which returns what the closing line says, and exits."""
        try:
            said = body(self)
        except Failure as failure:
            self._close(f"failed{self._where()}: {failure}", 1)
        except KeyboardInterrupt:
            self._close(f"interrupted{self._where()}", 130)
        except Exception as error:
            traceback.print_exc()
            self._close(f"failed{self._where()} by a mistake of this script: {error}", 1)
        else:
            self._close(f"ok: {said} ({self.seconds():.0f} s)", 0)

    def _where(self):
        return f" in stage '{self.stage_name}'" if self.stage_name else ""

    def _close(self, text, code):
        sys.stderr.flush()
        say(f"make {self.name}: {text}")
        sys.exit(code)


def say(text):
    print(text, flush=True)


def run(command, hint=None, quiet=False, **options):
    """Runs a command to its end. With `quiet` its output is shown only if it fails."""
    command = [str(part) for part in command]
    options["env"] = {**os.environ, **options.pop("extra_env", {})}
    if quiet:
        options.update(stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    else:
        say(f"    $ {shlex.join(command)}")
    try:
        done = subprocess.run(command, **options)
    except FileNotFoundError:
        raise Failure(f"`{command[0]}` was not found") from None
    if done.returncode:
        if quiet and done.stdout:
            sys.stdout.write(done.stdout.decode(errors="replace"))
        said = f"`{shlex.join(command)}` exited with {done.returncode}"
        raise Failure(f"{said}; {hint}" if hint else said)
    return done


def output(command):
    """The standard output of a command that succeeds, or None."""
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
