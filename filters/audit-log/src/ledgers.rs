//! All emitters of this VM: those of its configurations, by what they send where, and those of VMs that are gone, until what
//! tells of that is settled.

use std::cell::RefCell;
use std::rc::Rc;

use portcullis_kit::exchange::{Clock, Randomness, SharedData};
use portcullis_kit::slots::Watch;

use crate::emission::Emission;
use crate::ledger::{Ledger, Shared, slot_name};
use crate::live;

struct Entry {
    /// `None` for that of a VM that is gone.
    stream: Option<String>,
    ledger: Shared,
}

thread_local! {
    static ALL: RefCell<Vec<Entry>> = const { RefCell::new(Vec::new()) };
}

/// The emitter of that stream, if this VM has one.
#[inline(never)]
pub fn known<H: Clock + SharedData>(stream: &str, host: &H) -> Option<Shared> {
    let found = ALL.with_borrow(|all| {
        let is_its = |entry: &&Entry| entry.stream.as_deref() == Some(stream);
        all.iter()
            .find(is_its)
            .map(|entry| Rc::clone(&entry.ledger))
    });
    found.filter(|ledger| ledger.borrow_mut().is_ours(host.now(), host))
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
pub fn of_stream<H: Clock + Randomness + SharedData>(
    emission: &Emission,
    stream: &str,
    node: impl FnOnce() -> String,
    host: &H,
) -> Opened {
    if let Some(ledger) = known(stream, host) {
        return Opened {
            ledger,
            is_new: false,
            lost: None,
        };
    }
    let (ledger, lost) = Ledger::open(emission, stream, &node(), host);
    let ledger = add(Some(stream.to_owned()), ledger);
    Opened {
        ledger,
        is_new: true,
        lost,
    }
}

fn add(stream: Option<String>, ledger: Ledger) -> Shared {
    let ledger = Rc::new(RefCell::new(ledger));
    let entry = Entry {
        stream,
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
pub fn adopt<H: Clock + Randomness + SharedData>(
    emission: &Emission,
    stream: &str,
    watch: &mut Watch,
    host: &H,
) -> Vec<u64> {
    let now = host.now();
    let mut lost = Vec::new();
    for (mut slot, state) in watch.look(&slot_name(stream), now, host) {
        if emission.is_local() {
            // Nothing is lost. Who goes on with it says that its VM ended.
            slot.leave(|out| out.extend_from_slice(&state), host);
            continue;
        }
        match Ledger::resume(emission, slot, &state, now) {
            Ok((ledger, records)) => {
                lost.extend(records);
                add(None, ledger);
            }
            // Its VM ended before it sealed anything.
            Err(mut slot) => slot.leave(|_| {}, host),
        }
    }
    lost
}

/// Ends this VM's part in that chain: the next record of its stream begins another one.
pub fn leave(ledger: &Shared) {
    ALL.with_borrow_mut(|all| all.retain(|entry| !Rc::ptr_eq(&entry.ledger, ledger)));
}

/// Those that have something to tell and are not that one.
pub fn with_matters(except: Option<&Shared>) -> Vec<Shared> {
    ALL.with_borrow(|all| {
        let ledgers = all.iter().map(|entry| &entry.ledger);
        let others = ledgers.filter(|ledger| !except.is_some_and(|own| Rc::ptr_eq(own, ledger)));
        let telling = others.filter(|ledger| ledger.borrow().matter().is_some());
        telling.map(Rc::clone).collect()
    })
}

/// Shows that those that are at work are, and ends those that nobody writes into any more and that have nothing to wait for.
#[inline(never)]
pub fn tend<H: SharedData>(now: u64, host: &H) {
    ALL.with_borrow_mut(|all| {
        all.retain(|entry| {
            let mut ledger = entry.ledger.borrow_mut();
            ledger.tend(now, host);
            let is_used = entry.stream.as_deref().is_some_and(live::is_live);
            if !is_used {
                ledger.end(host);
            }
            !ledger.is_gone()
        });
    });
}
