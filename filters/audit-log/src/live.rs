//! The configurations of a VM that write into one chain: the last one of them ends it.

use std::cell::{Cell, RefCell};

thread_local! {
    /// One entry for each.
    static STREAMS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static NUMBERS: Cell<u64> = const { Cell::new(0) };
}

/// A configuration that is in force, or about to be.
pub struct Live {
    stream: String,
    /// No other one of the VM has it; never 0.
    pub number: u64,
}

fn count(stream: &str) -> usize {
    STREAMS.with_borrow(|streams| streams.iter().filter(|name| *name == stream).count())
}

/// Whether a configuration of that stream is in force.
pub fn is_live(stream: &str) -> bool {
    count(stream) > 0
}

impl Live {
    #[inline(never)]
    pub fn new(stream: String) -> Self {
        STREAMS.with_borrow_mut(|streams| streams.push(stream.clone()));
        let number = NUMBERS.get() + 1;
        NUMBERS.set(number);
        Self { stream, number }
    }

    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// Whether there is no other one of its stream.
    pub fn is_last(&self) -> bool {
        count(&self.stream) <= 1
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // A thread that ends has none any more.
        let _ = STREAMS.try_with(|streams| {
            let mut streams = streams.borrow_mut();
            if let Some(at) = streams.iter().position(|name| *name == self.stream) {
                streams.swap_remove(at);
            }
        });
    }
}
