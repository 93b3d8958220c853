//! Settings that are refused.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod passing;

use passing::Filter;
use portcullis_kit::testing::Bench;
use serde_json::json;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn settings_that_cannot_be_meant_are_refused_with_their_path() {
    for (settings, path, text) in [
        (json!({"statuses": []}), "statuses", "the list is empty"),
        (
            json!({"statuses": ["3xx"]}),
            "statuses[0]",
            "`3xx` is no error status",
        ),
        (
            json!({"statuses": ["4xx"], "types": {"500": "a:b"}}),
            "types.500",
            "500 is not among `statuses`",
        ),
        (
            json!({"types": {"404": "/missing"}}),
            "types.404",
            "no absolute URI",
        ),
        (
            json!({"map_status": {"503": 200}}),
            "map_status.503",
            "200 cannot be sent",
        ),
        (
            json!({"codes": {"x": {"status": 409}}}),
            "codes.x.status",
            "`body: hold`",
        ),
        (
            json!({"formats": ["xml"]}),
            "formats",
            "`json` has to be among them",
        ),
        (json!({"formats": ["json", "json"]}), "formats[1]", "twice"),
        (
            json!({"languages": ["fr"]}),
            "languages[0]",
            "no texts in `fr`",
        ),
        (
            json!({"texts": {"fr": {}}}),
            "texts.fr",
            "not among `languages`",
        ),
        (
            json!({"upstream": {"max_bytes": 10}}),
            "upstream.max_bytes",
            "between 1024",
        ),
        (
            json!({"redact": {"kinds": ["emial"]}}),
            "redact.kinds[0]",
            "emial",
        ),
        (
            json!({"redact": {"patterns": ["("]}}),
            "redact.patterns[0]",
            "",
        ),
        (
            json!({"redact": {"mode": "allow_list"}}),
            "redact.mode",
            "no text would pass",
        ),
        (
            json!({"remove_headers": ["retry-after"]}),
            "remove_headers[0]",
            "clients need this header",
        ),
        (
            json!({"empty": "leave", "reply_headers": "api"}),
            "reply_headers",
            "no replies",
        ),
        (
            json!({"reply_headers": "web-nonce"}),
            "reply_headers",
            "`web`",
        ),
        (
            json!({"instance": {"prefix": "x y"}}),
            "instance.prefix",
            "no absolute URI",
        ),
    ] {
        let error = Bench::<Filter>::load(&settings).err().unwrap().to_string();
        assert!(
            error.starts_with(&format!("{path}: ")) && error.contains(text),
            "{settings}: {error}"
        );
    }
}
