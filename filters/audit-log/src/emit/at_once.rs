//! Which records the proxy itself has as soon as they are written, and which nobody can have because its log is set above `info`.

use portcullis_kit::export::settings::Ack;

use super::{Emit, Host};
use crate::emission::UNWRITTEN;

impl Emit {
    /// Whether the proxy writes records itself now.
    pub(super) fn is_written(&self) -> bool {
        self.emission.access_log.is_some() || self.emission.logs && self.log.took()
    }

    /// Whether nobody takes records now: there is the proxy's log alone, and it writes none.
    pub(super) fn is_unheard(&self) -> bool {
        self.emission.logs && self.exporter.is_none() && !self.is_written()
    }

    /// Whether a record is given up because nobody takes it now. It is not sealed, so that there is no gap.
    #[inline(never)]
    pub(super) fn is_given_up<H: Host>(&self, host: &H) -> bool {
        self.log.takes(self.emission.unlogged[0], host);
        let is_unheard = self.is_unheard();
        if is_unheard {
            self.told_down.set(true);
            match &*self.ledger.borrow() {
                // New settings, or the end, may come before the log is back: the chain remembers.
                Some(ledger) => ledger.borrow_mut().turn_away(1, UNWRITTEN),
                None => self.unlogged.set(self.unlogged.get() + 1),
            }
            host.increment(self.emission.unlogged[1], 1);
        }
        is_unheard
    }

    /// Whether a record that is written is acknowledged by that: it stands in the proxy's log, and nobody else is asked.
    pub fn has_at_once(&self) -> bool {
        self.emission.logs && self.log.took() && !self.asks_all()
    }

    /// Whether a record cannot be acknowledged because the proxy's log does not write it.
    pub fn is_mute<H: Host>(&self, host: &H) -> bool {
        let is_mute = self.emission.logs && !self.log.takes(self.emission.unlogged[0], host);
        is_mute && (self.exporter.is_none() || self.asks_all())
    }

    /// Whether each of several sinks must acknowledge.
    fn asks_all(&self) -> bool {
        let plan = self.emission.plan.as_ref();
        plan.is_some_and(|plan| plan.ack() == Ack::All)
    }
}
