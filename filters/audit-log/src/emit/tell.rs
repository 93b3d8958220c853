//! What the bundle tells of itself beside requests: what became of records, of sinks and of other VMs.

use std::rc::Rc;

use audit_chain::Mark;
use portcullis_kit::exchange::Worker;
use portcullis_kit::export::{Reason, Settled};

use super::{Emit, Host, SEAL_BYTES};
use crate::admission::Fate;
use crate::deliver::Outgoing;
use crate::emission::UNWRITTEN;
use crate::format;
use crate::guard;
use crate::ledger::Shared;
use crate::ledgers;
use crate::notice::Notice;
use crate::waiting::Ticket;

impl Emit {
    /// Notes what became of records, each in its own chain, and gives what became of those that somebody waits for.
    pub(super) fn settle(&self) -> Vec<(Ticket, Fate)> {
        let mut fates = Vec::new();
        let Some(exporter) = &self.exporter else {
            return fates;
        };
        for settled in exporter.settled() {
            add_fates(&settled, &mut fates);
            match settled {
                Settled::Acknowledged { records, rejected } => {
                    let mut places = records.iter().filter_map(|one| one.place.as_ref());
                    let of_ours = places.clone().count() as u64;
                    if let Some((ledger, _)) = places.next() {
                        ledger.borrow_mut().count_rejected(rejected.min(of_ours));
                    }
                    for (ledger, seq) in records.iter().filter_map(|one| one.place.as_ref()) {
                        ledger.borrow_mut().acknowledge(*seq);
                    }
                }
                Settled::Dropped { records, reason } => {
                    for (ledger, seq) in records.iter().filter_map(|one| one.place.as_ref()) {
                        ledger.borrow_mut().give_up(*seq, reason.name());
                    }
                }
            }
        }
        if let Some(ledger) = &*self.ledger.borrow() {
            ledger.borrow_mut().count_retried(exporter.retried());
        }
        fates
    }

    /// Says what is to be said now, as far as there is room, and looks after chains.
    pub(super) fn speak<W: Worker>(&self, is_tick: bool, worker: &mut W) {
        let now = worker.now();
        self.look_after_chain(now, worker);
        // After new settings, and before their first request: the chain goes on, checkpoints and all.
        let goes_on = self.emission.sealed
            && !self.began.get()
            && ledgers::known(self.live.stream(), now, worker).is_some();
        if goes_on && self.emission.logs {
            // These settings have not asked yet.
            self.log.takes(self.emission.unlogged[0], worker);
        }
        // Where nobody takes records, nothing is said.
        let is_silent = self.emission.access_log.is_some() || self.is_unheard();
        if goes_on && !is_silent {
            self.begin(String::new, worker);
        }
        if self.began.get() {
            if !is_silent {
                if is_tick {
                    self.tell_sink(worker);
                }
                // After an answer there may be room that the next request takes. First of all it is said that a sink is back.
                if is_tick || !self.told_down.get() {
                    self.tell(worker);
                    self.checkpoint(now, worker);
                }
            }
            self.end_orphans(now, worker);
        }
        for other in ledgers::with_matters(self.live.stream()) {
            if other.is_like && self.emission.logs {
                self.tell_as_own(&other.ledger, worker);
            } else {
                self.tell_of_other(&other.ledger, worker);
            }
        }
        ledgers::tend(now, worker);
    }

    /// Tells of a sink that went down or came up.
    #[inline(never)]
    pub(super) fn tell_sink<H: Host>(&self, host: &H) {
        let down = self.is_down();
        if down == self.told_down.get() {
            return;
        }
        let notice = match down {
            true => Notice::SinkDown,
            false => Notice::SinkUp,
        };
        if self.hand_over_notice(notice, Mark::None, None, true, host) {
            self.told_down.set(down);
        }
    }

    /// Whether no sink takes records.
    fn is_down(&self) -> bool {
        let exporter = self.exporter.as_ref();
        exporter.is_some_and(|exporter| exporter.is_down())
    }

    /// Tells of drops.
    #[inline(never)]
    pub(super) fn tell<H: Host>(&self, host: &H) {
        if self.is_down() {
            return;
        }
        let own = self.ledger.borrow().clone();
        let unlogged = self.unlogged.take();
        if let Some(ledger) = own {
            if unlogged > 0 {
                ledger.borrow_mut().turn_away(unlogged, UNWRITTEN);
            }
            self.tell_of(&ledger, host);
            return;
        }
        if unlogged > 0 {
            let (records, reason) = (unlogged, UNWRITTEN);
            self.notice(Notice::Dropped { records, reason }, Mark::None, host);
        }
        let records = self.unsealed.get();
        let reason = self.overflow_reason();
        let notice = Notice::Dropped { records, reason };
        if records > 0 && self.hand_over_notice(notice, Mark::None, None, true, host) {
            self.unsealed
                .set(self.unsealed.get().saturating_sub(records));
        }
    }

    /// Tells what our own chain has to tell.
    #[inline(never)]
    pub(super) fn tell_of<H: Host>(&self, own: &Shared, host: &H) {
        loop {
            // Not in the loop's head: what is asked there stays borrowed.
            let Some(matter) = own.borrow().matter() else {
                return;
            };
            let (notice, mark) = (matter.notice(), matter.mark());
            if !self.hand_over_notice(notice, mark, Some(matter), true, host) {
                return;
            }
        }
    }

    /// Tells what the chain of a VM that is gone has to tell, where our records go, the proxy's log among it.
    #[inline(never)]
    fn tell_as_own<H: Host>(&self, other: &Shared, host: &H) {
        let is_ours = other.borrow_mut().is_ours(host.now(), host);
        if !is_ours || self.is_unheard() || self.is_down() {
            return;
        }
        let own = self.ledger.replace(Some(Rc::clone(other)));
        self.tell_of(other, host);
        self.ledger.replace(own);
    }

    /// Tells what a chain that nobody goes on with has to tell, where its records go: that of a VM that is gone, or of settings that
    /// are no longer in force.
    #[inline(never)]
    fn tell_of_other<H: Host>(&self, other: &Shared, host: &H) {
        let Some(exporter) = &self.exporter else {
            return;
        };
        loop {
            let now = host.now();
            let mut ledger = other.borrow_mut();
            let (Some(matter), Some(plan)) = (ledger.matter(), ledger.plan()) else {
                return;
            };
            if !ledger.is_ours(now, host) {
                return;
            }
            let mut json = Vec::new();
            let place = format::write_notice(ledger.format(), &matter.notice(), now, &mut json);
            let size = json.len() + SEAL_BYTES;
            let make = || {
                let seq = ledger.seal(&mut json, place, matter.mark(), false, (now, host))?;
                ledger.tells(seq, matter);
                Some(Outgoing {
                    place: Some((Rc::clone(other), seq)),
                    time: now,
                    is_event: false,
                    json: json.into(),
                    ticket: None,
                })
            };
            if !exporter.push_for(&plan, size, make, now) {
                return;
            }
        }
    }
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
