"""The shipped proxy, before an upstream and sinks of ours, with its listeners, routes, clusters and filters in files that it watches."""

import http.server
import json
import os
import threading
import urllib.request

import check
import demo
import project
from console import Failure
from watching.programs import free_port

FOLDER = demo.RUN / "watched"
TYPE = "type.googleapis.com/envoy."
SECRETS = {"AUDIT_HASH_KEY": "for-tests-only-" + "0" * 32, "AUDIT_CHAIN_KEY": "for-tests-only-" + "1" * 32}
FILTER = "security-headers"


class Sink:
    """Takes whatever is posted, or says 503 to it while it is `down`."""

    def __init__(self):
        self.down = False
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(503 if sink.down else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def named(items, name):
    for item in items:
        if item["name"] == name:
            return item
    raise Failure(f"envoy/envoy.yaml has nothing called `{name}` among {', '.join(item['name'] for item in items)}")


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def send_to(cluster, port):
    cluster["type"] = "STATIC"
    for key in ("dns_refresh_rate", "dns_lookup_family"):
        cluster.pop(key, None)
    for locality in cluster["load_assignment"]["endpoints"]:
        for endpoint in locality["lb_endpoints"]:
            endpoint["endpoint"]["address"] = address(port)


def replace(file, text):
    """Writes a file that the proxy watches: never half of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.with_suffix(".new").write_text(text)
    file.with_suffix(".new").rename(file)


class Edge:
    """A running proxy with its upstream."""

    # What it is given while it runs, as alerts call it: files of ours, and files that the shipped configuration watches.
    KINDS = ["listeners", "clusters", "routes", "filters"]
    SHIPPED = ["runtime", "secrets"]

    def __init__(self, programs):
        self.ports = {name: free_port() for name in ("edge", "redirect", "metrics", "admin", "upstream")}
        self.version = 0
        self.sink = Sink()
        self.servers = []
        try:
            upstream = demo.Server("upstream", [programs / "demo-upstream", "--port", self.ports["upstream"]])
            self.servers.append(upstream)
            demo.wait_for(f"http://127.0.0.1:{self.ports['upstream']}/", lambda status: True, upstream)
            arguments = ["-c", self.configuration(), "--disable-hot-restart", "--log-level", "warning"]
            arguments += ["--component-log-level", "wasm:info", "--concurrency", "2", "--file-flush-interval-msec", "100"]
            os.environ.update(SECRETS)
            self.envoy = demo.Server("envoy", [project.envoy(), *arguments])
            self.servers.append(self.envoy)
            demo.wait_for(f"http://127.0.0.1:{self.ports['metrics']}/ready", lambda status: status == 200, self.envoy)
        except BaseException:
            self.stop()
            raise

    def stop(self):
        for server in reversed(self.servers):
            server.stop()
        self.sink.stop()

    def configuration(self):
        """The shipped file, with our ports. What Envoy's updates are made of is moved into files."""
        demo.prepare()
        copy = demo.RUN / "envoy.json"
        bootstrap = json.loads(check.render(copy, check.ENVOY / "envoy.yaml").read_text())
        bootstrap["admin"]["address"] = address(self.ports["admin"])
        resources = bootstrap["static_resources"]
        listeners, clusters = resources.pop("listeners"), resources["clusters"]
        for listener in listeners:
            listener["address"] = address(self.ports[listener["name"]])
        for name, port in [("upstream-blue", "upstream"), ("upstream-green", "upstream"), ("admin", "admin")]:
            send_to(named(clusters, name), self.ports[port])
        send_to(named(clusters, "otel-collector"), self.sink.port)

        manager = named(listeners, "edge")["filter_chains"][0]["filters"][0]["typed_config"]
        filters = manager["http_filters"]
        # Two sinks, so that one can miss what the other has.
        audit = named(filters, "audit-log")["typed_config"]["config"]["configuration"]["value"]
        audit["sinks"].append({"webhook": {"cluster": "otel-collector"}})
        # What only those see who use it.
        audit["profiles"] = {"strict": {"fail_closed": {"timeout_ms": 500}}, "trial": {"mode": "shadow", "fail_closed": {}}}
        audit["routes"] = [{"profile": "strict", "paths": [{"prefix": "/strict"}]}, {"profile": "trial", "paths": [{"prefix": "/trial"}]}]
        # All our clients have one address.
        plans = named(filters, "rate-limit")["typed_config"]["config"]["configuration"]["value"]["tiers"]["anonymous"]["limits"]
        for limit in plans:
            limit["count"] *= 1000

        routes = {**manager.pop("route_config"), "name": "routes"}
        manager["rds"] = {"route_config_name": "routes", "config_source": self._source("routes")}
        moved = named(filters, FILTER)
        extension = {"name": FILTER, "typed_config": moved.pop("typed_config")}
        moved["config_discovery"] = {"config_source": self._source("filters"), "type_urls": [extension["typed_config"]["@type"]]}
        green = named(clusters, "upstream-green")
        clusters.remove(green)
        bootstrap["dynamic_resources"] = {"lds_config": self._source("listeners"), "cds_config": self._source("clusters")}
        self.settings = {
            "listeners": ("config.listener.v3.Listener", listeners),
            "clusters": ("config.cluster.v3.Cluster", [green]),
            "routes": ("config.route.v3.RouteConfiguration", [routes]),
            "filters": ("config.core.v3.TypedExtensionConfig", [extension]),
        }
        for kind in self.KINDS:
            self.write(kind)
        copy.write_text(json.dumps(bootstrap, indent=1))
        return copy

    def _source(self, kind):
        return {
            "resource_api_version": "V3",
            # A folder of its own: whatever happens in it, Envoy reads the file anew.
            "path_config_source": {"path": str(FOLDER / kind / "resources.json"), "watched_directory": {"path": str(FOLDER / kind)}},
        }

    def write(self, kind, change=None):
        """Gives the proxy this kind of settings anew, changed by `change`."""
        type_name, resources = self.settings[kind]
        resources = json.loads(json.dumps(resources))
        if change:
            change(resources[0])
        self.version += 1
        resources = [{"@type": TYPE + type_name, **resource} for resource in resources]
        replace(FOLDER / kind / "resources.json", json.dumps({"version_info": str(self.version), "resources": resources}))

    def give_mistakes(self):
        """One mistake in each kind of settings."""
        def unknown_setting(listener):
            manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
            value = named(manager["http_filters"], "problem-json")["typed_config"]["config"]["configuration"]["value"]
            value["no_such_setting"] = True

        def unknown_preset(extension):
            extension["typed_config"]["config"]["configuration"]["value"]["preset"] = "no-such-preset"

        self.write("listeners", unknown_setting)
        self.write("clusters", lambda cluster: cluster.update(lb_policy="MAGLEV", type="LOGICAL_DNS", load_assignment={"cluster_name": cluster["name"]}))
        self.write("routes", lambda routes: routes["virtual_hosts"][0].update(domains=[]))
        self.write("filters", unknown_preset)
        # One that cannot be read, and one that names what is not there.
        replace(demo.RUN / "envoy" / "rollout" / "weights.yaml", "resources: [")
        certificate = demo.RUN / "envoy" / "certificate.yaml"
        replace(certificate, certificate.read_text().replace("tls.crt", "no-such.crt"))

    def log(self):
        """All that it wrote so far, in one file: its own log and the access log."""
        together = demo.RUN / "envoy.all"
        together.write_bytes(self.envoy.log.read_bytes() + (demo.RUN / "envoy.out").read_bytes())
        return together

    def scrape(self):
        """The text of /stats/prometheus."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['metrics']}/stats/prometheus", timeout=10) as answer:
            return answer.read().decode()

