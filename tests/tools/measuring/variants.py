"""What is compared: one Envoy per variant, the same but for its HTTP filters."""

import dataclasses

import project

# A continued trace of a peer, in every request of every variant.
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TYPE = "type.googleapis.com/envoy.extensions.filters.http."
# What Envoy writes by itself, so no filter added it.
ENVOY_OWN = {"date", "content-length", "content-type", "server", "connection"}


@dataclasses.dataclass(frozen=True)
class Variant:
    name: str
    # Entries of `http_filters`, before the router.
    filters: tuple = ()

    @property
    def label(self):
        """The name as a file name."""
        return "".join(c if c.isalnum() else "-" for c in self.name)


NONE = Variant("none")


def wasm(module, root_id, settings=None):
    """A module of ours as an HTTP filter."""
    config = {
        "root_id": root_id,
        "failure_policy": "FAIL_RELOAD",
        "vm_config": {
            "vm_id": root_id,
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": str(module)}},
        },
    }
    if settings is not None:
        config["configuration"] = {"@type": "type.googleapis.com/google.protobuf.Struct", "value": settings}
    return {"name": root_id, "typed_config": {"@type": TYPE + "wasm.v3.Wasm", "config": config}}


def header_mutation(headers):
    """Envoy's own filter for fixed headers. `cache-control` gives way to the upstream's, as it does in the preset."""
    mutations = []
    for name, value in headers:
        action = "ADD_IF_ABSENT" if name == "cache-control" else "OVERWRITE_IF_EXISTS_OR_ADD"
        mutations.append({"append": {"header": {"key": name, "value": value}, "append_action": action}})
    config = {"@type": TYPE + "header_mutation.v3.HeaderMutation", "mutations": {"response_mutations": mutations}}
    return {"name": "header_mutation", "typed_config": config}


def lua(headers):
    """The same as a script."""
    lines = ["function envoy_on_response(handle)", "  local headers = handle:headers()"]
    for name, value in headers:
        call = f"headers:replace({_quoted(name)}, {_quoted(value)})"
        lines.append(f"  if not headers:get('{name}') then {call} end" if name == "cache-control" else f"  {call}")
    lines.append("end")
    config = {"@type": TYPE + "lua.v3.Lua", "default_source_code": {"inline_string": "\n".join(lines)}}
    return {"name": "lua", "typed_config": config}


def _quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def added(with_filter, without):
    """The response headers that a filter added, in the order in which they arrived."""
    there = {name for name, _ in without} | ENVOY_OWN
    return [(name, value) for name, value in with_filter if name not in there]


SECURITY = Variant("security-headers, `api`", (wasm(project.DIST / "security_headers.wasm", "security-headers", {"preset": "api"}),))
TRACING_SETTINGS = {"trust": "internal"}


def ours():
    """Every variant that runs a module."""
    tracing = project.DIST / "request_tracing.wasm"
    security = project.DIST / "security_headers.wasm"
    chain = {"request_tracing": TRACING_SETTINGS, "security_headers": {"preset": "api"}}
    return [
        Variant("SDK's empty filter", (wasm(project.DIST / "test" / "sdk_empty.wasm", "sdk-empty"),)),
        Variant("no-op filter of ours", (wasm(project.DIST / "test" / "noop.wasm", "noop"),)),
        SECURITY,
        Variant("security-headers, nothing to do", (wasm(security, "security-headers", {"preset": "off"}),)),
        Variant("request-tracing, `internal`, continue", (wasm(tracing, "request-tracing", TRACING_SETTINGS),)),
        Variant("request-tracing, nothing to do", (wasm(tracing, "request-tracing", {"mode": "off"}),)),
        Variant("both, as two modules", (wasm(tracing, "request-tracing", TRACING_SETTINGS), *SECURITY.filters)),
        Variant("both, as the chain", (wasm(project.DIST / "portcullis.wasm", "portcullis", chain),)),
    ]


def native(headers):
    """Envoy's own ways to the same response headers."""
    return [
        Variant("header_mutation, the headers of `api`", (header_mutation(headers),)),
        Variant("Lua, the headers of `api`", (lua(headers),)),
    ]


# (what, variant, beside, limit): the upper end of the interval of added CPU over added CPU.
TARGETS = [
    ("a no-op filter of ours", "no-op filter of ours", "SDK's empty filter", 0.8),
    ("security-headers", "security-headers, `api`", "header_mutation, the headers of `api`", 4.0),
    ("security-headers", "security-headers, `api`", "Lua, the headers of `api`", 1.45),
    ("request-tracing", "request-tracing, `internal`, continue", "SDK's empty filter", 2.4),
    ("security-headers with nothing to do", "security-headers, nothing to do", "SDK's empty filter", 1.0),
    ("request-tracing with nothing to do", "request-tracing, nothing to do", "SDK's empty filter", 1.0),
]
