//! Any `Set-Cookie` line: hardening only adds at the end (where blanks and empty attributes may go), and only once.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_kit::cookies::{Names, Rules, harden};

fuzz_target!(|line: &[u8]| {
    let only = Rules {
        secure: Names::Only(vec![b"a".to_vec()]),
        http_only: Names::Except(vec![b"a".to_vec()]),
        same_site: Names::None,
    };
    let end = line
        .iter()
        .rposition(|byte| *byte != b';' && !byte.is_ascii_whitespace());
    let written = line.get(..=end.unwrap_or_default()).unwrap_or_default();
    for rules in [&Rules::ALL, &only] {
        for tls in [false, true] {
            if let Some(hardened) = harden(line, tls, rules) {
                assert!(hardened.starts_with(written) && hardened.len() > written.len());
                let again = harden(&hardened, tls, rules);
                assert_eq!(again, None, "{}", hardened.escape_ascii());
            }
        }
    }
});
