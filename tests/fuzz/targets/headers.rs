//! Any bytes as a host's serialized header map: read as lines or refused, and what is read can be changed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_kit::Headers;

fuzz_target!(|bytes: &[u8]| {
    let Some(mut headers) = Headers::from_serialized(bytes.to_vec()) else {
        return;
    };
    let lines: Vec<(Vec<u8>, Vec<u8>)> = owned(&headers);
    assert_eq!(lines.len(), headers.len());
    let again = Headers::from_serialized(headers.to_serialized()).expect("its own form");
    assert_eq!(owned(&again), lines);
    for (name, _) in &lines {
        if let Ok(name) = std::str::from_utf8(name) {
            assert!(headers.contains(name));
        }
    }
    headers.add("x-new", b"\xff");
    headers.set("x-new", "2");
    assert_eq!(headers.get_all("X-New").collect::<Vec<_>>(), [b"2"]);
    headers.remove("x-new");
    assert!(!headers.contains("x-new"));
});

fn owned(headers: &Headers) -> Vec<(Vec<u8>, Vec<u8>)> {
    let lines = headers.iter();
    lines
        .map(|(name, value)| (name.to_vec(), value.to_vec()))
        .collect()
}
