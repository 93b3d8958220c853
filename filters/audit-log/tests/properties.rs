//! Whatever comes in, a record is canonical JSON and shows nothing that is not listed.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // A test may fail by panic.

mod common;

use std::sync::LazyLock;

use common::{answered, end, load, parsed};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

/// What `portcullis schema audit-record` prints.
fn judge() -> &'static jsonschema::Validator {
    static JUDGE: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
        let schema = include_str!("../../../docs/audit-record.schema.json");
        jsonschema::draft202012::new(&serde_json::from_str(schema).unwrap()).unwrap()
    });
    &JUDGE
}

proptest! {
    #[test]
    fn any_bytes_from_outside_make_a_canonical_record(
        target in vec(any::<u8>(), 0..80),
        authority in vec(any::<u8>(), 0..40),
        agent in vec(any::<u8>(), 0..300),
        listed in vec(any::<u8>(), 0..1100),
        details in vec(any::<u8>(), 0..300),
        numbers in vec(vec(any::<u8>(), 0..12), 4),
    ) {
        let audit = load(&json!({
            "rules": [{"level": "headers"}],
            "headers": {"request": [{"name": "x-a"}]},
            "query": [{"name": "q"}],
            "path": {"templates": ["/{a}/{b}"]},
        }));
        let mut fake = answered("/", 200);
        fake.request.set(":path", &target);
        fake.request.set(":authority", &authority);
        fake.request.set("user-agent", &agent);
        fake.request.add("x-a", &listed);
        fake.request.add("x-b", b"c4n4ry-of-a-header");
        let names = ["request.duration", "request.size", "response.size", "response.flags"];
        for (name, number) in names.iter().zip(numbers) {
            fake = fake.with_property(name, number);
        }
        let (_, line) = end(&audit, fake.with_property("response.code_details", details));
        let line = line.unwrap();
        let record = parsed(&line);
        let errors: Vec<String> = judge().iter_errors(&record).map(|error| error.to_string()).collect();
        prop_assert!(errors.is_empty(), "{:?} {}", errors, line);
        prop_assert!(!line.contains("c4n4ry"), "{}", line);
        prop_assert!(!line.contains('\n'));
    }
}
