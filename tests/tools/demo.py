"""`make run`: a demo upstream and Envoy with envoy/envoy.yaml, until Ctrl-C."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

import build
import project
import setup
from console import Command, Failure, say

# The variables, and the ports that stand in envoy/envoy.yaml.
PORTS = {"PORT": 10000, "ADMIN_PORT": 9901, "UPSTREAM_PORT": 10001}
READY_SECONDS = 60
RUN = project.TOOLS / "run"


def ports():
    """The port of each variable, all different and all free."""
    chosen = {}
    for variable, default in PORTS.items():
        text = os.environ.get(variable) or str(default)
        if not text.isdigit() or not 1 <= int(text) <= 65535:
            raise Failure(f"{variable}={text} is no port; give a number from 1 to 65535")
        port = int(text)
        for other, taken in chosen.items():
            if port == taken:
                raise Failure(f"{variable} and {other} are both {port}; give each its own port")
        _must_be_free(variable, port)
        chosen[variable] = port
    return chosen


def _must_be_free(variable, port):
    # As Envoy binds it: on all addresses, but for those left behind by closed connections.
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError as error:
            raise Failure(f"{variable}: port {port} cannot be taken ({error.strerror}); choose another: make run {variable}={port + 100 if port < 65000 else port - 100}") from None


def configuration(chosen, change=None):
    """A copy of envoy/envoy.yaml with the ports chosen: each line that ends in `# PORT` (or another variable). `change` gets
    the text and gives what to use instead."""
    text = (project.ROOT / "envoy" / "envoy.yaml").read_text()
    if change:
        text = change(text)
    for variable, port in chosen.items():
        text, found = re.subn(rf"port_value: \d+([^\n#]*# {variable}\b)", rf"port_value: {port}\1", text)
        if not found:
            raise Failure(f"envoy/envoy.yaml has no line `port_value: …  # {variable}`")
    copy = RUN / "envoy.yaml"
    copy.write_text(text)
    return copy


class Server:
    """A program of ours that is running, with its log."""

    def __init__(self, name, command, show=False):
        self.name = name
        RUN.mkdir(parents=True, exist_ok=True)
        self.log = RUN / f"{name}.log"
        with self.log.open("wb") as log:
            # In a session of its own: a Ctrl-C at the terminal comes to us alone, and we stop it in order.
            self.process = subprocess.Popen(
                [str(part) for part in command],
                cwd=project.ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if show else log,
                stderr=log,
                start_new_session=True,
            )
        if show:
            # Through a pipe: Envoy opens /dev/stdout anew, which would write over a file's beginning.
            threading.Thread(target=self._show, daemon=True).start()

    def _show(self):
        for line in self.process.stdout:
            say(line.decode(errors="replace").rstrip())

    def must_live(self):
        code = self.process.poll()
        if code is None:
            return
        for line in self.log.read_text(errors="replace").splitlines()[-15:]:
            say(f"    {self.name}: {line}")
        raise Failure(f"{self.name} ended with {code}; its log is {project.relative(self.log)}")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def wait_for(url, accept, *servers):
    """Polls until `url` gives a status that `accept` takes."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        for server in servers:
            server.must_live()
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                status = answer.status
        except urllib.error.HTTPError as error:
            status = error.code
        except OSError:
            status = None
        if status and accept(status):
            return
        time.sleep(0.05)
    raise Failure(f"{url} did not answer within {READY_SECONDS} s")


def invitation(chosen):
    here = f"http://localhost:{chosen['PORT']}"
    say(f"""
Portcullis serves {here}; Envoy's admin page is http://localhost:{chosen['ADMIN_PORT']}.
Three requests worth trying:

  1. An API answer: protective headers, a request id and a trace; the headers that name the upstream's software are gone:
       curl -i {here}/leaky

  2. A page under the profile `web`, which its route's metadata chose: another policy, and hardened cookies:
       curl -i {here}/web/cookies

  3. A cross-site form post, refused before it reaches the upstream (403, application/problem+json):
       curl -i -d amount=1 -H 'Sec-Fetch-Site: cross-site' -H 'Origin: https://evil.example' {here}/web/transfer

Below is the access log. Ctrl-C stops everything.
""")


@contextlib.contextmanager
def running(chosen, folder, show, change=None):
    """Upstream and Envoy, from serving until the block ends. `show`: with Envoy's access log on our output. `change`: see
    `configuration`."""
    servers = []
    try:
        upstream = Server("upstream", [folder / "demo-upstream", "--port", chosen["UPSTREAM_PORT"]])
        servers.append(upstream)
        wait_for(f"http://127.0.0.1:{chosen['UPSTREAM_PORT']}/", lambda status: True, upstream)
        # No hot restart, so that several can run. `info` shows the plugins' lines, which name what they loaded.
        arguments = ["-c", configuration(chosen, change), "--disable-hot-restart", "--log-level", "warning"]
        arguments += ["--component-log-level", "wasm:info", "--concurrency", os.environ.get("CONCURRENCY") or "2"]
        arguments += ["--file-flush-interval-msec", "100"]
        envoy = Server("envoy", [project.envoy(), *arguments], show)
        servers.append(envoy)
        wait_for(f"http://127.0.0.1:{chosen['ADMIN_PORT']}/ready", lambda status: status == 200, envoy)
        wait_for(f"http://127.0.0.1:{chosen['PORT']}/", lambda status: status != 503, envoy)
        yield servers
    finally:
        for server in reversed(servers):
            server.stop()


def free_ports():
    """A free port for each variable."""
    with contextlib.ExitStack() as stack:
        free = {variable: stack.enter_context(socket.socket()) for variable in PORTS}
        for probe in free.values():
            probe.bind(("127.0.0.1", 0))
        return {variable: probe.getsockname()[1] for variable, probe in free.items()}


def smoke(folder):
    """What `make run` starts serves, and the three requests show what it says they show."""
    chosen = free_ports()
    with running(chosen, folder, show=False):
        here = f"http://127.0.0.1:{chosen['PORT']}"
        for target, options, status, present, absent in SHOWN:
            answer = _answer(urllib.request.Request(here + target, **options))
            names = {name.lower() for name in answer.headers}
            if answer.status != status or not present <= names or absent & names:
                raise Failure(f"{target}: wanted {status} with {sorted(present)} without {sorted(absent)}, got {answer.status} with {sorted(names)}")
            say(f"    {target}: {status}, as promised")


def _answer(request):
    try:
        return urllib.request.urlopen(request, timeout=10)
    except urllib.error.HTTPError as error:
        return error


# What the three requests of the invitation show: (target, options, status, headers there, headers gone).
FORGED = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
SHOWN = [
    ("/leaky", {}, 200, {"content-security-policy", "x-content-type-options", "x-request-id"}, {"server", "x-powered-by"}),
    ("/web/cookies", {}, 200, {"content-security-policy", "set-cookie"}, {"server"}),
    ("/web/transfer", {"data": b"amount=1", "headers": FORGED}, 403, {"content-security-policy", "x-request-id"}, set()),
]


def main(command):
    chosen = ports()
    with command.stage("set-up"):
        setup.for_envoy()
    folder = build.programs(command)
    build.modules(command)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    say("==> start")
    with running(chosen, folder, show=True) as servers:
        invitation(chosen)
        while not stopping.wait(0.2):
            for server in servers:
                server.must_live()
    return "stopped"


if __name__ == "__main__":
    Command("run").run(main)
