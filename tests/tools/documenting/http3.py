"""The note on HTTP/3 in envoy/envoy.yaml: done as it says, the file is one that Envoy takes."""

import json
import pathlib
import re
import tempfile

import check
import project
from console import Failure
from documenting import snippets


def judge():
    text = (check.ENVOY / "envoy.yaml").read_text()
    note = re.search(r"^    # - name: edge-http3\n(?:    # .*\n)+", text, re.M)
    header = re.search(r"^    #    (response_headers_to_add: .*)\n", text, re.M)
    if not note or not header:
        raise Failure("envoy/envoy.yaml: the note on HTTP/3 lacks the listener `edge-http3`, or the header `alt-svc`")
    (listener,) = snippets.read("listeners:\n" + re.sub(r"^    # ", "  ", note[0], flags=re.M))["listeners"]
    bootstrap = snippets.read(text)
    listeners = bootstrap["static_resources"]["listeners"]
    (edge,) = [other for other in listeners if other["name"] == "edge"]
    manager = edge["filter_chains"][0]["filters"][0]
    manager["typed_config"]["route_config"].update(snippets.read(header[1]))
    udp, tcp = listener["address"]["socket_address"], edge["address"]["socket_address"]
    if (udp["address"], udp["port_value"]) != (tcp["address"], tcp["port_value"]):
        raise Failure("envoy/envoy.yaml: the note on HTTP/3 has another port than the listener `edge`")
    copy = json.loads(json.dumps(manager))
    copy["typed_config"]["codec_type"] = "HTTP3"
    listener["filter_chains"][0]["filters"] = [copy]
    listeners.append(listener)
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(made)
        (folder / "dist").symlink_to(project.DIST)
        (folder / "envoy").symlink_to(check.ENVOY)
        (folder / "envoy.json").write_text(json.dumps(bootstrap))
        keys = {name: "for documents only, and long enough to be one" for name in ("AUDIT_HASH_KEY", "AUDIT_CHAIN_KEY")}
        snippets.validate(folder / "envoy.json", folder, keys)
