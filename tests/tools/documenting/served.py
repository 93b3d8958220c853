"""The proxy that the pages' commands ask: what `make run` starts, on free ports."""

import contextlib
import re
import subprocess

import demo
from console import Failure
from watching.programs import until

# Between the end of its admin interface and its own.
ENDED_SECONDS = 20
RECORD_SECONDS = 30


class Served:
    """Started when it is first asked for. One that a command ends is started for it alone."""

    def __init__(self, programs):
        self.programs = programs
        self.running = contextlib.ExitStack()
        self.ports = None

    def stop(self):
        self.running.close()
        self.ports = None

    def _first_record(self):
        """A request, and its record in the log, where a page looks for records."""
        demo.wait_for(f"https://127.0.0.1:{self.ports['PORT']}/text", lambda status: status == 200, *self.servers)
        until("a record in Envoy's log", RECORD_SECONDS, lambda: "/text" in (demo.RUN / "envoy.log").read_text(errors="replace"), *self.servers)

    @contextlib.contextmanager
    def for_one(self, ends):
        """What puts the ports of a running proxy in the place of those that pages name. `ends`: it has to end by the command."""
        if ends:
            self.stop()
        if self.ports is None:
            self.ports = demo.free_ports()
            self.servers = self.running.enter_context(demo.running(self.ports, self.programs, show=False))
            self._first_record()
        chosen = self.ports
        yield lambda command: _moved(command, chosen)
        if ends:
            try:
                self.servers[-1].process.wait(ENDED_SECONDS)
            except subprocess.TimeoutExpired:
                raise Failure("the proxy goes on, though the command said that it ended") from None
            self.stop()


def _moved(command, chosen):
    for variable, port in demo.PORTS.items():
        command = re.sub(rf"\b{port}\b", str(chosen[variable]), command)
    return command
