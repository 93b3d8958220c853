"""`make run`: a demo upstream and Envoy with envoy/envoy.yaml, until Ctrl-C."""

import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request

import build
import check
import project
import setup
from console import Command, Failure, output, say

# The variables, and the ports that stand in envoy/envoy.yaml and envoy/overlays/dev.yaml.
PORTS = {"PORT": 10443, "PLAIN_PORT": 10000, "METRICS_PORT": 9902, "ADMIN_PORT": 9901, "BLUE_PORT": 10001, "GREEN_PORT": 10002}
READY_SECONDS = 60
# Envoy's working directory: a copy of what it reads, so that nothing of the repository is changed.
RUN = project.TOOLS / "run"
# For addresses of ours only, whose certificate nobody else made.
TRUSTING = ssl._create_unverified_context()


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


def moved(chosen):
    """The overlay that puts the chosen ports in the place of those of the files."""
    at = lambda port: {"address": {"socket_address": {"port_value": port}}}
    endpoint = lambda port: {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}}
    cluster = lambda name, port: {"name": name, "load_assignment": {"endpoints": [{"lb_endpoints": [endpoint(port)]}]}}
    routes = {"virtual_hosts": [{"name": "all", "routes": [{"name": "to-tls", "redirect": {"port_redirect": chosen["PORT"]}}]}]}
    manager = {"name": "envoy.filters.network.http_connection_manager", "typed_config": {"route_config": routes}}
    to_tls = {"filter_chains": [{"name": "plain", "filters": [manager]}]}
    return {
        "admin": at(chosen["ADMIN_PORT"]),
        "static_resources": {
            "listeners": [
                {"name": "edge", **at(chosen["PORT"])},
                {"name": "redirect", **at(chosen["PLAIN_PORT"]), **to_tls},
                {"name": "metrics", **at(chosen["METRICS_PORT"])},
            ],
            "clusters": [
                cluster("upstream-blue", chosen["BLUE_PORT"]),
                cluster("upstream-green", chosen["GREEN_PORT"]),
                cluster("admin", chosen["ADMIN_PORT"]),
            ],
        },
    }


def prepare():
    """Puts what envoy/envoy.yaml names into Envoy's working directory."""
    folder = project.ROOT / "envoy"
    for file in ("certificate.yaml", "rollout/weights.yaml"):
        copy = RUN / "envoy" / file
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / file, copy)
    modules = RUN / "dist"
    modules.unlink(missing_ok=True)
    modules.symlink_to(project.DIST)
    _certificate(RUN / "certs")


def configuration(chosen, overlay=None):
    """envoy/envoy.yaml with overlays/dev.yaml, the chosen ports and perhaps one more overlay laid over it, in a folder with
    all that it names."""
    prepare()
    folder = project.ROOT / "envoy"
    overlays = [folder / "overlays" / "dev.yaml"]
    for name, more in {"ports": moved(chosen), "more": overlay}.items():
        if more:
            overlays.append(RUN / f"{name}.json")
            overlays[-1].write_text(json.dumps(more))
    return check.render(RUN / "envoy.json", folder / "envoy.yaml", *overlays)


def _certificate(folder):
    """A certificate for this machine alone, good for a day."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
    command += ["-keyout", folder / "tls.key", "-out", folder / "tls.crt"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    if output(command) is None:
        raise Failure("openssl made no certificate; is it installed? `apt-get install openssl`")


class Server:
    """A program of ours that is running, with its log."""

    def __init__(self, name, command, show=False, cwd=RUN):
        self.name = name
        RUN.mkdir(parents=True, exist_ok=True)
        self.log = RUN / f"{name}.log"
        # Apart from the log: Envoy opens /dev/stdout anew, which writes over a file's beginning.
        with self.log.open("wb") as log, (RUN / f"{name}.out").open("wb") as out:
            # In a session of its own: a Ctrl-C at the terminal comes to us alone, and we stop it in order.
            self.process = subprocess.Popen(
                [str(part) for part in command],
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if show else out,
                stderr=log,
                start_new_session=True,
            )
        if show:
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
            with urllib.request.urlopen(url, timeout=2, context=TRUSTING) as answer:
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
    here = f"https://localhost:{chosen['PORT']}"
    curl = f"curl -i --cacert {project.relative(RUN / 'certs' / 'tls.crt')}"
    say(f"""
Portcullis serves {here}; Envoy's admin page is http://localhost:{chosen['ADMIN_PORT']}.
Requests worth trying:

  1. An API answer: protective headers, a request id and what is left of the client's limits; the headers that name the
     upstream's software are gone:
       {curl} {here}/leaky

  2. A page under the profile `web`, which its route's metadata chose: another policy, and hardened cookies:
       {curl} {here}/web/cookies

  3. A cross-site form post, refused before it reaches the upstream (403, application/problem+json):
       {curl} --http1.1 -d amount=1 -H 'Sec-Fetch-Site: cross-site' -H 'Origin: https://evil.example' {here}/web/transfer

  4. A client of the plan `free`, which has ten requests a minute: the eleventh is refused (429):
       for n in 1 2 3 4 5 6 7 8 9 10 11; do {curl} -s -H 'x-api-key: demo-free' {here}/json | head -1; done

  5. The sealed records of all that:
       {records()} | dist/bin/portcullis audit show -

Below is the access log. Ctrl-C stops everything.
""")


def records():
    """The command that takes the audit records out of Envoy's log."""
    return f"sed -n 's/^.*wasm log audit-log[^{{]*: //p' {project.relative(RUN / 'envoy.log')}"


@contextlib.contextmanager
def running(chosen, folder, show, overlay=None):
    """Upstreams and Envoy, from serving until the block ends. `show`: with Envoy's access log on our output. `overlay`: see
    `configuration`."""
    servers = []
    try:
        for colour in ("blue", "green"):
            port = chosen[f"{colour.upper()}_PORT"]
            servers.append(Server(f"upstream-{colour}", [folder / "demo-upstream", "--port", port]))
            wait_for(f"http://127.0.0.1:{port}/", lambda status: True, *servers)
        # No hot restart, so that several can run. `info` shows the plugins' lines: what they loaded, and audit records.
        arguments = ["-c", configuration(chosen, overlay), "--disable-hot-restart", "--log-level", "warning"]
        arguments += ["--component-log-level", "wasm:info", "--concurrency", os.environ.get("CONCURRENCY") or "2"]
        arguments += ["--file-flush-interval-msec", "100"]
        envoy = Server("envoy", [project.envoy(), *arguments], show)
        servers.append(envoy)
        wait_for(f"http://127.0.0.1:{chosen['ADMIN_PORT']}/ready", lambda status: status == 200, envoy)
        wait_for(f"https://127.0.0.1:{chosen['PORT']}/readyz", lambda status: status == 200, envoy)
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
    """What `make run` starts serves, and the requests of the invitation show what it says they show."""
    chosen = free_ports()
    with running(chosen, folder, show=False):
        here = f"https://127.0.0.1:{chosen['PORT']}"
        for target, options, status, present, absent in SHOWN:
            answer = _answer(urllib.request.Request(here + target, **options))
            names = {name.lower() for name in answer.headers}
            if answer.status != status or not present <= names or absent & names:
                raise Failure(f"{target}: wanted {status} with {sorted(present)} without {sorted(absent)}, got {answer.status} with {sorted(names)}")
            say(f"    {target}: {status}, as promised")
        _records_are_shown()


def _records_are_shown():
    """The requests left records, with what became of them."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        shown = subprocess.run(f"{records()} | {check.PORTCULLIS} audit show -", shell=True, capture_output=True, text=True, cwd=project.ROOT).stdout
        if all(word in shown for word in ("/leaky", "csrf.refused", "rate_limit.denied")):
            break
        if time.monotonic() > deadline:
            raise Failure(f"the audit records in Envoy's log lack a request:\n{shown}")
        time.sleep(0.05)
    say("    audit show: records of them, as promised")


def _answer(request):
    try:
        return urllib.request.urlopen(request, timeout=10, context=TRUSTING)
    except urllib.error.HTTPError as error:
        return error


# What the requests of the invitation show: (target, options, status, headers there, headers gone).
FORGED = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
FREE = {"headers": {"x-api-key": "demo-free"}}
SHOWN = [
    ("/leaky", {}, 200, {"content-security-policy", "strict-transport-security", "x-request-id", "ratelimit"}, {"server", "x-powered-by"}),
    ("/web/cookies", {}, 200, {"content-security-policy", "set-cookie"}, {"server"}),
    ("/web/transfer", {"data": b"amount=1", "headers": FORGED}, 403, {"content-security-policy", "x-request-id"}, set()),
    *[("/json", FREE, 200, {"ratelimit"}, set())] * 10,
    ("/json", FREE, 429, {"retry-after", "x-request-id"}, set()),
]


@contextlib.contextmanager
def example(name, folder):
    """The same for a file of envoy/examples, with its own ports and the upstream that all of them name."""
    file = project.ROOT / "envoy" / "examples" / f"{name}.yaml"
    if not file.exists():
        known = ", ".join(sorted(path.stem for path in file.parent.glob("*.yaml")))
        raise Failure(f"EXAMPLE={name}: there is no such example; there are {known}")
    servers = []
    try:
        servers.append(Server("upstream", [folder / "demo-upstream", "--port", PORTS["BLUE_PORT"]]))
        wait_for(f"http://127.0.0.1:{PORTS['BLUE_PORT']}/", lambda status: True, *servers)
        arguments = ["-c", file, "--disable-hot-restart", "--log-level", "warning", "--component-log-level", "wasm:info"]
        servers.append(Server("envoy", [project.envoy(), *arguments], show=True, cwd=project.ROOT))
        wait_for(f"http://127.0.0.1:{PORTS['ADMIN_PORT']}/ready", lambda status: status == 200, *servers)
        about = itertools.takewhile(lambda line: line.startswith("#"), file.read_text().splitlines())
        say("\n" + "\n".join(line[2:] for line in about))
        say(f"It serves http://localhost:{PORTS['PLAIN_PORT']}. Ctrl-C stops everything.\n")
        yield servers
    finally:
        for server in reversed(servers):
            server.stop()


def main(command):
    name = os.environ.get("EXAMPLE")
    chosen = None if name else ports()
    with command.stage("set-up"):
        setup.for_envoy()
    folder = build.programs(command)
    build.modules(command)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    say("==> start")
    with example(name, folder) if name else running(chosen, folder, show=True) as servers:
        if not name:
            invitation(chosen)
        while not stopping.wait(0.2):
            # By `make drain`, or by its admin page.
            if servers[-1].process.poll() == 0:
                return "Envoy was told to stop"
            for server in servers:
                server.must_live()
    return "stopped"


if __name__ == "__main__":
    Command("run").run(main)
