//! Where a request, a worker or a VM ends.

use audit_chain::Mark;
use portcullis_kit::exchange::{Exchange, Worker};

use super::{Emit, Host, NOTICE_BYTES};
use crate::deliver::Outgoing;
use crate::emission::UNWRITTEN;
use crate::format;
use crate::ledger;
use crate::lines::Written;
use crate::notice::Notice;
use crate::slot::Held;

impl Emit {
    /// Tells of VMs that ended without notice: what waited in their queues is lost. Where the proxy writes the records
    /// itself, nothing waited.
    pub(super) fn close_orphans<H: Host>(&self, now: u64, host: &H) {
        let Some(exporter) = self.exporter.as_ref() else {
            return;
        };
        if !self.emission.sealed || self.emission.is_local() {
            return;
        }
        let write = |out: &mut Vec<u8>, records| {
            format::write_notice(self.emission.format, &Notice::Restart { records }, now, out)
        };
        while exporter.has_room(NOTICE_BYTES)
            && let Some((json, lost)) = ledger::close_orphan(&self.emission, write, host)
        {
            self.count_lost(lost, host);
            let outgoing = Outgoing {
                // It is of another chain than ours.
                seq: 0,
                time: now,
                is_event: false,
                json: json.into(),
                is_written: false,
                ticket: None,
            };
            exporter.push(outgoing, now);
        }
    }

    /// Counts what was lost with a VM that ended without notice: it can no more.
    pub(super) fn count_lost<H: Host>(&self, lost: Held, host: &H) {
        if lost.records > 0 {
            host.increment(self.emission.lost, lost.records);
        }
        if let Some(exporter) = &self.exporter {
            exporter.unshow(lost.shown, host);
        }
    }

    /// Keeps what would be lost with this VM.
    pub(super) fn keep_held<W: Worker>(&self, worker: &W) {
        if let (Some(exporter), Some(ledger)) = (&self.exporter, &*self.ledger.borrow()) {
            let mut ledger = ledger.borrow_mut();
            ledger.keep_held(exporter.shown(), worker.now(), worker);
        }
    }

    /// Hands what waits for the proxy's access log over, at a request's end.
    #[inline]
    pub fn write_lines<X: Exchange>(&self, exchange: &mut X) {
        let Some(dropped) = self.emission.access_log else {
            return;
        };
        let written = self.lines.write(exchange);
        let ledger = self.ledger.borrow();
        let settle = |first: u64, last: u64| {
            if let Some(ledger) = &*ledger {
                ledger.borrow_mut().settle(first..=last);
            }
        };
        match written {
            Written::Nothing => {}
            Written::All { first, last } => settle(first, last),
            Written::Dropped { first, last, lines } => {
                settle(first, last);
                exchange.increment(dropped, lines);
                if let Some(ledger) = &*ledger {
                    ledger.borrow_mut().chain().count_dropped(lines);
                    let mut untold = self.untold.borrow_mut();
                    untold.add((first, last), UNWRITTEN);
                }
            }
        }
    }

    /// The configuration ends on this worker. The proxy's log is the one sink that still takes a record then; it gets one
    /// if no other configuration goes on with the chain.
    #[inline(never)]
    pub fn stop<W: Worker>(&self, worker: &W) {
        let is_unheard = self.is_unheard();
        self.log.forget(self.emission.unlogged[0], worker);
        if !self.began.get() || !self.emission.logs || !self.live.is_last() {
            return;
        }
        if !is_unheard {
            self.notice(Notice::Stop, Mark::Checkpoint, worker);
        }
        if let Some(ledger) = self.ledger.take() {
            ledger.borrow_mut().end(worker);
            ledger::leave(&self.emission);
        }
        self.began.set(false);
    }
}
