//! What audit-log's sinks got, judged by the verifier: every request once, and the chain as whole as it can be.

use std::collections::{BTreeMap, BTreeSet};

use audit_chain::Key;
use audit_chain::verify::record::Keys;
use audit_chain::verify::verdict::{Outcome, Verdict};
use audit_chain::verify::{Terms, Verifier};
use portcullis_harness::{Envoy, Filter, patch};
use serde_json::{Value, json};

/// The key of all chains, and the variable that holds it.
pub const KEY: (&str, &str) = ("AUDIT_KEY", "0123456789abcdef0123456789abcdef");

/// Records by emitter and number; what was delivered twice is in it once.
pub struct Evidence {
    pub records: BTreeMap<(String, u64), Value>,
    /// How many came once more.
    pub duplicates: usize,
    pub verdict: Verdict,
}

impl Evidence {
    /// Reads records as they were written. Panics if a number is two records.
    #[track_caller]
    pub fn of(texts: &[String]) -> Self {
        let mut records = BTreeMap::new();
        for text in texts {
            let record: Value = serde_json::from_str(text).unwrap();
            let chain = &record["chain"];
            let name = chain["emitter"].as_str().unwrap().to_owned();
            let seq = chain["seq"].as_u64().unwrap();
            if let Some(before) = records.insert((name, seq), record.clone()) {
                assert_eq!(before, record, "a number is one record");
            }
        }
        let mut verifier = Verifier::new(terms());
        verifier
            .read("delivered", &mut texts.join("\n").as_bytes())
            .unwrap();
        Self {
            duplicates: texts.len() - records.len(),
            records,
            verdict: verifier.close(),
        }
    }

    /// How many requests have a record.
    pub fn requests(&self) -> u64 {
        let of_requests = |record: &&Value| record["type"] == "request";
        self.records.values().filter(of_requests).count() as u64
    }

    pub fn events(&self, event: &str) -> Vec<&Value> {
        let records = self.records.values();
        records.filter(|record| record["event"] == event).collect()
    }

    pub fn emitters(&self) -> BTreeSet<&str> {
        self.records.keys().map(|(name, _)| name.as_str()).collect()
    }

    /// How many records were sealed, as far as what was delivered tells.
    pub fn sealed(&self) -> u64 {
        let last = |name: &&str| {
            let of_it = self.records.keys().filter(|(emitter, _)| emitter == name);
            of_it.map(|(_, seq)| *seq).max().unwrap_or(0)
        };
        self.emitters().iter().map(last).sum()
    }

    /// How many of them the emitters say that they gave up.
    pub fn told_dropped(&self) -> u64 {
        let count = |record: &&Value| record["records"].as_u64().unwrap();
        self.events("bundle.dropped").iter().map(count).sum()
    }

    #[track_caller]
    pub fn assert_intact(&self) {
        let said = self.verdict.to_text();
        assert_eq!(self.verdict.outcome, Outcome::Intact, "{said}");
    }
}

fn terms() -> Terms {
    let mut keys = Keys::default();
    assert!(keys.add(Key::new("k1", KEY.1.as_bytes()).unwrap()));
    Terms {
        keys,
        ..Terms::default()
    }
}

/// Settings of audit-log that deliver fast to the cluster `sink`, and seal under [`KEY`].
pub fn settings(over: &Value) -> Value {
    let mut settings = json!({
        "sinks": [{"otlp": {"cluster": "sink", "timeout_ms": 500}}],
        "delivery": {
            "batch": {"max_records": 200, "interval_ms": 40},
            "queue": {"max_records": 20_000},
            "retry": {"initial_ms": 20, "max_ms": 100},
        },
        "chain": {"key": {"id": "k1", "secret": {"env": KEY.0}}, "checkpoint_records": 500},
    });
    patch::merge(&mut settings, over);
    settings
}

/// audit-log with these settings.
pub fn audit(over: &Value) -> Filter {
    Filter::wasm("audit_log", settings(over)).environment(KEY.0, KEY.1)
}

/// Counts and gauges of deliveries by the part of their name after `records_`, all sinks and profiles together.
#[track_caller]
pub fn metric(envoy: &Envoy, name: &str) -> u64 {
    let stats = envoy
        .admin()
        .stats(&format!("portcullis_audit_log_records_{name}"));
    stats.values().sum()
}
