//! One emitter: seals records, keeps its chain where the next VM finds it, and accounts for what became of them.

use std::cell::RefCell;
use std::rc::Rc;

use audit_chain::{Chain, Emitter, Mark, Schedule, Succession};
use portcullis_kit::exchange::SharedData;
use portcullis_kit::export::Plan;
use portcullis_kit::slots::{self, SECOND, Slot};

use crate::account::{Account, Matter};
use crate::emission::Emission;
use crate::settings::Format;

/// Milliseconds of a time in nanoseconds.
pub fn ms(time: u64) -> u64 {
    time / 1_000_000
}

/// How many records are lost with a VM that ends without notice stands before the chain's state.
const HELD: usize = 8;

/// An emitter at work.
pub struct Ledger {
    chain: Chain,
    slot: Option<Slot>,
    /// The chain's state, as the slot gets it.
    state: Vec<u8>,
    schedule: Schedule,
    /// SHA-256 of the configuration under which it last wrote.
    fingerprint: Option<Rc<str>>,
    /// The configuration under which it last wrote, by its number.
    under: u64,
    format: Format,
    plan: Option<Rc<Plan>>,
    /// Whether the proxy writes records itself, so that none is lost.
    is_local: bool,
    /// When it last wrote to its slot, and how much that said would be lost.
    kept_at: u64,
    kept_held: u64,
    /// Another VM has the chain.
    is_gone: bool,
    account: Account,
}

/// A ledger that several configurations write into.
pub type Shared = Rc<RefCell<Ledger>>;

impl Ledger {
    /// A chain that was left in its slot, or a new one; with it how many records were lost, if a VM ended with it.
    pub fn open(
        emission: &Emission,
        stream: &str,
        node: &str,
        now: u64,
        host: &dyn slots::Host,
    ) -> (Self, Option<u64>) {
        match slots::take(&slot_name(stream), now, host) {
            Some((slot, state)) => {
                let number = slot.number;
                match Self::resume(emission, slot, &state, now) {
                    Ok(resumed) => resumed,
                    Err(slot) => {
                        let chain = start(node, number, emission, host);
                        (Self::of(emission, chain, Some(slot), now), None)
                    }
                }
            }
            None => {
                let chain = start(node, 0, emission, host);
                (Self::of(emission, chain, None, now), None)
            }
        }
    }

    /// Goes on with the chain whose state stood in that slot.
    pub fn resume(
        emission: &Emission,
        slot: Slot,
        state: &[u8],
        now: u64,
    ) -> Result<(Self, Option<u64>), Slot> {
        let (Some(held), Some(state)) = (held_in(state), state.get(HELD..)) else {
            return Err(slot);
        };
        let Ok((mut chain, succession)) = Chain::resume(state, emission.key.clone()) else {
            return Err(slot);
        };
        let lost = (succession == Succession::Abrupt).then_some(held);
        let mut account = Account::default();
        if let Some(records) = lost {
            chain.count_dropped(records);
            account.add(Matter::Restart {
                acknowledged: chain.acknowledged(),
                records,
            });
        }
        let mut ledger = Self::of(emission, chain, Some(slot), now);
        ledger.account = account;
        Ok((ledger, lost))
    }

    fn of(emission: &Emission, chain: Chain, slot: Option<Slot>, now: u64) -> Self {
        Self {
            schedule: Schedule::start(
                emission.checkpoint_records,
                emission.checkpoint_ms,
                chain.seq(),
                ms(now),
            ),
            chain,
            slot,
            state: Vec::new(),
            fingerprint: None,
            under: 0,
            format: emission.format,
            plan: emission.plan.clone(),
            is_local: emission.is_local(),
            kept_at: now,
            kept_held: 0,
            is_gone: false,
            account: Account::default(),
        }
    }

    /// Goes on under that configuration: several write into one chain, each under its own key and in its own form.
    #[inline]
    pub fn go_under(&mut self, number: u64, emission: &Emission) {
        if self.under != number {
            self.under = number;
            self.take_terms(emission);
        }
    }

    #[inline(never)]
    fn take_terms(&mut self, emission: &Emission) {
        self.chain.set_key(emission.key.clone());
        self.schedule
            .set(emission.checkpoint_records, emission.checkpoint_ms);
        self.format = emission.format;
        self.plan.clone_from(&emission.plan);
        self.is_local = emission.is_local();
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// Where its records go, if they go to sinks that are asked by HTTP and nowhere else.
    pub fn plan(&self) -> Option<Rc<Plan>> {
        self.plan.clone().filter(|_| !self.is_local)
    }

    pub fn emitter(&self) -> &Emitter {
        self.chain.emitter()
    }

    /// Whether this VM still has the chain: after a silence another one may have taken it for one whose VM is gone.
    #[inline]
    pub fn is_ours(&mut self, now: u64, host: &dyn slots::Host) -> bool {
        if !self.is_gone && slots::is_in_doubt(self.kept_at, now) {
            self.renew(now, host);
        }
        !self.is_gone
    }

    #[inline(never)]
    fn renew(&mut self, now: u64, host: &dyn slots::Host) {
        self.kept_at = now;
        let held = self.fill();
        if let Some(slot) = &mut self.slot
            && !slot.renew(now, &[&held.to_le_bytes(), &self.state], host)
        {
            self.is_gone = true;
            self.slot = None;
        }
    }

    /// Shows in its slot that it lives, and what would be lost now.
    pub fn tend(&mut self, now: u64, host: &dyn slots::Host) {
        if now.abs_diff(self.kept_at) >= SECOND {
            self.renew(now, host);
        } else if self.account.held() != self.kept_held {
            self.keep(now, host);
        }
    }

    /// Makes the record the chain's next one, whose number it gives; `place` is where `chain` goes. The chain's state is
    /// kept before anyone sees the record. `is_written`: the proxy has it then. Ask [`Ledger::is_ours`] before.
    #[inline]
    pub fn seal<H: SharedData>(
        &mut self,
        record: &mut Vec<u8>,
        place: usize,
        mark: Mark,
        is_written: bool,
        (now, host): (u64, &H),
    ) -> Option<u64> {
        let sealed = self.chain.seal(record, place, mark).ok()?;
        self.account.sealed(is_written);
        self.keep(now, host);
        Some(sealed.seq)
    }

    /// The record with that number, which was just sealed, tells of others.
    pub fn tells(&mut self, seq: u64, matter: Matter) {
        self.account.tells(seq, matter);
    }

    #[inline]
    fn keep<H: SharedData + ?Sized>(&mut self, now: u64, host: &H) {
        self.kept_at = now;
        let held = self.fill();
        if let Some(slot) = &mut self.slot {
            slot.write(now, &[&held.to_le_bytes(), &self.state], host);
        }
    }

    #[inline]
    fn fill(&mut self) -> u64 {
        self.chain.store(&mut self.state, Succession::Abrupt);
        self.kept_held = self.account.held();
        self.kept_held
    }

    /// The chain ends in order: whoever takes its slot next goes on with it, at once.
    pub fn end(&mut self, host: &dyn slots::Host) {
        // What is still on its way may be lost, and then it is a machine's end without notice.
        if !self.account.is_settled() {
            return;
        }
        self.chain.store(&mut self.state, Succession::Orderly);
        if let Some(mut slot) = self.slot.take() {
            slot.leave(&[&[0; HELD], &self.state], host);
        }
        self.is_gone = true;
    }

    pub fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// Whether nothing of it is on its way or to be told.
    pub fn is_settled(&self) -> bool {
        self.account.is_settled()
    }

    /// What a record is to tell next.
    pub fn matter(&self) -> Option<Matter> {
        self.account.next().filter(|_| !self.is_gone)
    }

    /// A record is acknowledged.
    #[inline]
    pub fn acknowledge(&mut self, seq: u64) {
        let last = self.chain.seq();
        self.account.acknowledge(seq, last);
        self.chain.acknowledge(self.account.acknowledged(last));
    }

    /// A sealed record is given up.
    pub fn give_up(&mut self, seq: u64, reason: &'static str) {
        self.chain.count_dropped(1);
        let last = self.chain.seq();
        self.account.give_up(seq, last, reason);
        self.chain.acknowledge(self.account.acknowledged(last));
    }

    /// Sealed records are given up that no sink was asked for.
    pub fn give_up_all(&mut self, first: u64, last: u64, reason: &'static str) {
        for seq in first..=last {
            self.give_up(seq, reason);
        }
    }

    /// Records are given up before they have a number.
    pub fn turn_away(&mut self, records: u64, reason: &'static str) {
        self.chain.count_dropped(records);
        self.account.add(Matter::Unsealed { records, reason });
    }

    /// So many records that were acknowledged are not there, and nobody says which.
    pub fn count_rejected(&mut self, records: u64) {
        self.chain.count_dropped(records);
    }

    pub fn count_retried(&mut self, batches: u64) {
        self.chain.count_retried(batches);
    }

    /// Goes on under a configuration; gives that of before, where it is another.
    pub fn load(&mut self, fingerprint: &Rc<str>) -> Option<Rc<str>> {
        let before = self.fingerprint.replace(Rc::clone(fingerprint));
        before.filter(|before| before != fingerprint)
    }

    pub fn is_checkpoint_due(&mut self, now: u64) -> bool {
        self.schedule.is_due(self.chain.seq(), ms(now))
    }

    pub fn checkpoint_done(&mut self, now: u64) {
        self.schedule.done(self.chain.seq(), ms(now));
    }
}

/// How many records are lost with the VM that left this state in its slot.
pub fn held_in(state: &[u8]) -> Option<u64> {
    let held = state.first_chunk::<HELD>();
    held.map(|held| u64::from_le_bytes(*held))
}

/// The name of a stream's slots.
pub fn slot_name(stream: &str) -> Vec<u8> {
    ["audit ", stream].concat().into_bytes()
}

fn start(node: &str, worker: u32, emission: &Emission, host: &dyn slots::Host) -> Chain {
    let mut boot = [0; 8];
    host.fill(&mut boot);
    let emitter = Emitter::new(node, u64::from_le_bytes(boot), worker);
    Chain::start(emitter, emission.key.clone())
}
