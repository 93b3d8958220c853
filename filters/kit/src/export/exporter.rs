//! What a filter holds: the way in for records, and the worker's callbacks.

use std::cell::RefCell;
use std::rc::Rc;

use crate::exchange::{CalloutAnswer, CalloutId, Worker};

use super::metrics::Reason;
use super::park::{self, Left};
use super::plan::Plan;
use super::settings::{Ack, Overflow};
use super::state::State;
use super::{Encode, Record};

/// What became of a record that was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    Queued,
    /// There was no room; it is dropped and counted.
    Dropped,
    /// There was no room, and the policy is `deny`; it is dropped and counted.
    Denied,
}

/// The end of records.
#[derive(Debug, PartialEq, Eq)]
pub enum Settled<R> {
    /// The sinks took them, save `rejected` of them that they name by number only.
    Acknowledged {
        records: Vec<R>,
        rejected: u64,
    },
    Dropped {
        records: Vec<R>,
        reason: Reason,
    },
}

/// The sinks' formats, in the order of the plan's sinks.
pub type Encoders<R> = Rc<[Box<dyn Encode<R>>]>;

/// Delivers the records of one plugin on one worker.
pub struct Exporter<R: Record> {
    pub(super) plan: Rc<Plan>,
    pub(super) encoders: Encoders<R>,
    pub(super) state: RefCell<State<R>>,
    /// What earlier configurations left for other sinks than ours: it goes out as they would have sent it.
    guests: RefCell<Vec<Exporter<R>>>,
}

impl<R: Record> Exporter<R> {
    /// One encoder for each sink of the plan.
    pub fn new(plan: Rc<Plan>, encoders: Vec<Box<dyn Encode<R>>>) -> Self {
        let state = State::new(&plan);
        Self::with_state(plan, encoders.into(), state)
    }

    pub(super) fn with_state(plan: Rc<Plan>, encoders: Encoders<R>, state: State<R>) -> Self {
        Self {
            plan,
            encoders,
            state: RefCell::new(state),
            guests: RefCell::default(),
        }
    }

    /// Keeps every record's end for [`Exporter::settled`], which then must be called after each tick and answer.
    #[must_use]
    pub fn watched(self) -> Self {
        self.state.borrow_mut().settled = Some(Vec::new());
        self
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Queues a record. `now`: nanoseconds since the epoch.
    pub fn push(&self, record: R, now: u64) -> Pushed {
        self.state.borrow_mut().push(&self.plan, record, now)
    }

    /// Whether a record of that size could be queued now without dropping any.
    pub fn has_room(&self, size: usize) -> bool {
        self.state.borrow().has_room(&self.plan, size)
    }

    /// Counts a record that was not pushed because there was no room, as the queue's policy names it.
    pub fn turn_away(&self) {
        let reason = match self.plan.overflow() {
            Overflow::Deny => Reason::Denied,
            Overflow::DropOldest | Overflow::DropNewest => Reason::Overflow,
        };
        self.state.borrow_mut().tally.dropped(reason, 1);
    }

    /// For how many nanoseconds no acknowledgement can come, because sinks that failed are not asked again before.
    pub fn silent_for(&self, wall: u64) -> u64 {
        let mut state = self.state.borrow_mut();
        let now = state.clock.at(wall);
        let waits = state.sinks.iter();
        let waits = waits.map(|sink| sink.not_before.saturating_sub(now));
        let wait = match self.plan.terms.ack {
            Ack::Any => waits.min(),
            Ack::All => waits.max(),
        };
        wait.unwrap_or(0)
    }

    /// How many records wait or are on their way.
    pub fn held(&self) -> usize {
        self.state.borrow().held.records
    }

    /// Whether no sink would take a record now.
    pub fn is_down(&self) -> bool {
        let state = self.state.borrow();
        state.sinks.iter().all(super::sink::Sink::is_down)
    }

    /// What became of records since the last call, ours and what we go on with for earlier configurations; nothing unless
    /// [`Exporter::watched`].
    pub fn settled(&self) -> Vec<Settled<R>> {
        let guests = self.guests.borrow();
        let mut all: Vec<_> = guests.iter().flat_map(Self::settled).collect();
        all.append(&mut self.state.borrow_mut().take_settled());
        all
    }

    /// How many batches were sent once more since the last call.
    pub fn retried(&self) -> u64 {
        let guests = self.guests.borrow();
        let of_guests: u64 = guests.iter().map(Self::retried).sum();
        of_guests + std::mem::take(&mut self.state.borrow_mut().tally.retried)
    }

    /// Whether records of that plan go where ours go, or where those of an earlier configuration still go.
    pub fn serves(&self, plan: &Plan) -> bool {
        self.plan.is_like(plan) || self.guests.borrow().iter().any(|guest| guest.serves(plan))
    }

    /// Queues a record to go where those of that plan go, if it is served and there is room; whether it was. `size`: about that
    /// of the record that `make` gives.
    pub fn push_for(
        &self,
        plan: &Plan,
        size: usize,
        make: impl FnOnce() -> Option<R>,
        now: u64,
    ) -> bool {
        if !self.plan.is_like(plan) {
            let guests = self.guests.borrow();
            let guest = guests.iter().find(|guest| guest.serves(plan));
            return guest.is_some_and(|guest| guest.push_for(plan, size, make, now));
        }
        // A sink that refuses would be told of its refusals for ever.
        !self.is_down()
            && self.has_room(size)
            && make().is_some_and(|record| self.push(record, now) == Pushed::Queued)
    }

    /// Sends what is due. Call it every [`Plan::tick_period_ms`].
    pub fn tick<W: Worker>(&self, worker: &mut W) {
        self.run(false, worker);
    }

    /// Sends everything that may be sent now, full batch or not.
    pub fn flush<W: Worker>(&self, worker: &mut W) {
        self.run(true, worker);
    }

    pub(super) fn run(&self, flush: bool, worker: &mut dyn Worker) {
        self.guests.borrow_mut().retain(|guest| {
            if guest.held() == 0 {
                // Nobody would ever show its sinks to be well again.
                let mut state = guest.state.borrow_mut();
                drop(state.empty());
                state.hand_over(&guest.plan, worker);
                self.state.borrow_mut().inherit(&mut state);
            }
            !guest.is_done()
        });
        for left in park::take() {
            self.take_over(left, worker);
        }
        self.send(flush, worker);
        for guest in self.guests.borrow().iter() {
            guest.send(true, worker);
        }
    }

    fn send(&self, flush: bool, worker: &mut dyn Worker) {
        let mut state = self.state.borrow_mut();
        state.expire(&self.plan, worker);
        state.send(&self.plan, &self.encoders, flush, worker);
        state.tell(&self.plan, worker);
    }

    /// Takes an answer to a callout; whether it was one of this exporter's.
    pub fn answered<W: Worker>(
        &self,
        id: CalloutId,
        answer: &CalloutAnswer,
        worker: &mut W,
    ) -> bool {
        self.take(id, answer, worker)
    }

    pub(super) fn take(
        &self,
        id: CalloutId,
        answer: &CalloutAnswer,
        worker: &mut dyn Worker,
    ) -> bool {
        let mut state = self.state.borrow_mut();
        if state.answered(&self.plan, &self.encoders, id, answer, worker) {
            state.send(&self.plan, &self.encoders, false, worker);
            state.tell(&self.plan, worker);
            return true;
        }
        drop(state);
        let guests = self.guests.borrow();
        guests.iter().any(|guest| guest.take(id, answer, worker))
    }

    fn is_done(&self) -> bool {
        self.state.borrow().is_done()
    }

    /// Takes over what an earlier configuration left: into our queue where our sinks are its sinks, else as a guest.
    fn take_over(&self, left: Left<R>, worker: &mut dyn Worker) {
        if left.is_like(&self.plan, &self.encoders) {
            self.absorb(left, worker);
            return;
        }
        let mut guests = self.guests.borrow_mut();
        if guests.len() >= park::MAX_GUESTS {
            let oldest = guests.remove(0);
            let mut state = oldest.state.borrow_mut();
            state.drop_all(Reason::Reload);
            state.hand_over(&oldest.plan, worker);
            self.state.borrow_mut().inherit(&mut state);
        }
        guests.push(Self::with_state(left.plan, left.encoders, left.state));
    }

    fn absorb(&self, mut left: Left<R>, worker: &mut dyn Worker) {
        let records = left.state.empty();
        // Its share of the gauges goes with its records.
        left.state.hand_over(&left.plan, worker);
        let mut state = self.state.borrow_mut();
        state.prepend(&self.plan, records, worker.now());
        state.inherit(&mut left.state);
    }

    /// Leaves what is held to the VM's next exporter of such records.
    pub(super) fn leave(&mut self) {
        // The oldest first, as they are taken over.
        for mut guest in self.guests.take() {
            guest.leave();
        }
        let state = std::mem::take(self.state.get_mut());
        if !state.is_done() {
            park::leave(Left {
                plan: Rc::clone(&self.plan),
                encoders: Rc::clone(&self.encoders),
                state,
            });
        }
    }
}

impl<R: Record> Drop for Exporter<R> {
    fn drop(&mut self) {
        self.leave();
    }
}
