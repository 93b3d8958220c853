//! All emitters of this VM: those of its configurations, by what they send where, and those of VMs that are gone, until what
//! tells of that is settled.

use std::cell::RefCell;
use std::rc::Rc;

use portcullis_kit::slots::{Host, Watch};

use crate::emission::Emission;
use crate::ledger::{self, Ledger, Shared, slot_name};
use crate::live;

struct Entry {
    stream: String,
    /// Its VM is gone, and no configuration of ours writes into it.
    is_orphan: bool,
    ledger: Shared,
}

impl Entry {
    /// Whether a configuration that is in force writes into it.
    fn is_used(&self) -> bool {
        !self.is_orphan && live::is_live(&self.stream)
    }
}

thread_local! {
    static ALL: RefCell<Vec<Entry>> = const { RefCell::new(Vec::new()) };
}

/// The emitter of that stream, if this VM has one.
#[inline(never)]
pub fn known(stream: &str, now: u64, host: &dyn Host) -> Option<Shared> {
    let found = ALL.with_borrow(|all| {
        let is_its = |entry: &&Entry| !entry.is_orphan && entry.stream == stream;
        all.iter()
            .find(is_its)
            .map(|entry| Rc::clone(&entry.ledger))
    });
    found.filter(|ledger| ledger.borrow_mut().is_ours(now, host))
}

/// An emitter that a configuration begins to write into.
pub struct Opened {
    pub ledger: Shared,
    pub is_new: bool,
    /// How many records were lost with the VM that had it before, if it ended without notice.
    pub lost: Option<u64>,
}

/// The emitter of that stream.
#[inline(never)]
pub fn of_stream(
    emission: &Emission,
    stream: &str,
    node: &mut dyn FnMut() -> String,
    now: u64,
    host: &dyn Host,
) -> Opened {
    if let Some(ledger) = known(stream, now, host) {
        return Opened {
            ledger,
            is_new: false,
            lost: None,
        };
    }
    let (ledger, lost) = Ledger::open(emission, stream, &node(), now, host);
    let ledger = add(stream, false, ledger);
    Opened {
        ledger,
        is_new: true,
        lost,
    }
}

fn add(stream: &str, is_orphan: bool, ledger: Ledger) -> Shared {
    let ledger = Rc::new(RefCell::new(ledger));
    let entry = Entry {
        stream: stream.to_owned(),
        is_orphan,
        ledger: Rc::clone(&ledger),
    };
    ALL.with_borrow_mut(|all| {
        // One whose chain another VM has is no longer that stream's.
        all.retain(|entry| !entry.ledger.borrow().is_gone());
        all.push(entry);
    });
    ledger
}

/// Takes over the chains of VMs that are gone, to end each by a record that says so: without it the loss of its last records
/// would show only once some VM goes on with it. Gives how many records were lost with each.
#[inline(never)]
pub fn adopt(
    emission: &Emission,
    stream: &str,
    watch: &mut Watch,
    now: u64,
    host: &dyn Host,
) -> Vec<u64> {
    let mut lost = Vec::new();
    for (mut slot, state) in watch.look(&slot_name(stream), now, host) {
        if emission.is_local() && ledger::held_in(&state) == Some(0) {
            // The proxy wrote all of it. Who goes on with it says that its VM ended.
            slot.leave(&[&state], host);
            continue;
        }
        match Ledger::resume(emission, slot, &state, now) {
            Ok((ledger, records)) => {
                lost.extend(records);
                add(stream, true, ledger);
            }
            // Its VM ended before it sealed anything.
            Err(mut slot) => slot.leave(&[], host),
        }
    }
    lost
}

/// Ends this VM's part in that chain: the next record of its stream begins another one.
pub fn leave(ledger: &Shared) {
    ALL.with_borrow_mut(|all| all.retain(|entry| !Rc::ptr_eq(&entry.ledger, ledger)));
}

/// One that has something to tell and nobody to tell it.
pub struct Untold {
    pub ledger: Shared,
    /// Whether its stream is the one that was asked about.
    pub is_like: bool,
}

/// Those that have something to tell, and whose stream no configuration in force has: one that is may send to the same place
/// with other headers, and so to another tenant. `stream`: that of who is to tell it.
pub fn with_matters(stream: &str) -> Vec<Untold> {
    ALL.with_borrow(|all| {
        let entries = all.iter().filter(|entry| !entry.is_used());
        let telling = entries.filter(|entry| entry.ledger.borrow().matter().is_some());
        let untold = telling.map(|entry| Untold {
            ledger: Rc::clone(&entry.ledger),
            is_like: entry.stream == stream,
        });
        untold.collect()
    })
}

/// Shows that those that are at work are, and ends those that nobody writes into any more and that have nothing to wait for.
#[inline(never)]
pub fn tend(now: u64, host: &dyn Host) {
    ALL.with_borrow_mut(|all| {
        all.retain(|entry| {
            let mut ledger = entry.ledger.borrow_mut();
            ledger.tend(now, host);
            if !entry.is_used() {
                ledger.end(host);
            }
            !ledger.is_gone()
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Matter;
    use audit_chain::Mark;
    use portcullis_kit::metrics::MetricId;
    use portcullis_kit::testing::{FakeWorker, Names};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn emission(logs: bool) -> Emission {
        Emission {
            logs,
            unlogged: [MetricId(None); 2],
            access_log: None,
            lost: MetricId(None),
            plan: None,
            encodings: Vec::new(),
            format: crate::settings::Format::Native,
            sealed: true,
            key: None,
            checkpoint_records: 10,
            checkpoint_ms: 1000,
            last_checkpoint: MetricId(None),
            fingerprint: None,
        }
    }

    /// As a VM that starts: it remembers nothing but what is shared.
    fn open(host: &FakeWorker, logs: bool) -> (Ledger, Option<u64>) {
        Ledger::open(&emission(logs), "stream", "node", host.now.get(), host)
    }

    fn seal(ledger: &mut Ledger, host: &FakeWorker) -> u64 {
        let at = (host.now.get(), host);
        let mut record = b"{}".to_vec();
        ledger.seal(&mut record, 1, Mark::None, false, at).unwrap()
    }

    /// Watches for so many seconds; how many records were lost with what was taken over.
    fn watch(seconds: u32, logs: bool, host: &FakeWorker) -> Vec<u64> {
        let mut watch = Watch::default();
        let mut lost = Vec::new();
        for _ in 0..seconds {
            host.pass_ms(1000);
            let now = host.now.get();
            lost.extend(adopt(&emission(logs), "stream", &mut watch, now, host));
            tend(now, host);
        }
        lost
    }

    #[test]
    fn the_chain_of_a_vm_that_is_gone_is_ended_once_and_then_gone_on_with() {
        let host = FakeWorker::new(&Names::default());
        let (mut gone, _) = open(&host, false);
        for _ in 0..3 {
            seal(&mut gone, &host);
        }
        gone.acknowledge(1);
        gone.tend(host.now.get(), &host);
        assert!(watch(9, false, &host).is_empty());
        assert_eq!(watch(30, false, &host), [2]);
        let [Untold { ledger, is_like }] = with_matters("stream").try_into().ok().unwrap();
        assert!(is_like);
        let adopted = ledger;
        let restart = Matter::Restart {
            acknowledged: 1,
            records: 2,
        };
        {
            let mut ledger = adopted.borrow_mut();
            assert_eq!(ledger.matter(), Some(restart));
            let seq = seal(&mut ledger, &host);
            ledger.tells(seq, restart);
        }
        // It is on its way: nobody else may have the chain.
        tend(host.now.get(), &host);
        let (other, _) = open(&host, false);
        assert_ne!(other.emitter(), gone.emitter());
        adopted.borrow_mut().acknowledge(4);
        tend(host.now.get(), &host);
        let (mut next, lost) = open(&host, false);
        assert_eq!((next.emitter(), lost), (gone.emitter(), None));
        assert_eq!((next.matter(), seal(&mut next, &host)), (None, 5));
        host.pass_ms(6_000);
        assert!(!gone.is_ours(host.now.get(), &host));
        assert!(next.is_ours(host.now.get(), &host));
    }

    #[test]
    fn a_step_back_of_the_clock_hides_no_silence_from_whose_chain_was_taken() {
        const SECOND: u64 = 1_000_000_000;
        for back in [0, 6, 8, 13, 16, 3600] {
            let host = FakeWorker::new(&Names::default());
            let (mut stopped, _) = open(&host, false);
            seal(&mut stopped, &host);
            stopped.tend(host.now.get(), &host);
            assert_eq!(watch(12, false, &host), [1], "{back}");
            host.now.set(host.now.get() - back * SECOND);
            assert!(!stopped.is_ours(host.now.get(), &host), "{back}");
            ALL.take();
        }
    }

    #[test]
    fn where_the_proxy_writes_records_whoever_goes_on_with_a_chain_says_that_its_vm_ended() {
        let host = FakeWorker::new(&Names::default());
        let (mut gone, _) = open(&host, true);
        seal(&mut gone, &host);
        gone.acknowledge(1);
        gone.tend(host.now.get(), &host);
        assert!(watch(30, true, &host).is_empty());
        assert!(with_matters("stream").is_empty());
        let (next, lost) = open(&host, true);
        assert_eq!((next.emitter(), lost), (gone.emitter(), Some(0)));
        let restart = Matter::Restart {
            acknowledged: 1,
            records: 0,
        };
        assert_eq!(next.matter(), Some(restart));
    }
}
