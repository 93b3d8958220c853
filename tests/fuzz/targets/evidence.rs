#![no_main]
//! Whatever is given to the verifier, it comes to a verdict: no panic, and never "intact" of what was not sealed.
//!
//! A text is read as it is, and again with an honest log before it: what is found then is never before that log's end.

use audit_chain::Key;
use audit_chain::verify::input::each_record;
use audit_chain::verify::verdict::Outcome;
use audit_chain::verify::{Terms, Verifier};
use libfuzzer_sys::fuzz_target;

/// Three records of one chain: a seed, too.
const HONEST: &[u8] = include_bytes!("../seeds/evidence/keyed");

fn terms() -> Terms {
    let mut terms = Terms::default();
    if let Ok(key) = Key::new("k1", b"0123456789abcdef0123456789abcdef") {
        terms.keys.add(key);
    }
    terms
}

fuzz_target!(|bytes: &[u8]| {
    let terms = terms();
    let known = String::from_utf8_lossy(HONEST);
    for terms in [
        terms.clone(),
        Terms {
            partial: true,
            in_order: true,
            skip_others: true,
            window: 2,
            allow_unkeyed: true,
            allow_restart_gaps: true,
            ..terms.clone()
        },
    ] {
        let mut verifier = Verifier::new(terms);
        let _ = verifier.read("fuzz", &mut &*bytes);
        let verdict = verifier.close();
        let _ = verdict.to_text();
        let _ = verdict.to_json().to_string();
    }
    // With no key, nobody can make a log of its own that is taken for one with a key.
    let mut verifier = Verifier::new(terms.clone());
    let _ = verifier.read("fuzz", &mut &*bytes);
    let verdict = verifier.close();
    if verdict.outcome == Outcome::Intact {
        let mut records = 0;
        let _ = each_record(&mut &*bytes, &mut |record| {
            records += 1;
            let hash = audit_chain::verify::record::chain(&record)
                .and_then(|chain| chain.get("hash")?.as_str());
            assert!(hash.is_some_and(|hash| known.contains(hash)), "{record}");
        });
        assert!(records > 0);
    }
    let log = [HONEST, bytes].concat();
    let mut verifier = Verifier::new(terms);
    let _ = verifier.read("fuzz", &mut &*log);
    for found in verifier.close().breaks {
        assert!(found.place.line > 3, "{found}");
    }
});
