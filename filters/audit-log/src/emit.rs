//! Handing records over: sealed, to the log and to the exporter, with what the bundle tells of itself among them.

mod at_once;
mod ends;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use audit_chain::Mark;
use portcullis_kit::exchange::{
    CalloutAnswer, CalloutId, Clock, Exchange, Log, Metrics, Randomness, SharedData, Worker,
};
use portcullis_kit::export::settings::Overflow;
use portcullis_kit::export::{Exporter, Pushed, Reason, Settled};

use crate::admission::{Admissions, Fate};
use crate::deliver::Outgoing;
use crate::emission::{Emission, UNWRITTEN};
use crate::format;
use crate::guard;
use crate::ledger::{self, Shared};
use crate::lines::Lines;
use crate::live::Live;
use crate::notice::Notice;
use crate::proxy_log::ProxyLog;
use crate::slot::SILENCE;
use crate::untold::Untold;
use crate::waiting::Ticket;

/// What handing over asks of a host; a request has it, and so has a worker's tick.
pub trait Host: Clock + Randomness + SharedData + Log + Metrics {}

impl<T: Clock + Randomness + SharedData + Log + Metrics> Host for T {}

/// About what a notice takes.
const NOTICE_BYTES: usize = 1024;

/// Hands over the records of one configuration on one worker.
pub struct Emit {
    emission: Emission,
    pub admissions: Admissions,
    exporter: Option<Exporter<Outgoing>>,
    ledger: RefCell<Option<Shared>>,
    /// What a record is written into: one for all, so that it grows but once.
    buffer: RefCell<Vec<u8>>,
    untold: RefCell<Untold>,
    /// What waits for a request's end, to go into the proxy's access log.
    lines: Lines,
    live: Live,
    looked_at: Cell<u64>,
    log: ProxyLog,
    /// Records dropped before they had a number, that no record tells of yet.
    unsealed: Cell<u64>,
    /// The same, because the proxy's log takes none.
    unlogged: Cell<u64>,
    told_down: Cell<bool>,
    began: Cell<bool>,
}

impl Emit {
    pub fn new(emission: Emission) -> Self {
        let exporter = emission.plan.as_ref().map(|plan| {
            let encoders = emission.encodings.iter();
            let encoders = encoders.map(|encoding| encoding.encoder()).collect();
            Exporter::new(Rc::clone(plan), encoders).watched()
        });
        Self {
            lines: Lines::default(),
            live: Live::new(emission.stream()),
            emission,
            admissions: Admissions::default(),
            exporter,
            ledger: RefCell::new(None),
            buffer: RefCell::new(Vec::new()),
            untold: RefCell::default(),
            log: ProxyLog::default(),
            unsealed: Cell::new(0),
            unlogged: Cell::new(0),
            told_down: Cell::new(false),
            began: Cell::new(false),
            looked_at: Cell::new(0),
        }
    }

    /// How often [`Emit::tick`] is due, in milliseconds.
    pub fn tick_period_ms(&self) -> Option<u32> {
        let own = match &self.exporter {
            Some(exporter) => Some(exporter.plan().tick_period_ms()),
            // The log is asked whether it takes records.
            None => (self.emission.sealed || self.emission.logs).then_some(1000),
        };
        own.into_iter()
            .chain(self.admissions.tick_period_ms())
            .min()
    }

    /// Hands over a request's record; whether it was taken. `ticket`: who waits for it. `node` names the proxy; it is asked
    /// for once.
    #[inline]
    pub fn record<H: Host>(
        &self,
        time: u64,
        is_event: bool,
        write: impl FnOnce(&mut Vec<u8>) -> usize,
        ticket: Option<Ticket>,
        node: impl FnOnce() -> String,
        host: &H,
    ) -> bool {
        if self.emission.logs && self.is_given_up(host) {
            return false;
        }
        if self.is_lost(time, host) {
            self.leave_chain();
        }
        if !self.began.get() {
            self.begin(node, host);
        }
        if self.emission.access_log.is_some() {
            self.tell(host);
        }
        let kept = self.hand_over(time, is_event, Mark::None, write, ticket, host);
        self.checkpoint(time, host);
        kept
    }

    /// Whether there is room for a record of that size.
    pub fn has_room(&self, size: usize) -> bool {
        let exporter = self.exporter.as_ref();
        let exporter = exporter.filter(|_| !self.is_written());
        exporter.is_none_or(|exporter| exporter.has_room(size))
    }

    /// Whether requests are refused for whose record there is no room.
    pub fn denies(&self) -> bool {
        let plan = self.emission.plan.as_ref();
        plan.is_some_and(|plan| plan.overflow() == Overflow::Deny)
    }

    /// For how many nanoseconds no sink can acknowledge anything.
    pub fn silent_for(&self, now: u64) -> u64 {
        let exporter = self.exporter.as_ref();
        exporter.map_or(0, |exporter| exporter.silent_for(now))
    }

    /// Sends now what somebody waits for.
    pub fn send_from<X: Exchange>(&self, exchange: &mut X) {
        if let Some(exporter) = &self.exporter {
            exporter.send_from(exchange);
        }
    }

    /// The first record of this configuration on this worker. A worker that never gets a request emits nothing.
    #[inline(never)]
    fn begin<H: Host>(&self, node: impl FnOnce() -> String, host: &H) {
        self.began.set(true);
        let mut is_new = true;
        if self.emission.sealed {
            let (ledger, new) = ledger::of_stream(&self.emission, node, host);
            let lost = std::mem::take(&mut ledger.borrow_mut().lost);
            *self.ledger.borrow_mut() = Some(ledger);
            is_new = new;
            if let Some(lost) = lost {
                let records = lost.records;
                self.notice(Notice::Restart { records }, Mark::Restart, host);
                self.count_lost(lost, host);
            }
        }
        if is_new {
            self.notice(Notice::Start, Mark::None, host);
        }
        if let Some(fingerprint) = &self.emission.fingerprint {
            let before = match &*self.ledger.borrow() {
                Some(ledger) => ledger.borrow_mut().load(fingerprint),
                None => None,
            };
            let before = before.as_deref();
            let notice = Notice::SettingsLoaded {
                fingerprint,
                before,
            };
            self.notice(notice, Mark::None, host);
        }
    }

    /// Whether another VM goes on with the chain, because this one was silent for too long. Asked only after a silence.
    #[inline]
    fn is_lost<H: Host>(&self, now: u64, host: &H) -> bool {
        match &*self.ledger.borrow() {
            Some(ledger) => ledger.borrow().is_lost(now, host),
            None => false,
        }
    }

    /// This one begins another chain with its next record.
    #[inline(never)]
    fn leave_chain(&self) {
        ledger::leave(&self.emission);
        *self.ledger.borrow_mut() = None;
        self.began.set(false);
    }

    fn notice<H: Host>(&self, notice: Notice<'_>, mark: Mark, host: &H) {
        let time = host.now();
        let write =
            |out: &mut Vec<u8>| format::write_notice(self.emission.format, &notice, time, out);
        self.hand_over(time, false, mark, write, None, host);
    }

    #[inline]
    fn hand_over<H: Host>(
        &self,
        time: u64,
        is_event: bool,
        mark: Mark,
        write: impl FnOnce(&mut Vec<u8>) -> usize,
        ticket: Option<Ticket>,
        host: &H,
    ) -> bool {
        let Ok(mut buffer) = self.buffer.try_borrow_mut() else {
            return false;
        };
        buffer.clear();
        let place = write(&mut buffer);
        if !self.is_kept(buffer.len()) {
            // Not sealed, so that there is no gap.
            self.unsealed.set(self.unsealed.get() + 1);
            if let Some(ledger) = &*self.ledger.borrow() {
                ledger.borrow_mut().chain().count_dropped(1);
            }
            if let Some(exporter) = &self.exporter {
                exporter.turn_away();
            }
            return false;
        }
        let mut seq = 0;
        if let Some(ledger) = &*self.ledger.borrow() {
            let mut ledger = ledger.borrow_mut();
            seq = ledger
                .seal(&mut buffer, place, mark, time, host)
                .unwrap_or(0);
            if self.emission.logs && self.log.took() {
                // The log is there or the proxy is not.
                ledger.settle(std::iter::once(seq));
            }
        }
        if self.emission.access_log.is_some() {
            self.lines.add(&buffer, seq);
        }
        if self.emission.logs
            && let Ok(line) = std::str::from_utf8(&buffer)
        {
            host.log(log::Level::Info, line);
        }
        if let Some(exporter) = &self.exporter {
            let outgoing = Outgoing {
                seq,
                time,
                is_event,
                json: buffer.as_slice().into(),
                is_written: self.is_written(),
                ticket,
            };
            return exporter.push(outgoing, time) == Pushed::Queued;
        }
        true
    }

    /// Whether there is room for a record of that size; if not, it is counted as dropped.
    #[inline]
    fn is_kept(&self, size: usize) -> bool {
        let exporter = self.exporter.as_ref();
        let Some(exporter) = exporter.filter(|_| !self.is_written()) else {
            return true;
        };
        exporter.plan().overflow() == Overflow::DropOldest || exporter.has_room(size + 512)
    }

    fn checkpoint<H: Host>(&self, now: u64, host: &H) {
        let due = match &*self.ledger.borrow() {
            Some(ledger) => ledger.borrow_mut().is_checkpoint_due(now),
            None => false,
        };
        if !due {
            return;
        }
        self.notice(Notice::Checkpoint, Mark::Checkpoint, host);
        if let Some(ledger) = &*self.ledger.borrow() {
            ledger.borrow_mut().checkpoint_done(now);
        }
        host.record(self.emission.last_checkpoint, now / 1_000_000_000);
    }

    /// Sends what is due, and tells of what happened.
    pub fn tick<W: Worker>(&self, worker: &mut W) {
        if self.emission.sealed && self.ledger.borrow().is_none() {
            // After new settings, and before their first request: what older ones sealed is settled, and the chain is
            // not taken for one whose VM is gone.
            *self.ledger.borrow_mut() = ledger::known(&self.emission);
        }
        if let Some(exporter) = &self.exporter {
            exporter.tick(worker);
        }
        let fates = self.settle();
        self.release(fates, worker);
        self.expire(worker);
        let now = worker.now();
        if self.is_lost(now, worker) {
            self.leave_chain();
            return;
        }
        self.log.ask(self.emission.unlogged[0], worker);
        let began = self.began.get();
        if !began && self.ledger.borrow().is_none() {
            return;
        }
        if began && self.emission.access_log.is_none() && !self.is_unheard() {
            self.tell(worker);
            self.checkpoint(now, worker);
        }
        if let Some(ledger) = &*self.ledger.borrow() {
            let mut ledger = ledger.borrow_mut();
            if ledger.is_stale(now) {
                ledger.keep(now, worker);
            }
        }
        self.keep_held(worker);
        if now.saturating_sub(self.looked_at.get()) > SILENCE / 2 {
            self.looked_at.set(now);
            self.close_orphans(now, worker);
        }
    }

    pub fn answered<W: Worker>(&self, id: CalloutId, answer: &CalloutAnswer, worker: &mut W) {
        if let Some(exporter) = &self.exporter {
            exporter.answered(id, answer, worker);
        }
        let fates = self.settle();
        self.keep_held(worker);
        self.release(fates, worker);
    }

    /// Notes what became of records, and tells what became of those that somebody waits for.
    fn settle(&self) -> Vec<(Ticket, Fate)> {
        let mut fates = Vec::new();
        let Some(exporter) = &self.exporter else {
            return fates;
        };
        let all = exporter.settled();
        for settled in &all {
            add_fates(settled, &mut fates);
        }
        let Some(ledger) = &*self.ledger.borrow() else {
            return fates;
        };
        let mut ledger = ledger.borrow_mut();
        ledger.chain().count_retried(exporter.retried());
        for settled in all {
            match settled {
                Settled::Acknowledged { records, rejected } => {
                    let seqs = seqs_of_unwritten(&records);
                    ledger
                        .chain()
                        .count_dropped(rejected.min(seqs.len() as u64));
                    ledger.settle(seqs.into_iter());
                }
                Settled::Dropped { records, reason } => {
                    let seqs = seqs_of_unwritten(&records);
                    ledger.chain().count_dropped(seqs.len() as u64);
                    ledger.settle(seqs.iter().copied());
                    let mut untold = self.untold.borrow_mut();
                    for seq in seqs.into_iter().filter(|seq| *seq > 0) {
                        untold.add((seq, seq), reason.name());
                    }
                }
            }
        }
        fates
    }

    /// Tells of drops and of sinks that went down or came up, once there is room for it.
    #[inline(never)]
    fn tell<H: Host>(&self, host: &H) {
        if let Some(exporter) = &self.exporter {
            if !exporter.has_room(NOTICE_BYTES) {
                return;
            }
            let down = exporter.is_down();
            if down != self.told_down.replace(down) {
                let notice = if down {
                    Notice::SinkDown
                } else {
                    Notice::SinkUp
                };
                self.notice(notice, Mark::None, host);
            }
            if down {
                return;
            }
        } else if self.told_down.replace(false) {
            self.notice(Notice::SinkUp, Mark::None, host);
        }
        let records = self.unlogged.take();
        if records > 0 {
            if let Some(ledger) = &*self.ledger.borrow() {
                ledger.borrow_mut().chain().count_dropped(records);
            }
            let reason = UNWRITTEN;
            self.notice(Notice::Dropped { records, reason }, Mark::None, host);
        }
        let records = self.unsealed.take();
        if records > 0 {
            let reason = match self.denies() {
                true => Reason::Denied.name(),
                false => Reason::Overflow.name(),
            };
            self.notice(Notice::Dropped { records, reason }, Mark::None, host);
        }
        for (first, last, reason) in self.untold.take().take() {
            let notice = Notice::Dropped {
                records: last - first + 1,
                reason,
            };
            self.notice(notice, Mark::Dropped { first, last }, host);
        }
    }
}

/// The numbers of those that only sinks can have: what becomes of the others at a sink loses nothing.
fn seqs_of_unwritten(records: &[Outgoing]) -> Vec<u64> {
    let unwritten = records.iter().filter(|record| !record.is_written);
    unwritten.map(|record| record.seq).collect()
}

/// What became of those records that somebody waits for. Which ones a sink did not take of a batch that it took, it does not
/// say: then none of them counts as taken.
fn add_fates(settled: &Settled<Outgoing>, fates: &mut Vec<(Ticket, Fate)>) {
    let (records, fate) = match settled {
        Settled::Acknowledged {
            records,
            rejected: 0,
        } => (records, Fate::Acknowledged),
        Settled::Acknowledged { records, .. } => (records, Fate::Lost(guard::Reason::Refused)),
        Settled::Dropped { records, reason } => {
            let reason = match reason {
                Reason::Refused | Reason::Rejected => guard::Reason::Refused,
                Reason::Overflow | Reason::Denied | Reason::TooLarge | Reason::Reload => {
                    guard::Reason::Overflow
                }
            };
            (records, Fate::Lost(reason))
        }
    };
    let tickets = records.iter().filter_map(|record| record.ticket);
    fates.extend(tickets.map(|ticket| (ticket, fate)));
}
