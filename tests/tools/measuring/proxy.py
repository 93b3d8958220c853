"""One Envoy under measurement: one worker unless told otherwise, one route that answers by itself."""

import http.client
import json
import os
import pathlib
import socket
import subprocess
import time

import project
from console import Failure
from measuring.variants import REQUEST_HEADERS, TYPE

FOLDER = project.TOOLS / "bench"
READY_SECONDS = 60


class Proxy:
    def __init__(self, variant, core, under=(), workers=1, sink=None):
        """Starts it pinned to a core (or several: `0,1`); `under` is what runs it (callgrind), `sink` the port to which it
        exports."""
        self.variant = variant
        self.port = _free_port()
        FOLDER.mkdir(parents=True, exist_ok=True)
        config = FOLDER / f"{variant.label}.json"
        config.write_text(json.dumps(_bootstrap(variant, self.port, workers, sink), indent=1))
        self.log = FOLDER / f"{variant.label}.log"
        command = ["taskset", "-c", str(core), *under, project.envoy(), "-c", config]
        command += ["--concurrency", str(workers), "--disable-hot-restart", "--log-level", "warning"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command], cwd=project.ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def wait(self, seconds=READY_SECONDS):
        """Polls until it answers."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                tail = " | ".join(self.log.read_text(errors="replace").splitlines()[-3:])
                raise Failure(f"Envoy with '{self.variant.name}' ended: {tail}")
            try:
                self.get()
                return
            except OSError:
                time.sleep(0.05)
        raise Failure(f"Envoy with '{self.variant.name}' did not answer within {seconds} s; see {project.relative(self.log)}")

    def get(self):
        """The response headers of one request, which must be a 200 or what the variant answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", "/", headers=REQUEST_HEADERS)
            answer = connection.getresponse()
            answer.read()
        finally:
            connection.close()
        if answer.status not in (200, self.variant.status):
            raise Failure(f"Envoy with '{self.variant.name}' answers {answer.status}; see {project.relative(self.log)}")
        return [(name.lower(), value) for name, value in answer.getheaders()]

    def cpu_ns(self):
        """CPU time that the worker's thread has used so far. The main thread only flushes statistics."""
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            if (task / "comm").read_text().startswith("wrk:worker_0"):
                return int((task / "schedstat").read_text().split()[0])
        raise Failure(f"Envoy with '{self.variant.name}' has no worker")

    def process_cpu_seconds(self):
        """CPU time that all its threads have used so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _cluster(port):
    """The collector `sink`."""
    address = {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}}
    return {
        "name": "sink",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": "sink", "endpoints": [{"lb_endpoints": [address]}]},
    }


def _bootstrap(variant, port, workers, sink):
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "use_remote_address": True,
        "server_header_transformation": "PASS_THROUGH",
        "route_config": {
            "virtual_hosts": [{
                "name": "all",
                "domains": ["*"],
                "routes": [{
                    "match": {"prefix": "/"},
                    "direct_response": {"status": variant.answer[0], "body": {"inline_string": variant.answer[1]}},
                }],
            }],
        },
        "http_filters": [
            *variant.filters,
            {"name": "router", "typed_config": {"@type": TYPE + "router.v3.Router"}},
        ],
        **variant.manager,
    }
    # Else the kernel may give one worker most of the few connections.
    balance = {"connection_balance_config": {"exact_balance": {}}} if workers > 1 else {}
    clusters = {"clusters": [_cluster(sink)]} if variant.exports else {}
    return {
        "static_resources": {
            **clusters,
            "listeners": [{
                **balance,
                "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
                "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
            }],
        },
    }
