//! The rate-limit filter with a fault in its store, chosen by the VM's environment variable `FAULT`. A test of exactness
//! that passes with one of them tests nothing.

#![cfg(target_arch = "wasm32")]

use portcullis_kit::exchange::{Exchange, Version};
use rate_limit::bucket::Displaced;
use rate_limit::decide::{Rule, Taken, decide};
use rate_limit::store::{Answer, Fingerprint, Outcome, Shared, Store, Table, Trouble};

/// What is wrong.
enum Fault {
    /// A bucket is created without looking whether another worker just did.
    CreatesBlindly,
    /// What was decided over the value first read is written whatever stands there by then.
    DecidesOnce,
    /// The VM traps where a request's end would give back what it held.
    TrapsAtTheEnd,
}

/// The faulty store.
pub struct Faulty {
    sound: Shared,
    fault: Fault,
}

impl Store for Faulty {
    fn start() -> Self {
        Self {
            sound: Shared::start(),
            fault: match std::env::var("FAULT").as_deref() {
                Ok("creates-blindly") => Fault::CreatesBlindly,
                Ok("traps-at-the-end") => Fault::TrapsAtTheEnd,
                _ => Fault::DecidesOnce,
            },
        }
    }

    fn fingerprint<X: Exchange>(
        &self,
        table: &Table,
        identity: &[u8],
        host: &X,
    ) -> Result<Fingerprint, Trouble> {
        self.sound.fingerprint(table, identity, host)
    }

    fn take<X: Exchange>(
        &self,
        table: &Table,
        identity: Fingerprint,
        rules: &[Rule],
        now: u64,
        host: &X,
    ) -> Answer {
        let key = table.key(identity);
        let Ok(found) = host.shared(&key) else {
            return self.sound.take(table, identity, rules, now, host);
        };
        // 0 overwrites on Envoy.
        let version = match (&self.fault, &found) {
            (Fault::CreatesBlindly, None) | (Fault::DecidesOnce, _) => Version(0),
            (Fault::CreatesBlindly, Some(_)) | (Fault::TrapsAtTheEnd, _) => {
                return self.sound.take(table, identity, rules, now, host);
            }
        };
        let value = found.map(|(value, _)| value).unwrap_or_default();
        let decided = decide(&value, identity.short(), rules, now);
        if let Some(value) = &decided.value {
            let _ = host.share(&key, value, version);
        }
        Answer::Now(Outcome {
            result: Ok(decided.decision),
            retries: 0,
            displaced: Displaced::default(),
        })
    }

    fn release<X: Exchange>(
        &self,
        table: &Table,
        identity: Fingerprint,
        taken: &[Taken],
        host: &X,
    ) -> Result<(), Trouble> {
        if matches!(self.fault, Fault::TrapsAtTheEnd) {
            std::process::abort();
        }
        self.sound.release(table, identity, taken, host)
    }
}

portcullis_adapter::export!(portcullis_kit::plugin::Plugin<rate_limit::RateLimit<Faulty>>);
