//! What waits for a request's end, to go into the proxy's access log as the filter state of that request.
//!
//! A host takes it where the plugin is an HTTP filter. Where it takes none, lines wait for the next request's end, as far as
//! there is room.

use std::cell::RefCell;

use portcullis_kit::exchange::Exchange;

use crate::emission::LOG_STATE;

/// So much waits at most.
const MAX_BYTES: usize = 64 << 10;

/// Lines that wait, and the numbers of their records in the chain.
#[derive(Default)]
pub struct Lines(RefCell<Waiting>);

#[derive(Default)]
struct Waiting {
    text: Vec<u8>,
    lines: u64,
    first: u64,
    last: u64,
}

/// What became of what waited: records from `first` to `last`, which are 0 where nobody accounts for them.
#[derive(Debug, PartialEq, Eq)]
pub enum Written {
    /// Nothing did, or it still does.
    Nothing,
    All {
        first: u64,
        last: u64,
    },
    Dropped {
        first: u64,
        last: u64,
        lines: u64,
    },
}

impl Lines {
    /// Adds a record. Its number follows that of the one before it, or is 0 where records are not sealed.
    #[inline]
    pub fn add(&self, record: &[u8], seq: u64) {
        let Ok(mut waiting) = self.0.try_borrow_mut() else {
            return;
        };
        if waiting.lines > 0 {
            waiting.text.push(b'\n');
        }
        if waiting.first == 0 {
            waiting.first = seq;
        }
        waiting.last = seq;
        waiting.lines += 1;
        waiting.text.extend_from_slice(record);
    }

    /// What waits is no longer accounted for: its chain is another VM's.
    pub fn forget_numbers(&self) {
        if let Ok(mut waiting) = self.0.try_borrow_mut() {
            (waiting.first, waiting.last) = (0, 0);
        }
    }

    /// Makes all that waits the filter state of the request that ends.
    #[inline]
    pub fn write<X: Exchange>(&self, exchange: &mut X) -> Written {
        let Ok(mut waiting) = self.0.try_borrow_mut() else {
            return Written::Nothing;
        };
        let Waiting {
            first, last, lines, ..
        } = *waiting;
        if lines == 0 {
            return Written::Nothing;
        }
        let taken = exchange.set_log_state(LOG_STATE, &waiting.text);
        if !taken && waiting.text.len() < MAX_BYTES {
            return Written::Nothing;
        }
        (waiting.lines, waiting.first, waiting.last) = (0, 0, 0);
        // The next text is about as long.
        waiting.text.clear();
        if taken {
            Written::All { first, last }
        } else {
            Written::Dropped { first, last, lines }
        }
    }
}
