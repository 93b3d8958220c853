//! Which exports a module keeps.

use portcullis_kit::Callbacks;

/// What every host needs of every module, the allocator aside. Not `proxy_on_done`: a host takes its absence for yes.
const ALWAYS: [&str; 7] = [
    "memory",
    "_initialize",
    "proxy_abi_version_0_2_1",
    "proxy_on_context_create",
    "proxy_on_vm_start",
    "proxy_on_configure",
    // Without it the adapter would keep every request's context for ever.
    "proxy_on_delete",
];

/// The names under which a host finds the guest's allocator; one is enough.
pub const ALLOCATORS: [&str; 2] = ["proxy_on_memory_allocate", "malloc"];

/// The callbacks a filter may declare, and what each one is called in the ABI.
const BY_CALLBACK: [(Callbacks, &str); 9] = [
    (Callbacks::REQUEST_HEADERS, "proxy_on_request_headers"),
    (Callbacks::REQUEST_BODY, "proxy_on_request_body"),
    (Callbacks::REQUEST_TRAILERS, "proxy_on_request_trailers"),
    (Callbacks::RESPONSE_HEADERS, "proxy_on_response_headers"),
    (Callbacks::RESPONSE_BODY, "proxy_on_response_body"),
    (Callbacks::RESPONSE_TRAILERS, "proxy_on_response_trailers"),
    (Callbacks::LOG, "proxy_on_log"),
    (Callbacks::TICK, "proxy_on_tick"),
    (Callbacks::CALLOUT, "proxy_on_http_call_response"),
];

/// Whether an export stays in a module whose filters need these callbacks.
pub fn is_kept(name: &str, needed: Callbacks) -> bool {
    ALLOCATORS.contains(&name) || required(needed).any(|required| required == name)
}

/// The exports without which the module is of no use, allocators aside.
pub fn required(needed: Callbacks) -> impl Iterator<Item = &'static str> {
    let declared = BY_CALLBACK
        .into_iter()
        .filter(move |(callback, _)| needed.contains(*callback))
        .map(|(_, name)| name);
    ALWAYS.into_iter().chain(declared)
}
