"""YAML of the pages: settings that a filter takes, and parts of a configuration that Envoy and `portcullis check` take.

A part is known by its first keys. Where it leaves out what it hangs in, that is put around it: the filter of the page with the page's
own settings, clusters that it names, the router. `<!-- settings: FILTER -->` above a block says whose settings it has, `<!-- part: FILE -->`
that it stands in that file."""

import json
import os
import pathlib
import re
import subprocess
import tempfile

import check
import project
from console import Failure
from documenting import pages

TYPE = "type.googleapis.com/envoy.extensions."
SECRET = "for documents only, and long enough to be a key"
FILTERS = ["request-tracing", "security-headers", "audit-log", "problem-json", "rate-limit", "portcullis"]


def page_of(name):
    return project.ROOT / "docs" / f"{name}.md"


def settings(name):
    """The example of a filter's page: its first YAML block below the heading Settings."""
    for block in pages.blocks(page_of(name)):
        if (block.heading, block.language) == ("Settings", "yaml"):
            return block.text
    raise Failure(f"docs/{name}.md: no YAML block below `## Settings`")


def read(text, over=None):
    """YAML as Envoy reads it, with another text laid over it."""
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for number, part in enumerate(part for part in (text, over) if part is not None):
            files.append(pathlib.Path(folder) / f"{number}.yaml")
            files[-1].write_text(part)
        done = subprocess.run([check.PORTCULLIS, "render", *files], capture_output=True, text=True)
    if done.returncode:
        raise Failure((done.stdout + done.stderr).strip()[:800])
    return json.loads(done.stdout)


def judge(block):
    """Refuses a block that no host would take."""
    try:
        _judge(block)
    except Failure as failure:
        raise Failure(f"{block.where}: {failure}") from None


def _judge(block):
    if not re.sub(r"^\s*#.*$", "", block.text, flags=re.M).strip():
        # Comments, which `generate --write` fills: `own_configuration` has them.
        if block.text not in own_configuration():
            raise Failure("nothing but comments, and none that a command reads")
        return
    value = read(block.text)
    word, name = block.marker
    if word == "part":
        if not _holds(read((project.ROOT / name).read_text()), value):
            raise Failure(f"{name} does not hold this")
    elif word == "settings" or not _is_envoys(value):
        _settings(name or block.page.stem, block, value)
    else:
        _configuration(block, value)


def _is_envoys(value):
    routes = value.get("routes")
    return bool({"http_filters", "root_id", "vm_config"} & set(value)) or (isinstance(routes, list) and "match" in routes[0])


def _settings(name, block, value):
    if name not in FILTERS:
        raise Failure(f"whose settings are these? Say `<!-- settings: FILTER -->` above the block, of {', '.join(FILTERS)}")
    if set(value) == {"value"}:
        text = json.dumps(value["value"])
    elif block.text == settings(name):
        text = block.text
    else:
        text = json.dumps(read(settings(name), block.text))
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "settings.yaml"
        file.write_text(text)
        _portcullis("check", "--filter", name, file, cwd=folder)


def _configuration(block, value):
    manager = {key: part for key, part in value.items() if key in ("http_filters", "access_log")}
    if "routes" in value:
        manager["route_config"] = {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": value["routes"]}]}
        manager["http_filters"] = _first_filters(block)
    elif "root_id" in value:
        manager["http_filters"] = [_plugin(value["root_id"], value["configuration"]["value"])]
    for position, item in enumerate(manager["http_filters"]):
        if "typed_config" not in item:
            # `- name: audit-log  # with …`: the page's settings, and these over them.
            more = re.search(rf"- name: {item['name']} +# with `(.*)`", block.text)
            manager["http_filters"][position] = _plugin(item["name"], read(settings(item["name"]), more and more[1]))
    with tempfile.TemporaryDirectory() as folder:
        text = json.dumps(bootstrap(manager)).replace('"/var/log/envoy/', f'"{folder}/')
        file = pathlib.Path(folder) / "envoy.json"
        file.write_text(text)
        (pathlib.Path(folder) / "dist").symlink_to(project.DIST)
        _portcullis("check", file, cwd=folder)
        validate(file, folder)


def _first_filters(block):
    """The filters that a page's routes speak to: those that the page shows, or the one that it is about."""
    for other in pages.blocks(block.page):
        if other.language == "yaml" and "http_filters:" in other.text:
            return read(other.text)["http_filters"]
    return [_plugin(block.page.stem, read(settings(block.page.stem)))]


def _plugin(name, body):
    value = {"@type": "type.googleapis.com/google.protobuf.Struct", "value": body}
    file = f"dist/{name.replace('-', '_')}.wasm"
    secrets = {secret: SECRET for secret in re.findall(r'"env": "(\w+)"', json.dumps(body))}
    machine = {"runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": file}}, "environment_variables": {"key_values": secrets}}
    config = {"name": name, "root_id": name, "failure_policy": "FAIL_RELOAD", "vm_config": machine, "configuration": value}
    return {"name": name, "typed_config": {"@type": f"{TYPE}filters.http.wasm.v3.Wasm", "config": config}}


def bootstrap(manager):
    """A configuration around a part of a connection manager, with a cluster of each name in it."""
    manager.setdefault("route_config", {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": []}]})
    router = {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{TYPE}filters.http.router.v3.Router"}}
    typed = {"@type": f"{TYPE}filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "edge", "use_remote_address": True, **manager}
    typed["http_filters"] = [*manager["http_filters"], router]
    names = sorted(set(re.findall(r'"cluster": "([^"]+)"', json.dumps(manager))))
    at = lambda port: {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    hosts = [{"lb_endpoints": [{"endpoint": {"address": at(1)}}]}]
    clusters = [{"name": name, "type": "STATIC", "load_assignment": {"cluster_name": name, "endpoints": hosts}} for name in names]
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": typed}]}
    return {"static_resources": {"listeners": [{"name": "edge", "address": at(0), "filter_chains": [chain]}], "clusters": clusters}}


def own_configuration():
    """A configuration of somebody's own, as text: with the settings and the comments that the pages show."""
    comments = "".join(block.text for block in pages.blocks(page_of("problem-json")) if re.fullmatch(r" *# local-replies:.*\n *# /.*\n", block.text))
    if not comments:
        raise Failure("docs/problem-json.md does not show the two comments of `generate local-replies --write`")
    filters = "".join(f"{' ' * 16}- {json.dumps(_plugin(name, read(settings(name))))}\n" for name in ("problem-json", "rate-limit"))
    return f"""static_resources:
  listeners:
    - name: edge
      address: {{socket_address: {{address: 127.0.0.1, port_value: 10000}}}}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": {TYPE}filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: edge
                use_remote_address: true
{comments}                route_config: {{virtual_hosts: [{{name: all, domains: ["*"], routes: []}}]}}
                http_filters:
{filters}                - name: envoy.filters.http.router
                  typed_config: {{"@type": {TYPE}filters.http.router.v3.Router}}
"""


def _holds(whole, part):
    """Whether `part` stands somewhere in `whole`, perhaps among other keys."""
    def fits(there, wanted):
        if isinstance(wanted, dict):
            return isinstance(there, dict) and all(key in there and fits(there[key], inner) for key, inner in wanted.items())
        if isinstance(wanted, list):
            return isinstance(there, list) and sorted(map(str, there)) == sorted(map(str, wanted))
        return there == wanted
    inside = whole.values() if isinstance(whole, dict) else whole if isinstance(whole, list) else []
    return fits(whole, part) or any(_holds(inner, part) for inner in inside)


def _portcullis(*arguments, cwd):
    done = subprocess.run([check.PORTCULLIS, *arguments], capture_output=True, text=True, cwd=cwd)
    if done.returncode:
        raise Failure(f"refused: {(done.stdout + done.stderr).strip()[:800]}")


def validate(file, folder, extra_env=None):
    """Envoy takes it, and so do the modules in it."""
    done = subprocess.run([project.envoy(), "--mode", "validate", "-c", file], capture_output=True, text=True, cwd=folder, env={**os.environ, **(extra_env or {})})
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if "error" in line or "critical" in line]
        raise Failure(f"Envoy refuses it: {' '.join(said)[-800:]}")
