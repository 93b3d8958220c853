//! Handing records over: sealed, to the log and to the exporter, with what the bundle tells of itself among them.

mod at_once;
mod ends;
mod tell;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use audit_chain::Mark;
use portcullis_kit::exchange::{
    CalloutAnswer, CalloutId, Clock, Exchange, Log, Metrics, Randomness, SharedData, Worker,
};
use portcullis_kit::export::settings::Overflow;
use portcullis_kit::export::{Exporter, Pushed, Reason};
use portcullis_kit::slots::Watch;

use crate::account::Matter;
use crate::admission::Admissions;
use crate::deliver::Outgoing;
use crate::emission::Emission;
use crate::format;
use crate::ledger::Shared;
use crate::ledgers::{self, Opened};
use crate::lines::Lines;
use crate::live::Live;
use crate::notice::Notice;
use crate::proxy_log::ProxyLog;
use crate::waiting::Ticket;

/// What handing over asks of a host; a request has it, and so has a worker's tick.
pub trait Host: Clock + Randomness + SharedData + Log + Metrics {}

impl<T: Clock + Randomness + SharedData + Log + Metrics> Host for T {}

/// What is to be handed over.
struct Entry {
    time: u64,
    is_event: bool,
    mark: Mark,
    /// What it tells of other records.
    tells: Option<Matter>,
    /// Who waits for it.
    ticket: Option<Ticket>,
    /// It comes later if there is no room for it now: nothing is dropped for it, and it is not dropped.
    can_wait: bool,
}

/// About what a seal adds to a record, and what a queue counts for one beside its bytes.
const SEAL_BYTES: usize = 512;

/// Hands over the records of one configuration on one worker.
pub struct Emit {
    emission: Emission,
    pub admissions: Admissions,
    exporter: Option<Exporter<Outgoing>>,
    ledger: RefCell<Option<Shared>>,
    /// What a record is written into: one for all, so that it grows but once.
    buffer: RefCell<Vec<u8>>,
    /// What waits for a request's end, to go into the proxy's access log.
    lines: Lines,
    live: Live,
    /// What was seen of other VMs with the same stream.
    watch: RefCell<Watch>,
    log: ProxyLog,
    /// Records dropped that no record tells of yet, where records have no numbers.
    unsealed: Cell<u64>,
    /// Records dropped because the proxy's log takes none, that no record tells of yet.
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
            watch: RefCell::default(),
            log: ProxyLog::default(),
            unsealed: Cell::new(0),
            unlogged: Cell::new(0),
            told_down: Cell::new(false),
            began: Cell::new(false),
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
        self.look_after_chain(time, host);
        if !self.began.get() {
            self.begin(node, host);
        }
        if self.emission.access_log.is_some() {
            self.tell_sink(host);
            self.tell(host);
        }
        let entry = Entry {
            time,
            is_event,
            mark: Mark::None,
            tells: None,
            ticket,
            can_wait: false,
        };
        let kept = self.hand_over(entry, write, host);
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
            // It is asked for at most once.
            let mut node = Some(node);
            let mut node = || node.take().map_or_else(String::new, |node| node());
            let (stream, now) = (self.live.stream(), host.now());
            let opened = ledgers::of_stream(&self.emission, stream, &mut node, now, host);
            let Opened { ledger, lost, .. } = opened;
            is_new = opened.is_new;
            ledger
                .borrow_mut()
                .go_under(self.live.number, &self.emission);
            *self.ledger.borrow_mut() = Some(Rc::clone(&ledger));
            if let Some(lost) = lost {
                self.count_lost(lost, host);
                self.tell_of(&ledger, host);
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

    /// Lets the chain go that another VM goes on with, because this one was silent for too long: the next record begins
    /// another one. Asks the host only after a silence.
    #[inline]
    fn look_after_chain<H: Host>(&self, now: u64, host: &H) {
        let is_ours = match &*self.ledger.borrow() {
            Some(ledger) => ledger.borrow_mut().is_ours(now, host),
            None => true,
        };
        if !is_ours {
            self.leave_chain(host);
        }
    }

    /// A record of the bundle itself, which is dropped if there is no room for it.
    fn notice<H: Host>(&self, notice: Notice<'_>, mark: Mark, host: &H) -> bool {
        self.hand_over_notice(notice, mark, None, false, host)
    }

    #[inline(never)]
    fn hand_over_notice<H: Host>(
        &self,
        notice: Notice<'_>,
        mark: Mark,
        tells: Option<Matter>,
        can_wait: bool,
        host: &H,
    ) -> bool {
        let time = host.now();
        let entry = Entry {
            time,
            is_event: false,
            mark,
            tells,
            ticket: None,
            can_wait,
        };
        let write =
            |out: &mut Vec<u8>| format::write_notice(self.emission.format, &notice, time, out);
        self.hand_over(entry, write, host)
    }

    #[inline]
    fn hand_over<H: Host>(
        &self,
        entry: Entry,
        write: impl FnOnce(&mut Vec<u8>) -> usize,
        host: &H,
    ) -> bool {
        let Ok(mut buffer) = self.buffer.try_borrow_mut() else {
            return false;
        };
        buffer.clear();
        let place = write(&mut buffer);
        if !self.is_kept(buffer.len(), entry.can_wait) {
            if !entry.can_wait {
                self.turn_away();
            }
            return false;
        }
        let is_written = self.is_written();
        let mut sealed = None;
        let chain = self.ledger.borrow();
        if let Some(shared) = &*chain {
            let mut ledger = shared.borrow_mut();
            ledger.go_under(self.live.number, &self.emission);
            let at = (entry.time, host);
            if let Some(seq) = ledger.seal(&mut buffer, place, entry.mark, is_written, at) {
                if let Some(matter) = entry.tells {
                    ledger.tells(seq, matter);
                }
                if self.emission.logs && self.log.took() {
                    // The log is there or the proxy is not.
                    ledger.acknowledge(seq);
                }
                sealed = Some((shared, seq));
            }
        }
        if self.emission.access_log.is_some() {
            self.lines.add(&buffer, sealed.map_or(0, |(_, seq)| seq));
        }
        if self.emission.logs
            && let Ok(line) = std::str::from_utf8(&buffer)
        {
            host.log(log::Level::Info, line);
        }
        if let Some(exporter) = &self.exporter {
            let sealed = sealed.filter(|_| !is_written);
            let outgoing = Outgoing {
                place: sealed.map(|(ledger, seq)| (Rc::clone(ledger), seq)),
                time: entry.time,
                is_event: entry.is_event,
                json: buffer.as_slice().into(),
                ticket: entry.ticket,
            };
            return exporter.push(outgoing, entry.time) == Pushed::Queued;
        }
        true
    }

    /// Whether a record of that size is queued and not dropped at once.
    #[inline]
    fn is_kept(&self, size: usize, can_wait: bool) -> bool {
        let exporter = self.exporter.as_ref();
        let Some(exporter) = exporter.filter(|_| !self.is_written()) else {
            return true;
        };
        let makes_room = exporter.plan().overflow() == Overflow::DropOldest && !can_wait;
        makes_room || exporter.has_room(size + SEAL_BYTES)
    }

    /// Counts a record for which there is no room. It is not sealed, so that there is no gap.
    #[inline(never)]
    fn turn_away(&self) {
        match &*self.ledger.borrow() {
            Some(ledger) => ledger.borrow_mut().turn_away(1, self.overflow_reason()),
            None => self.unsealed.set(self.unsealed.get() + 1),
        }
        if let Some(exporter) = &self.exporter {
            exporter.turn_away();
        }
    }

    fn overflow_reason(&self) -> &'static str {
        match self.denies() {
            true => Reason::Denied.name(),
            false => Reason::Overflow.name(),
        }
    }

    fn checkpoint<H: Host>(&self, now: u64, host: &H) {
        let due = match &*self.ledger.borrow() {
            Some(ledger) => ledger.borrow_mut().is_checkpoint_due(now),
            None => false,
        };
        if !due || !self.hand_over_notice(Notice::Checkpoint, Mark::Checkpoint, None, true, host) {
            return;
        }
        if let Some(ledger) = &*self.ledger.borrow() {
            ledger.borrow_mut().checkpoint_done(now);
        }
        host.record(self.emission.last_checkpoint, now / 1_000_000_000);
    }

    /// Sends what is due, and tells of what happened.
    pub fn tick<W: Worker>(&self, worker: &mut W) {
        if let Some(exporter) = &self.exporter {
            exporter.tick(worker);
        }
        let fates = self.settle();
        self.release(fates, worker);
        self.expire(worker);
        self.log.ask(self.emission.unlogged[0], worker);
        self.speak(true, worker);
    }

    pub fn answered<W: Worker>(&self, id: CalloutId, answer: &CalloutAnswer, worker: &mut W) {
        if let Some(exporter) = &self.exporter {
            exporter.answered(id, answer, worker);
        }
        let fates = self.settle();
        self.speak(false, worker);
        self.release(fates, worker);
    }
}
