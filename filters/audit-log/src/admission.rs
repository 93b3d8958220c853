//! Whether a request goes on: at once, once its record is acknowledged, or not at all.
//!
//! 1. Exempt paths go on, and so does what the rules do not record at RequestReceived.
//! 2. Where there is no room for a record, as many wait as may, or no sink is asked again in time, it is refused at once, without
//!    a record of this stage.
//! 3. Else its record is sealed, queued and sent at once, with what else waits, and the request waits. Sinks that the proxy
//!    writes itself have the record then.
//! 4. An acknowledgement lets it go on. A record that is dropped or refused, or the end of its time, refuses it. Its own end
//!    takes it out.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use portcullis_kit::exchange::{Exchange, Resume, Worker};
use portcullis_kit::export::Steady;
use portcullis_kit::problem::Client;

use crate::emit::Emit;
use crate::format;
use crate::guard::{Guard, Reason, Wait};
use crate::policy;
use crate::profile::Profile;
use crate::record::Record;
use crate::refusal::refusal;
use crate::seen::Seen;
use crate::settings::Level;
use crate::waiting::{Ticket, Waiter, Waiting};

/// About what a record takes, for which there must be room before it is made.
const RECORD_BYTES: usize = 2048;
const MILLISECOND: u64 = 1_000_000;

/// What a request is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    Passes,
    Waits(Ticket),
    /// Nanoseconds for which no sink is asked.
    Refused(Reason, u64),
}

/// What became of a record that somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Acknowledged,
    Lost(Reason),
}

/// The requests of one configuration that wait on one worker.
#[derive(Debug, Default)]
pub struct Admissions {
    waiting: RefCell<Waiting>,
    clock: RefCell<Steady>,
    /// How often it is looked for those whose time is over, in milliseconds.
    period_ms: Cell<Option<u32>>,
}

impl Admissions {
    /// Looks so often that the shortest of the waiting times is kept.
    pub fn look_after<'g>(&self, guards: impl Iterator<Item = &'g Rc<Guard>>) {
        let waits = guards.filter_map(|guard| guard.wait);
        let shortest = waits.map(|wait| wait.timeout / MILLISECOND).min();
        let period = |timeout: u64| u32::try_from(timeout / 10).unwrap_or(100).clamp(10, 100);
        self.period_ms.set(shortest.map(period));
    }

    pub fn tick_period_ms(&self) -> Option<u32> {
        self.period_ms.get()
    }

    fn enter(&self, waiter: Waiter) -> Ticket {
        self.waiting.borrow_mut().enter(waiter)
    }

    fn leave(&self, ticket: Ticket) -> Option<Waiter> {
        self.waiting.borrow_mut().leave(ticket)
    }

    /// Takes out those that would wait for too long until it is looked for them again.
    fn expired(&self, wall: u64) -> Vec<Waiter> {
        let Some(period) = self.period_ms.get() else {
            return Vec::new();
        };
        let now = self.clock.borrow_mut().at(wall);
        let until = now.saturating_add(u64::from(period) * MILLISECOND);
        self.waiting.borrow_mut().expired(until)
    }
}

impl Emit {
    /// Decides on a request before it goes on.
    #[inline]
    pub fn admit<X: Exchange>(
        &self,
        profile: &Profile,
        guard: &Rc<Guard>,
        node: impl FnOnce(&X) -> String,
        exchange: &mut X,
    ) -> Admission {
        if guard.wait.is_none() && self.has_room(RECORD_BYTES) {
            return Admission::Passes;
        }
        let admission = self.decide(profile, guard, node, exchange);
        if let Admission::Refused(reason, _) = admission {
            exchange.increment(guard.metrics.refused(reason), 1);
        }
        admission
    }

    #[inline(never)]
    fn decide<X: Exchange>(
        &self,
        profile: &Profile,
        guard: &Rc<Guard>,
        node: impl FnOnce(&X) -> String,
        exchange: &mut X,
    ) -> Admission {
        let mut seen = Seen::received(exchange);
        let target = seen.request.get(":path").unwrap_or_default();
        if guard.exempt.match_target(target) {
            return Admission::Passes;
        }
        let level = policy::level(&profile.rules, &mut seen);
        if level == Level::None {
            return Admission::Passes;
        }
        let now = seen.exchange.now();
        let silence = self.silent_for(now);
        if self.denies() && !self.has_room(RECORD_BYTES) {
            return Admission::Refused(Reason::Overflow, silence);
        }
        let Some(wait) = guard.wait else {
            return Admission::Passes;
        };
        if self.is_mute(seen.exchange) {
            return Admission::Refused(Reason::SinkDown, silence);
        }
        let is_local = self.has_at_once();
        if let Some(reason) = self
            .hopeless(wait, guard.acts, silence)
            .filter(|_| !is_local)
        {
            return Admission::Refused(reason, silence);
        }
        let record = Record::of(profile, level, seen, None);
        let ticket = (!is_local).then(|| {
            let deadline = self.admissions.clock.borrow_mut().at(now);
            self.admissions.enter(Waiter {
                request: exchange.id(),
                deadline: deadline.saturating_add(wait.timeout),
                guard: Rc::clone(guard),
                client: if guard.acts {
                    Client::of(exchange)
                } else {
                    Client::default()
                },
            })
        });
        let write = |out: &mut Vec<u8>| format::write(profile.emission.format, &record, out);
        let kept = self.record(
            record.time,
            false,
            write,
            ticket,
            || node(exchange),
            exchange,
        );
        let Some(ticket) = ticket else {
            return Admission::Passes;
        };
        if !kept {
            self.admissions.leave(ticket);
            return Admission::Refused(Reason::Overflow, silence);
        }
        exchange.increment(guard.metrics.waits, 1);
        if guard.acts {
            exchange.hold(guard.metrics.waiting, 1);
        }
        self.send_from(exchange);
        Admission::Waits(ticket)
    }

    /// Why waiting would be in vain.
    fn hopeless(&self, wait: Wait, acts: bool, silence: u64) -> Option<Reason> {
        if self.admissions.waiting.borrow().like(acts) >= wait.max_waiting {
            Some(Reason::Limit)
        } else if silence >= wait.timeout {
            Some(Reason::SinkDown)
        } else {
            None
        }
    }

    /// The request is over; whoever only would have waited is still looked after.
    pub fn ended<X: Exchange>(&self, guard: &Guard, ticket: Ticket, exchange: &X) {
        if guard.acts && self.admissions.leave(ticket).is_some() {
            exchange.hold(guard.metrics.waiting, -1);
        }
    }

    /// Lets requests go on, or refuses them, by what became of their records.
    pub fn release<W: Worker>(&self, fates: Vec<(Ticket, Fate)>, worker: &mut W) {
        for (ticket, fate) in fates {
            let Some(waiter) = self.admissions.leave(ticket) else {
                continue;
            };
            match fate {
                Fate::Acknowledged => {
                    if waiter.guard.acts {
                        worker.hold(waiter.guard.metrics.waiting, -1);
                        worker.resume(waiter.request, Resume::Continue);
                    }
                }
                Fate::Lost(reason) => self.refuse(&waiter, reason, worker),
            }
        }
    }

    /// Refuses those whose time is over.
    pub fn expire<W: Worker>(&self, worker: &mut W) {
        let now = worker.now();
        for waiter in self.admissions.expired(now) {
            self.refuse(&waiter, Reason::Timeout, worker);
        }
    }

    #[inline(never)]
    fn refuse<W: Worker>(&self, waiter: &Waiter, reason: Reason, worker: &mut W) {
        let metrics = &waiter.guard.metrics;
        worker.increment(metrics.refused(reason), 1);
        if waiter.guard.acts {
            worker.hold(metrics.waiting, -1);
            let silence = self.silent_for(worker.now());
            let reply = refusal(reason, silence, &waiter.client);
            worker.resume(waiter.request, Resume::Reply(reply));
        }
    }
}
