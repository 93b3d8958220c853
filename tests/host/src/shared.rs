//! Shared data: one store for all VMs of a `vm_id`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::status::Status;

/// What a host makes of the CAS of a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Envoy: 0 overwrites, and a set of an absent key succeeds whatever the CAS.
    #[default]
    Envoy,
    /// Hosts on nginx: it must be the value's, and 0 for an absent key.
    Strict,
}

/// A store that several plugins can share; clones are the same store. Nothing is ever deleted.
#[derive(Clone, Debug, Default)]
pub struct SharedData(Rc<RefCell<Store>>);

#[derive(Debug, Default)]
struct Store {
    values: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    last_cas: u32,
    dialect: Dialect,
}

impl SharedData {
    pub fn of(dialect: Dialect) -> Self {
        let store = Self::default();
        store.0.borrow_mut().dialect = dialect;
        store
    }

    pub fn get(&self, key: &[u8]) -> Option<(Vec<u8>, u32)> {
        self.0.borrow().values.get(key).cloned()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.borrow().values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn set(&self, key: Vec<u8>, value: Vec<u8>, cas: u32) -> Result<(), Status> {
        let mut store = self.0.borrow_mut();
        let known = store.values.get(&key).map(|(_, cas)| *cas);
        let matches = match store.dialect {
            Dialect::Envoy => cas == 0 || known.is_none_or(|known| known == cas),
            Dialect::Strict => known.unwrap_or_default() == cas,
        };
        if !matches {
            return Err(Status::CAS_MISMATCH);
        }
        store.last_cas += 1;
        let cas = store.last_cas;
        store.values.insert(key, (value, cas));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentinel_creates_a_key_once_and_a_stale_cas_changes_nothing() {
        let store = SharedData::default();
        let set = |value: &[u8], cas| store.set(b"k".to_vec(), value.to_vec(), cas);
        assert_eq!(set(b"1", u32::MAX), Ok(()));
        assert_eq!(set(b"2", u32::MAX), Err(Status::CAS_MISMATCH));
        let (_, cas) = store.get(b"k").unwrap();
        assert_eq!(set(b"3", cas), Ok(()));
        assert_eq!(set(b"4", cas), Err(Status::CAS_MISMATCH));
        assert_eq!(store.get(b"k").unwrap().0, b"3");
        assert_eq!(set(b"5", 0), Ok(()));
    }
}
