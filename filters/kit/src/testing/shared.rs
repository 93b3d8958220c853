//! Shared data as hosts of either dialect keep it, in memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::exchange::{NotWritten, SharedData, Version};

/// How a host treats the version given for a value that is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Envoy: it is not compared.
    #[default]
    Envoy,
    /// Hosts on nginx: it must be 0.
    Strict,
}

/// Shared data in memory. Clones are the same data.
#[derive(Clone, Debug, Default)]
pub struct Shared(Rc<RefCell<SharedState>>);

#[derive(Debug, Default)]
struct SharedState {
    values: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    writes: u32,
    dialect: Dialect,
    broken: bool,
}

impl Shared {
    pub fn of(dialect: Dialect) -> Self {
        let shared = Self::default();
        shared.0.borrow_mut().dialect = dialect;
        shared
    }

    /// From now on everything is refused, or again not.
    pub fn set_broken(&self, broken: bool) {
        self.0.borrow_mut().broken = broken;
    }

    pub fn keys(&self) -> usize {
        self.0.borrow().values.len()
    }

    /// The one value that there is, changed: as another VM would.
    pub fn change_the_one(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.0.borrow_mut();
        if let Some((value, version)) = state.values.values_mut().next() {
            change(value);
            *version += 1;
        }
    }

    /// The bytes of all values.
    pub fn size(&self) -> usize {
        let state = self.0.borrow();
        state.values.values().map(|(value, _)| value.len()).sum()
    }
}

impl SharedData for Shared {
    fn shared(&self, key: &[u8]) -> Result<Option<(Vec<u8>, Version)>, NotWritten> {
        let state = self.0.borrow();
        if state.broken {
            return Err(NotWritten::Refused);
        }
        let found = state.values.get(key);
        Ok(found.map(|(value, version)| (value.clone(), Version(*version))))
    }

    fn share(&self, key: &[u8], value: &[u8], version: Version) -> Result<(), NotWritten> {
        let mut state = self.0.borrow_mut();
        if state.broken {
            return Err(NotWritten::Refused);
        }
        let matches = match (state.values.get(key), state.dialect) {
            // Envoy takes 0 as "whatever stands there".
            (Some((_, current)), Dialect::Envoy) => version.0 == 0 || version.0 == *current,
            (Some((_, current)), Dialect::Strict) => version.0 == *current,
            (None, Dialect::Envoy) => true,
            (None, Dialect::Strict) => version.0 == 0,
        };
        if !matches {
            return Err(NotWritten::Changed);
        }
        state.writes += 1;
        let version = state.writes;
        state.values.insert(key.to_vec(), (value.to_vec(), version));
        Ok(())
    }
}
