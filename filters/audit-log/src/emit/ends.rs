//! Where a request, a chain, a worker or a VM ends.

use audit_chain::Mark;
use portcullis_kit::config::log_line;
use portcullis_kit::exchange::{Exchange, Worker};

use super::{Emit, Host};
use crate::emission::UNWRITTEN;
use crate::ledgers;
use crate::lines::Written;
use crate::notice::Notice;

impl Emit {
    /// Ends the chains of VMs that ended without notice.
    pub(super) fn end_orphans<H: Host>(&self, now: u64, host: &H) {
        if !self.emission.sealed {
            return;
        }
        let mut watch = self.watch.borrow_mut();
        let stream = self.live.stream();
        for lost in ledgers::adopt(&self.emission, stream, &mut watch, now, host) {
            self.count_lost(lost, host);
        }
    }

    /// Counts what was lost with a VM that ended without notice: it can no more.
    pub(super) fn count_lost<H: Host>(&self, lost: u64, host: &H) {
        if lost > 0 {
            host.increment(self.emission.lost, lost);
        }
    }

    /// Another VM has the chain. What of it is still queued is sent, and nobody here accounts for it.
    #[inline(never)]
    pub(super) fn leave_chain<H: Host>(&self, host: &H) {
        if let Some(ledger) = self.ledger.take() {
            ledgers::leave(&ledger);
            let emitter = ledger.borrow().emitter().as_str().to_owned();
            let fields = [("plugin", "audit-log".into()), ("emitter", emitter.into())];
            host.log(log::Level::Warn, &log_line("audit_chain_lost", &fields));
        }
        self.lines.forget_numbers();
        self.began.set(false);
    }

    /// Hands what waits for the proxy's access log over, at a request's end.
    #[inline]
    pub fn write_lines<X: Exchange>(&self, exchange: &mut X) {
        let Some(dropped) = self.emission.access_log else {
            return;
        };
        let written = self.lines.write(exchange);
        let ledger = self.ledger.borrow();
        let ledger = ledger.as_ref();
        match written {
            Written::Nothing => {}
            Written::All { first, last } => {
                if let Some(ledger) = ledger.filter(|_| first > 0) {
                    let mut ledger = ledger.borrow_mut();
                    for seq in first..=last {
                        ledger.acknowledge(seq);
                    }
                }
            }
            Written::Dropped { first, last, lines } => {
                exchange.increment(dropped, lines);
                if let Some(ledger) = ledger.filter(|_| first > 0) {
                    ledger.borrow_mut().give_up_all(first, last, UNWRITTEN);
                }
            }
        }
    }

    /// The configuration ends on this worker. The proxy's log is the one sink that still takes a record then; it gets one
    /// if no other configuration goes on with the chain.
    #[inline(never)]
    pub fn stop<W: Worker>(&self, worker: &W) {
        self.look_after_chain(worker.now(), worker);
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
            // One that has records on their way is looked after until they have arrived.
            if ledger.borrow().is_gone() {
                ledgers::leave(&ledger);
            }
        }
        self.began.set(false);
    }
}
