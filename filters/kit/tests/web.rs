//! The kit on a 32-bit target, in Node: what counts bytes must not overflow `usize`.
#![cfg(all(target_arch = "wasm32", target_os = "unknown"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use portcullis_kit::Headers;
use portcullis_kit::config::{fingerprint, from_value, merge, read};
use portcullis_kit::glob::{HostPattern, PathTemplate, path_only};
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test]
fn a_map_whose_sizes_overflow_32_bits_is_refused() {
    let whole = Headers::from_lines([("name", "value"), ("other", "more")]).to_serialized();
    assert!(Headers::from_serialized(whole.clone()).is_some());
    for at in 0..20 {
        for lie in [0x7f, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = lie;
            assert!(
                Headers::from_serialized(bytes).is_none(),
                "byte {at} = {lie:#x}"
            );
        }
    }
    for count in [u32::MAX, u32::MAX / 8, u32::MAX / 8 + 1, 1 << 29] {
        let mut bytes = count.to_le_bytes().to_vec();
        bytes.extend([0; 64]);
        assert!(Headers::from_serialized(bytes).is_none(), "{count} lines");
    }
}

#[wasm_bindgen_test]
fn a_struct_whose_lengths_overflow_32_bits_is_refused() {
    // Field 1 with a length of 2^32 + 4, and of 2^63.
    for length in [
        &[0x84, 0x80, 0x80, 0x80, 0x10][..],
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
    ] {
        let mut bytes = vec![0x0a];
        bytes.extend(length);
        bytes.extend(b"\x0a\x01a\x12");
        assert!(read(&bytes).is_err());
    }
}

#[wasm_bindgen_test]
fn numbers_beyond_32_bits_keep_their_value() {
    let value = read(br#"{"n": 9007199254740992}"#).unwrap();
    assert_eq!(
        from_value::<u64>(&value["n"]).unwrap(),
        9_007_199_254_740_992
    );
    let refused = from_value::<usize>(&value["n"]).unwrap_err().to_string();
    assert!(refused.contains("9007199254740992"), "{refused}");
    assert_eq!(merge(&value, &value), value);
}

#[wasm_bindgen_test]
fn a_fingerprint_is_the_same_on_32_bits() {
    assert_eq!(
        fingerprint(b"abc"),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[wasm_bindgen_test]
fn patterns_match_long_input() {
    let long = "a".repeat(100_000);
    assert!(
        HostPattern::parse("*.example.com")
            .unwrap()
            .matches(format!("{long}.example.com").as_bytes())
    );
    assert!(
        PathTemplate::parse("/{rest...}")
            .unwrap()
            .matches(format!("/{long}/b").as_bytes())
    );
    assert_eq!(path_only(format!("/{long}?x").as_bytes()).len(), 100_001);
}
