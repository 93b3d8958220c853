"""A real Envoy that loads modules out of a registry, and serves with them."""

import contextlib
import json
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import project
from console import Failure, say

TYPE = "type.googleapis.com/envoy.extensions."
READY_SECONDS = 120
LIMITS = {
    "identity": [{"client_address": {}}],
    "plans": "none",
    "tier": {"default": "all"},
    "tiers": {"all": {"limits": [{"name": "hour", "count": 1000, "window": "1h"}]}},
}
SETTINGS = {
    "request-tracing": {"trust": "edge"},
    "security-headers": {"preset": "api"},
    "audit-log": {},
    "problem-json": {"formats": ["json"]},
    "rate-limit": LIMITS,
}
TOGETHER = {name.replace("-", "_"): settings for name, settings in SETTINGS.items()}
# What the filters leave on an answer; an error is a problem document.
HEADERS = {"x-request-id", "content-security-policy", "ratelimit"}


def serves(codes, registry):
    """Envoy serves with these modules, each once by itself and once with all in one: `codes` has the code of each by form and name."""
    folder = Path(tempfile.mkdtemp(prefix="loading-"))
    try:
        with _running(folder, codes, registry) as ports:
            for listener, port in ports.items():
                _asks(listener, port)
    finally:
        shutil.rmtree(folder)


def _asks(listener, port):
    names, kind = {}, {}
    for path in ("/", "/missing"):
        try:
            answer = urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        names[answer.status] = {name.lower() for name in answer.headers}
        kind[answer.status] = answer.headers.get("content-type")
    if not HEADERS <= names.get(200, set()) or kind.get(404) != "application/problem+json":
        raise Failure(f"{listener}: with the modules of the registry Envoy answers with {names} and {kind}")
    say(f"    Envoy serves with {listener}")


@contextlib.contextmanager
def _running(folder, codes, registry):
    listeners = []
    for form, by_name in codes.items():
        separate = [_filter(name, by_name[name], settings) for name, settings in SETTINGS.items()]
        listeners.append(_listener(f"{form}: separate filters", separate))
        listeners.append(_listener(f"{form}: all in one", [_filter("portcullis", by_name["portcullis"], TOGETHER)]))
    bootstrap = {
        "admin": {"address": _loopback(0)},
        "static_resources": {"listeners": listeners, "clusters": [_cluster("registry", registry.name)]},
    }
    config, admin, log = folder / "bootstrap.json", folder / "admin", folder / "log"
    config.write_text(json.dumps(bootstrap))
    command = [project.envoy(), "-c", config, "--admin-address-path", admin, "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
    with log.open("wb") as into:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=into, stderr=into)
    try:
        yield _wait(process, admin, log)
    finally:
        process.kill()
        process.wait()


def _wait(process, admin, log):
    """The port of each listener, once Envoy serves. Listeners whose modules are not there yet keep it from that."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            here = f"http://{admin.read_text().strip()}"
            with urllib.request.urlopen(f"{here}/ready", timeout=5), urllib.request.urlopen(f"{here}/listeners?format=json", timeout=5) as told:
                found = json.load(told)["listener_statuses"]
                return {each["name"]: each["local_address"]["socket_address"]["port_value"] for each in found}
        except (OSError, ValueError):
            time.sleep(0.1)
    raise Failure(f"Envoy does not serve with the modules of the registry: {log.read_text(errors='replace')[-2000:]}")


def local(path):
    """A module that was pulled."""
    return {"local": {"filename": str(path)}}


def remote(registry, path, sha256):
    """A module that Envoy fetches by itself."""
    return {"remote": {"sha256": sha256, "http_uri": {"uri": f"http://{registry.name}/v2/{path}", "cluster": "registry", "timeout": "30s"}}}


def _filter(name, code, settings):
    config = {
        "name": name,
        "root_id": name,
        "failure_policy": "FAIL_RELOAD",
        "vm_config": {"vm_id": name, "runtime": "envoy.wasm.runtime.v8", "code": code},
        "configuration": {"@type": "type.googleapis.com/google.protobuf.Struct", "value": settings},
    }
    return {"name": name, "typed_config": {"@type": f"{TYPE}filters.http.wasm.v3.Wasm", "config": config}}


def _listener(name, filters):
    route = {"match": {"path": "/"}, "direct_response": {"status": 200}}
    manager = {
        "@type": f"{TYPE}filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "pulled",
        "use_remote_address": True,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [*filters, {"name": "router", "typed_config": {"@type": f"{TYPE}filters.http.router.v3.Router"}}],
    }
    return {"name": name, "address": _loopback(0), "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}


def _loopback(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _cluster(name, address):
    endpoint = {"endpoint": {"address": _loopback(int(address.rpartition(":")[2]))}}
    return {"name": name, "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}}
