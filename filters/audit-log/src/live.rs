//! The configurations of a VM that write into one chain: the last one of them ends it.

use std::cell::RefCell;

thread_local! {
    /// One entry for each.
    static STREAMS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// A configuration that is in force, or about to be.
pub struct Live(String);

impl Live {
    #[inline(never)]
    pub fn new(stream: String) -> Self {
        STREAMS.with_borrow_mut(|streams| streams.push(stream.clone()));
        Self(stream)
    }

    /// Whether there is no other one of its stream.
    pub fn is_last(&self) -> bool {
        STREAMS.with_borrow(|streams| streams.iter().filter(|name| **name == self.0).count() <= 1)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        STREAMS.with_borrow_mut(|streams| {
            if let Some(at) = streams.iter().position(|name| *name == self.0) {
                streams.swap_remove(at);
            }
        });
    }
}
