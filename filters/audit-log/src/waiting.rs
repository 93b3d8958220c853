//! The requests that wait for their records' acknowledgements.

use std::rc::Rc;

use portcullis_kit::exchange::ExchangeId;
use portcullis_kit::problem::Client;

use crate::guard::Guard;

/// Names one waiting request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    slot: u32,
    request: ExchangeId,
}

/// A request that waits.
#[derive(Debug)]
pub struct Waiter {
    pub request: ExchangeId,
    /// By a clock that never steps back; nanoseconds.
    pub deadline: u64,
    pub guard: Rc<Guard>,
    pub client: Client,
}

/// All that wait, by the slot that their tickets name. It grows to the most that ever waited at once.
#[derive(Debug, Default)]
pub struct Waiting {
    slots: Vec<Option<Waiter>>,
    free: Vec<u32>,
    /// Those whose waiting holds them up; the others are in shadow.
    acting: usize,
}

impl Waiting {
    pub fn len(&self) -> usize {
        self.slots.len().saturating_sub(self.free.len())
    }

    /// How many of those in shadow wait, or of the others: neither takes the others' room.
    pub fn like(&self, acts: bool) -> usize {
        match acts {
            true => self.acting,
            false => self.len().saturating_sub(self.acting),
        }
    }

    pub fn enter(&mut self, waiter: Waiter) -> Ticket {
        let request = waiter.request;
        self.acting += usize::from(waiter.guard.acts);
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(None);
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(waiter);
        }
        Ticket { slot, request }
    }

    /// The request of that ticket, which waits no longer; none if it did not any more.
    pub fn leave(&mut self, ticket: Ticket) -> Option<Waiter> {
        let place = self.slots.get_mut(ticket.slot as usize)?;
        // The slot may be another request's by now.
        let is_its = |waiter: &mut Waiter| waiter.request == ticket.request;
        let waiter = place.take_if(is_its)?;
        self.acting = self.acting.saturating_sub(usize::from(waiter.guard.acts));
        self.free.push(ticket.slot);
        Some(waiter)
    }

    /// Those that may wait no longer than until that time, which then wait no longer.
    pub fn expired(&mut self, until: u64) -> Vec<Waiter> {
        let mut expired = Vec::new();
        if self.len() == 0 {
            return expired;
        }
        for (slot, place) in (0..).zip(&mut self.slots) {
            if let Some(waiter) = place.take_if(|waiter| waiter.deadline <= until) {
                self.free.push(slot);
                self.acting = self.acting.saturating_sub(usize::from(waiter.guard.acts));
                expired.push(waiter);
            }
        }
        expired
    }
}
