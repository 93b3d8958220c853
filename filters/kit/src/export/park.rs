//! Where an exporter that ends leaves what it could not deliver, for the next one of its VM.

use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;

use super::Record;
use super::exporter::Encoders;
use super::plan::Plan;
use super::state::State;

/// How many left exporters one goes on with beside its own sinks.
pub const MAX_GUESTS: usize = 2;

/// What an exporter left.
pub struct Left<R> {
    pub plan: Rc<Plan>,
    pub encoders: Encoders<R>,
    pub state: State<R>,
}

impl<R: Record> Left<R> {
    /// Whether its records are exchangeable with those of another exporter: they go to the same places, and the same is written
    /// around them.
    pub fn is_like(&self, plan: &Plan, encoders: &Encoders<R>) -> bool {
        let identities = |encoders: &Encoders<R>| {
            let all = encoders.iter().map(|encoder| encoder.identity().to_vec());
            all.collect::<Vec<_>>()
        };
        self.plan.is_like(plan) && identities(&self.encoders) == identities(encoders)
    }
}

thread_local! {
    /// Each one a [`Left`] of some kind of record.
    static LEFT: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// Leaves it to the VM's next exporter of such records. What was on its way counts as not delivered: the host ends the
/// callouts of a configuration with it.
pub fn leave<R: Record>(mut left: Left<R>) {
    left.state.recall();
    // A thread that ends has no next exporter.
    let _ = LEFT.try_with(|all| {
        if let Ok(mut all) = all.try_borrow_mut() {
            all.push(Box::new(left));
        }
    });
}

/// Takes all that was left of such records.
pub fn take<R: Record>() -> Vec<Left<R>> {
    let none = LEFT.with_borrow(|all| !all.iter().any(|left| left.is::<Left<R>>()));
    if none {
        return Vec::new();
    }
    let all = LEFT.take();
    let mut found = Vec::new();
    let mut others = Vec::new();
    for left in all {
        match left.downcast::<Left<R>>() {
            Ok(left) => found.push(*left),
            Err(other) => others.push(other),
        }
    }
    LEFT.set(others);
    found
}
