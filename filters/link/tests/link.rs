//! What a finished module has left of what it was.

#![allow(clippy::indexing_slicing, clippy::unwrap_used)] // The helpers of a test may fail by panic.

use portcullis_kit::Callbacks;
use portcullis_link::{LinkError, SECTION, link};

/// Every export that the SDK's modules have, `proxy_on_grpc_close` being the only one to reach a host call of its own.
const EXPORTED: &[&str] = &[
    "_initialize",
    "proxy_abi_version_0_2_1",
    "proxy_on_memory_allocate",
    "proxy_on_context_create",
    "proxy_on_vm_start",
    "proxy_on_configure",
    "proxy_on_done",
    "proxy_on_delete",
    "proxy_on_log",
    "proxy_on_tick",
    "proxy_on_queue_ready",
    "proxy_on_new_connection",
    "proxy_on_downstream_data",
    "proxy_on_upstream_data",
    "proxy_on_request_headers",
    "proxy_on_request_body",
    "proxy_on_request_trailers",
    "proxy_on_response_headers",
    "proxy_on_response_body",
    "proxy_on_response_trailers",
    "proxy_on_http_call_response",
    "proxy_on_grpc_receive",
    "proxy_on_foreign_function",
];

const ALWAYS: &[&str] = &[
    "_initialize",
    "memory",
    "proxy_abi_version_0_2_1",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_memory_allocate",
    "proxy_on_vm_start",
];

fn text(exported: &[&str], customs: &str) -> Vec<u8> {
    let functions: String = exported
        .iter()
        .map(|name| format!("(func (export \"{name}\"))\n"))
        .collect();
    let module = format!(
        "(module
           (import \"env\" \"proxy_log\" (func $log))
           (import \"env\" \"proxy_grpc_cancel\" (func $cancel))
           (memory (export \"memory\") 1)
           (global (export \"__heap_base\") i32 (i32.const 1024))
           (func $start (export \"start_me\") call $log)
           (func (export \"proxy_on_grpc_close\") call $cancel)
           {functions}
           (@custom \"producers\" \"\\00\")
           {customs})"
    );
    wat::parse_str(module).unwrap()
}

fn section(bytes: &[u8]) -> String {
    let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
    format!("(@custom \"{SECTION}\" \"{escaped}\")\n")
}

fn module(needed: Callbacks) -> Vec<u8> {
    text(EXPORTED, &section(&needed.bits().to_le_bytes()))
}

/// The ids of a module's sections, and the names of the custom ones.
fn sections(wasm: &[u8]) -> Vec<u8> {
    let mut rest = &wasm[8..];
    let mut ids = Vec::new();
    while let [id, after @ ..] = rest {
        let (mut size, mut shift, mut at) = (0_usize, 0, 0);
        loop {
            size |= usize::from(after[at] & 0x7f) << shift;
            at += 1;
            if after[at - 1] < 0x80 {
                break;
            }
            shift += 7;
        }
        ids.push(*id);
        rest = &after[at + size..];
    }
    ids
}

fn contains(wasm: &[u8], text: &str) -> bool {
    wasm.windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn a_module_without_callbacks_keeps_only_what_every_host_needs() {
    assert_eq!(link(&module(Callbacks::NONE)).unwrap().exports, ALWAYS);
}

#[test]
fn each_declared_callback_keeps_its_one_export() {
    for (callback, name) in [
        (Callbacks::REQUEST_HEADERS, "proxy_on_request_headers"),
        (Callbacks::REQUEST_BODY, "proxy_on_request_body"),
        (Callbacks::REQUEST_TRAILERS, "proxy_on_request_trailers"),
        (Callbacks::RESPONSE_HEADERS, "proxy_on_response_headers"),
        (Callbacks::RESPONSE_BODY, "proxy_on_response_body"),
        (Callbacks::RESPONSE_TRAILERS, "proxy_on_response_trailers"),
        (Callbacks::LOG, "proxy_on_log"),
        (Callbacks::TICK, "proxy_on_tick"),
        (Callbacks::CALLOUT, "proxy_on_http_call_response"),
    ] {
        let linked = link(&module(callback)).unwrap();
        let mut expected = [ALWAYS, &[name]].concat();
        expected.sort_unstable();
        assert_eq!(linked.exports, expected);
        assert!(contains(&linked.wasm, name));
    }
}

#[test]
fn the_adapters_own_form_of_a_callback_takes_the_place_of_the_sdks() {
    let own = "(import \"env\" \"proxy_http_call\" (func $call))
               (func (export \"portcullis_on_http_call_response\") call $call)";
    let callbacks = section(&Callbacks::CALLOUT.bits().to_le_bytes());
    let with_own = |needed: &str| {
        let functions: String = EXPORTED
            .iter()
            .map(|name| format!("(func (export \"{name}\"))\n"))
            .collect();
        let module = format!("(module {own} (memory (export \"memory\") 1) {functions} {needed})");
        link(&wat::parse_str(module).unwrap()).unwrap()
    };
    let linked = with_own(&callbacks);
    assert!(
        linked
            .exports
            .contains(&"proxy_on_http_call_response".to_owned())
    );
    assert!(!contains(&linked.wasm, "portcullis_on_"));
    assert!(
        contains(&linked.wasm, "proxy_http_call"),
        "the SDK's form was kept"
    );

    let without = with_own(&section(&Callbacks::LOG.bits().to_le_bytes()));
    assert!(
        !contains(&without.wasm, "http_call"),
        "an unneeded callback was kept"
    );
}

#[test]
fn values_of_one_section_and_of_several_are_joined() {
    let one = Callbacks::REQUEST_HEADERS.bits().to_le_bytes();
    let other = Callbacks::LOG.bits().to_le_bytes();
    let joined = text(EXPORTED, &section(&[one, other].concat()));
    let apart = text(EXPORTED, &(section(&one) + &section(&other)));
    let exports = link(&joined).unwrap().exports;
    assert_eq!(exports, link(&apart).unwrap().exports);
    assert!(exports.contains(&"proxy_on_request_headers".to_owned()));
    assert!(exports.contains(&"proxy_on_log".to_owned()));
}

#[test]
fn what_only_removed_exports_reached_is_gone() {
    let whole = module(Callbacks::NONE);
    let linked = link(&whole).unwrap().wasm;
    for gone in [
        "proxy_log",
        "proxy_grpc_cancel",
        "proxy_on_done",
        "__heap_base",
    ] {
        assert!(contains(&whole, gone) && !contains(&linked, gone), "{gone}");
    }
}

#[test]
fn what_the_sdks_dispatcher_reached_is_gone_even_where_a_table_names_it() {
    let functions: String = ALWAYS
        .iter()
        .filter(|name| **name != "memory")
        .map(|name| format!("(func (export \"{name}\") i32.const 0 call_indirect)\n"))
        .collect();
    let module = |of_the_sdk: &str| {
        let module = format!(
            "(module
               (import \"env\" \"proxy_log\" (func $log))
               (import \"env\" \"proxy_grpc_cancel\" (func $cancel))
               (memory (export \"memory\") 1)
               (table 2 funcref) (elem (i32.const 0) $own ${of_the_sdk})
               (func $own call $log)
               (func ${of_the_sdk} (block (loop call $cancel)))
               {functions} {})",
            section(&[0; 4])
        );
        link(&wat::parse_str(module).unwrap()).unwrap().wasm
    };
    let linked = module("_RNv_10proxy_wasm10dispatcher8NoopRoot6cancel");
    assert!(contains(&linked, "proxy_log"), "ours went too");
    assert!(!contains(&linked, "proxy_grpc_cancel"), "the SDK's stayed");
    assert!(contains(&module("_RNv_5other"), "proxy_grpc_cancel"));
}

#[test]
fn no_custom_section_is_left() {
    let whole = module(Callbacks::LOG);
    assert!(sections(&whole).contains(&0) && contains(&whole, "producers"));
    let linked = link(&whole).unwrap().wasm;
    assert!(!sections(&linked).contains(&0), "{:?}", sections(&linked));
}

#[test]
fn the_same_bytes_give_the_same_module() {
    let module = module(Callbacks::REQUEST_HEADERS.and(Callbacks::TICK));
    assert_eq!(link(&module).unwrap(), link(&module).unwrap());
}

#[test]
fn malloc_is_an_allocator_too() {
    let others: Vec<&str> = EXPORTED
        .iter()
        .copied()
        .filter(|name| *name != "proxy_on_memory_allocate")
        .collect();
    let none = section(&[0; 4]);
    assert!(matches!(
        link(&text(&others, &none)),
        Err(LinkError::NoAllocator)
    ));
    let with_malloc = [others.as_slice(), &["malloc"]].concat();
    assert!(
        link(&text(&with_malloc, &none))
            .unwrap()
            .exports
            .contains(&"malloc".to_owned())
    );
}

#[test]
fn a_module_without_the_section_is_refused_and_so_is_a_second_pass() {
    let error = link(&text(EXPORTED, "")).unwrap_err();
    assert!(matches!(error, LinkError::NoCallbacks));
    assert!(error.to_string().contains("portcullis_adapter::export!"));
    let once = link(&module(Callbacks::LOG)).unwrap().wasm;
    assert!(matches!(link(&once), Err(LinkError::NoCallbacks)));
}

#[test]
fn a_section_that_is_no_list_of_u32_is_refused() {
    let error = link(&text(EXPORTED, &section(&[1, 0, 0]))).unwrap_err();
    assert!(matches!(error, LinkError::CallbacksSize { bytes: 3 }));
}

#[test]
fn a_needed_callback_that_the_module_lacks_is_refused() {
    let others: Vec<&str> = EXPORTED
        .iter()
        .copied()
        .filter(|name| *name != "proxy_on_log")
        .collect();
    let log = section(&Callbacks::LOG.bits().to_le_bytes());
    let error = link(&text(&others, &log)).unwrap_err();
    assert!(matches!(
        error,
        LinkError::MissingExport {
            name: "proxy_on_log"
        }
    ));
    assert!(link(&text(&others, &section(&[0; 4]))).is_ok());
}

#[test]
fn what_is_no_module_is_refused() {
    assert!(matches!(
        link(b"\0asm but not really"),
        Err(LinkError::NotAModule(_))
    ));
}
