"""Prometheus, Alertmanager and their tools, and what they serve while a test runs."""

import http.server
import json
import shutil
import socket
import threading
import time
import urllib.parse
import urllib.request

import demo
from console import Failure

# program → (Debian's name of it, if that differs; Debian's package)
PROGRAMS = {
    "prometheus": ((), "prometheus"),
    "promtool": ((), "prometheus"),
    "alertmanager": (("prometheus-alertmanager",), "prometheus-alertmanager"),
    "amtool": ((), "prometheus-alertmanager"),
}


def program(name):
    """Where a program is, or the advice how to get it."""
    others, package = PROGRAMS[name]
    for candidate in (name, *others):
        if found := shutil.which(candidate):
            return found
    raise Failure(f"`{name}` was not found; run `apt-get install {package}` (a service that Debian starts with it is not needed)")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Prometheus:
    """A running Prometheus."""

    def __init__(self, configuration, port):
        self.port = port
        data = demo.RUN / "prometheus-data"
        shutil.rmtree(data, ignore_errors=True)
        command = [program("prometheus"), f"--config.file={configuration}", f"--storage.tsdb.path={data}"]
        command += [f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"]
        self.server = demo.Server("prometheus", command)
        try:
            demo.wait_for(f"http://127.0.0.1:{self.port}/-/ready", lambda status: status == 200, self.server)
        except BaseException:
            self.server.stop()
            raise

    def get(self, path, **parameters):
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}?{query}", timeout=30) as answer:
            return json.load(answer)["data"]

    def query(self, expression):
        """The samples of an expression now: [(labels, value)]."""
        result = self.get("query", query=expression)
        if result["resultType"] != "vector":
            return [({}, float(result["result"][1]))]
        return [(sample["metric"], float(sample["value"][1])) for sample in result["result"]]

    def rules(self):
        """All rules, as Prometheus read them."""
        return [rule for group in self.get("rules")["groups"] for rule in group["rules"]]

    def stop(self):
        self.server.stop()


class Alertmanager:
    """A running Alertmanager."""

    def __init__(self, configuration, port):
        self.port = port
        data = demo.RUN / "alertmanager-data"
        shutil.rmtree(data, ignore_errors=True)
        command = [program("alertmanager"), f"--config.file={configuration}", f"--storage.path={data}"]
        # No cluster: this one is alone.
        command += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=warn"]
        self.server = demo.Server("alertmanager", command)
        try:
            demo.wait_for(f"http://127.0.0.1:{port}/-/ready", lambda status: status == 200, self.server)
        except BaseException:
            self.server.stop()
            raise

    def stop(self):
        self.server.stop()


class Receiver:
    """A webhook that remembers what Alertmanager tells it: (receiver, status, labels, annotations) of each alert."""

    def __init__(self):
        self.heard = []
        heard = self.heard

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for alert in told["alerts"]:
                    heard.append((told["receiver"], alert["status"], alert["labels"], alert["annotations"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def alerts(self, name, status):
        return [alert for alert in list(self.heard) if alert[2]["alertname"] == name and alert[1] == status]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def until(what, seconds, look, *servers):
    """Polls until `look` gives something true, and gives that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for server in servers:
            server.must_live()
        if found := look():
            return found
        time.sleep(0.1)
    raise Failure(f"{what} did not come within {seconds} s")
