//! One emitter: seals records and keeps its chain, for all configurations of a VM that send to the same places.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use audit_chain::{Chain, Emitter, Mark, Schedule, Succession};
use portcullis_kit::exchange::{Clock, Randomness, SharedData};

use crate::emission::Emission;
use crate::slot::{self, Held, SILENCE, Slot, Taken};

/// Milliseconds of a time in nanoseconds.
pub fn ms(time: u64) -> u64 {
    time / 1_000_000
}

/// An emitter at work.
pub struct Ledger {
    chain: Chain,
    slot: Option<Slot>,
    schedule: Schedule,
    /// SHA-256 of the configuration under which it last wrote.
    fingerprint: Option<Rc<str>>,
    /// When it last wrote to its slot.
    kept_at: u64,
    /// What was lost with the VM that had this chain, if it ended without notice.
    pub lost: Option<Held>,
    /// Whether the proxy writes records itself, so that none is lost.
    is_local: bool,
    /// What will be lost with this one.
    held: Held,
    /// Records that are neither acknowledged nor given up, oldest first, and which of them are settled.
    open: VecDeque<bool>,
}

/// A ledger that several configurations write into.
pub type Shared = Rc<RefCell<Ledger>>;

thread_local! {
    /// The emitters of this VM, by what they send where.
    static LEDGERS: RefCell<Vec<(String, Shared)>> = const { RefCell::new(Vec::new()) };
}

/// The emitter of that stream, if this VM has one.
#[inline(never)]
pub fn known(emission: &Emission) -> Option<Shared> {
    let stream = emission.stream();
    LEDGERS.with_borrow(|all| {
        let found = all.iter().find(|(name, _)| *name == stream);
        found.map(|(_, ledger)| Rc::clone(ledger))
    })
}

/// The emitter of that stream, and whether it is new to this VM.
#[inline(never)]
pub fn of_stream<H: Clock + Randomness + SharedData>(
    emission: &Emission,
    node: impl FnOnce() -> String,
    host: &H,
) -> (Shared, bool) {
    if let Some(ledger) = known(emission) {
        let is_lost = ledger.borrow().is_lost(host.now(), host);
        if !is_lost {
            ledger.borrow_mut().take_key(emission);
            return (ledger, false);
        }
        leave(emission);
    }
    let stream = emission.stream();
    let ledger = Rc::new(RefCell::new(Ledger::open(emission, &stream, node(), host)));
    LEDGERS.with_borrow_mut(|all| all.push((stream, Rc::clone(&ledger))));
    (ledger, true)
}

/// Ends the chain of a VM that ended without notice, while this one has a chain of its own: the record that says so, which
/// `write` writes, given how many records are lost. Without it the loss of that chain's last records would show only once some VM goes on with it.
#[inline(never)]
pub fn close_orphan<H: Clock + Randomness + SharedData>(
    emission: &Emission,
    write: impl FnOnce(&mut Vec<u8>, u64) -> usize,
    host: &H,
) -> Option<(Vec<u8>, Held)> {
    let (mut slot, state, lost) = slot::take_orphan(&emission.stream(), host.now(), host)?;
    let (mut chain, _) = Chain::resume(&state, emission.key.clone()).ok()?;
    let mut record = Vec::new();
    let place = write(&mut record, lost.records);
    chain.seal(&mut record, place, Mark::Restart).ok()?;
    chain.count_dropped(lost.records);
    slot.leave(&chain, host);
    Some((record, lost))
}

/// Ends this VM's part in that stream: the next record begins another chain.
pub fn leave(emission: &Emission) {
    let stream = emission.stream();
    LEDGERS.with_borrow_mut(|all| all.retain(|(name, _)| *name != stream));
}

impl Ledger {
    fn open<H: Clock + Randomness + SharedData>(
        emission: &Emission,
        stream: &str,
        node: String,
        host: &H,
    ) -> Self {
        let now = host.now();
        let key = emission.key.clone();
        let mut lost = None;
        let (chain, slot) = match slot::take(stream, now, host) {
            Some(Taken::Orphan(slot, state, held)) => match Chain::resume(&state, key.clone()) {
                Ok((mut chain, succession)) => {
                    if succession == Succession::Abrupt {
                        lost = Some(held);
                        chain.count_dropped(held.records);
                    }
                    (chain, Some(slot))
                }
                Err(_) => (start(&node, slot.number, key, host), Some(slot)),
            },
            Some(Taken::New(slot)) => (start(&node, slot.number, key, host), Some(slot)),
            None => (start(&node, 0, key, host), None),
        };
        Self {
            schedule: Schedule::start(
                emission.checkpoint_records,
                emission.checkpoint_ms,
                chain.seq(),
                ms(now),
            ),
            chain,
            slot,
            fingerprint: None,
            kept_at: now,
            lost,
            is_local: emission.is_local(),
            held: Held::default(),
            open: VecDeque::new(),
        }
    }

    /// Goes on under the key of newer settings.
    fn take_key(&mut self, emission: &Emission) {
        let mut state = Vec::new();
        self.chain.store(&mut state, Succession::Orderly);
        if let Ok((chain, _)) = Chain::resume(&state, emission.key.clone()) {
            self.chain = chain;
        }
        // What the newer settings say of checkpoints counts from now on.
        let (seq, age) = (self.chain.seq(), ms(self.kept_at));
        self.schedule = Schedule::start(
            emission.checkpoint_records,
            emission.checkpoint_ms,
            seq,
            age,
        );
    }

    /// Whether the slot was lost to another VM because this one was silent for too long.
    pub fn is_lost<H: SharedData>(&self, now: u64, host: &H) -> bool {
        let silent = now.saturating_sub(self.kept_at) > SILENCE / 2;
        silent && self.slot.as_ref().is_some_and(|slot| !slot.is_ours(host))
    }

    /// Makes the record the chain's next one, whose number it gives; `place` is where `chain` goes. The chain's state is
    /// kept before anyone sees the record.
    #[inline]
    pub fn seal<H: SharedData>(
        &mut self,
        record: &mut Vec<u8>,
        place: usize,
        mark: Mark,
        now: u64,
        host: &H,
    ) -> Option<u64> {
        let sealed = self.chain.seal(record, place, mark).ok()?;
        self.open.push_back(false);
        self.held.records += u64::from(!self.is_local);
        self.keep(now, host);
        Some(sealed.seq)
    }

    /// Writes the chain's state where the next VM finds it.
    #[inline]
    pub fn keep<H: SharedData>(&mut self, now: u64, host: &H) {
        self.kept_at = now;
        if let Some(slot) = &mut self.slot {
            slot.held = self.held;
            slot.keep(&self.chain, now, host);
        }
    }

    /// Notes what the gauges hold, and writes it and what else will be lost where it is found, if that changed.
    pub fn keep_held<H: SharedData>(&mut self, shown: (u64, u64), now: u64, host: &H) {
        self.held.shown = shown;
        if self
            .slot
            .as_ref()
            .is_some_and(|slot| slot.held != self.held)
        {
            self.keep(now, host);
        }
    }

    /// The chain ends in order: whoever takes its slot next goes on with it, at once.
    pub fn end<H: SharedData>(&mut self, host: &H) {
        // What is still on its way may be lost, and then it is a machine's end without notice.
        if let Some(slot) = self.slot.as_mut().filter(|_| self.open.is_empty()) {
            slot.held = Held::default();
            slot.leave(&self.chain, host);
        }
    }

    /// The slot is to hear of us again, long before it is taken for an orphan's.
    pub fn is_stale(&self, now: u64) -> bool {
        now.saturating_sub(self.kept_at) > SILENCE / 10
    }

    /// These records are acknowledged or given up.
    pub fn settle(&mut self, seqs: impl Iterator<Item = u64>) {
        let mut first = self.chain.seq() + 1 - self.open.len() as u64;
        for seq in seqs {
            let at = seq
                .checked_sub(first)
                .and_then(|at| usize::try_from(at).ok());
            if let Some(open) = at.and_then(|at| self.open.get_mut(at)) {
                let settled = u64::from(!std::mem::replace(open, true));
                self.held.records = self.held.records.saturating_sub(settled);
            }
        }
        while self.open.front() == Some(&true) {
            self.open.pop_front();
            self.chain.acknowledge(first);
            first += 1;
        }
    }

    /// Goes on under a configuration; gives that of before, where it is another.
    pub fn load(&mut self, fingerprint: &Rc<str>) -> Option<Rc<str>> {
        let before = self.fingerprint.replace(Rc::clone(fingerprint));
        before.filter(|before| before != fingerprint)
    }

    pub fn chain(&mut self) -> &mut Chain {
        &mut self.chain
    }

    pub fn is_checkpoint_due(&mut self, now: u64) -> bool {
        self.schedule.is_due(self.chain.seq(), ms(now))
    }

    pub fn checkpoint_done(&mut self, now: u64) {
        self.schedule.done(self.chain.seq(), ms(now));
    }
}

fn start<H: Randomness>(node: &str, worker: u32, key: Option<audit_chain::Key>, host: &H) -> Chain {
    let mut boot = [0; 8];
    host.fill(&mut boot);
    Chain::start(Emitter::new(node, u64::from_le_bytes(boot), worker), key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_kit::metrics::MetricId;
    use portcullis_kit::testing::{FakeWorker, Names};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const SECOND: u64 = 1_000_000_000;

    fn emission() -> Emission {
        Emission {
            logs: false,
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
    fn open(host: &FakeWorker) -> Ledger {
        Ledger::open(&emission(), "stream", "node".to_owned(), host)
    }

    fn seal(ledger: &mut Ledger, host: &FakeWorker) -> u64 {
        let mut record = b"{}".to_vec();
        let now = host.now();
        ledger
            .seal(&mut record, 1, Mark::None, now, host)
            .unwrap_or(0)
    }

    #[test]
    fn a_vm_goes_on_with_the_chain_of_one_that_fell_silent_and_not_before() {
        let host = FakeWorker::new(&Names::default());
        let mut first = open(&host);
        assert_eq!((seal(&mut first, &host), seal(&mut first, &host)), (1, 2));
        first.settle([1].into_iter());
        first.keep(host.now(), &host);
        host.pass_ms(9_000);
        let mut second = open(&host);
        assert_eq!(seal(&mut second, &host), 1, "a chain of its own");
        assert_ne!(second.chain.emitter(), first.chain.emitter());
        host.pass_ms(2_000);
        let mut third = open(&host);
        assert!(third.lost.is_some() && second.lost.is_none());
        assert_eq!(third.chain.emitter(), first.chain.emitter());
        assert_eq!(
            (third.chain.head(), third.chain.acknowledged()),
            (first.chain.head(), 1)
        );
        assert_eq!(seal(&mut third, &host), 3);
        assert!(
            first.is_lost(host.now(), &host),
            "who fell silent learns of it"
        );
        assert!(!third.is_lost(host.now() + SILENCE, &host));
        assert_eq!(host.shared.keys(), 2);
    }

    #[test]
    fn an_owner_that_speaks_now_and_then_keeps_its_slot() {
        let host = FakeWorker::new(&Names::default());
        let mut first = open(&host);
        for _ in 0..30 {
            host.pass_ms(1_500);
            if first.is_stale(host.now()) {
                first.keep(host.now(), &host);
            }
        }
        let second = open(&host);
        assert!(second.lost.is_none() && !first.is_lost(host.now() + SECOND, &host));
    }

    #[test]
    fn an_orphan_is_ended_once_by_a_vm_that_has_a_chain_of_its_own() {
        let host = FakeWorker::new(&Names::default());
        let stream = emission().stream();
        let open = || Ledger::open(&emission(), &stream, "node".to_owned(), &host);
        let mut lost = open();
        seal(&mut lost, &host);
        seal(&mut lost, &host);
        lost.settle([1].into_iter());
        lost.keep_held((2, 99), host.now(), &host);
        host.pass_ms(6_000);
        let mut running = open();
        seal(&mut running, &host);
        let close = || {
            let write = |out: &mut Vec<u8>, _| {
                out.extend_from_slice(b"{}");
                1
            };
            close_orphan(&emission(), write, &host)
        };
        assert!(close().is_none(), "not silent for long enough");
        host.pass_ms(6_000);
        running.keep(host.now(), &host);
        let (told, of_it) = close().unwrap();
        let shown = (2, 99);
        assert_eq!(of_it, Held { records: 1, shown });
        let told = String::from_utf8(told).unwrap();
        assert!(
            told.contains("\"restart\":{\"acknowledged\":1},\"seq\":3"),
            "{told}"
        );
        assert!(told.contains(lost.chain.emitter().as_str()), "{told}");
        assert!(close().is_none(), "once");
        assert!(lost.is_lost(host.now(), &host) && !running.is_lost(host.now() + SILENCE, &host));
        let next = open();
        assert!(next.lost.is_none(), "it was told");
        assert_eq!(
            (next.chain.emitter(), next.chain.seq()),
            (lost.chain.emitter(), 3)
        );
    }

    #[test]
    fn without_shared_data_a_chain_begins_anew() {
        let host = FakeWorker::new(&Names::default());
        host.shared.set_broken(true);
        let mut ledger = open(&host);
        assert_eq!((seal(&mut ledger, &host), seal(&mut ledger, &host)), (1, 2));
        assert!(!ledger.is_lost(host.now() + 2 * SILENCE, &host));
    }

    #[test]
    fn acknowledged_is_what_has_no_gap_before_it() {
        let host = FakeWorker::new(&Names::default());
        let mut ledger = open(&host);
        for _ in 0..5 {
            seal(&mut ledger, &host);
        }
        for (seqs, acknowledged) in [
            (vec![2, 3], 0),
            (vec![1], 3),
            (vec![5, 9, 0], 3),
            (vec![4], 5),
        ] {
            ledger.settle(seqs.into_iter());
            assert_eq!(ledger.chain.acknowledged(), acknowledged);
        }
        assert!(ledger.open.is_empty());
    }
    #[test]
    fn a_change_of_settings_names_those_of_before() {
        let mut ledger = open(&FakeWorker::new(&Names::default()));
        let [one, other]: [Rc<str>; 2] = ["one".into(), "other".into()];
        let loaded = [&one, &one, &other, &one].map(|hash| ledger.load(hash));
        assert_eq!(loaded, [None, None, Some(one), Some(other)]);
    }
}
