//! Metrics as a host keeps them: by name, whoever defines them.

use std::collections::BTreeMap;

use crate::status::Status;

/// What was counted and recorded since the plugin was loaded.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    defined: Vec<(Kind, String)>,
    /// Counters and gauges by name. A metric that was only defined is here with 0.
    pub values: BTreeMap<String, i64>,
    /// Histograms by name, every value in order.
    pub recorded: BTreeMap<String, Vec<u64>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Metrics {
    /// How many metrics the host was asked for, those it had been asked for before among them.
    pub fn defined(&self) -> usize {
        self.defined.len()
    }

    pub(crate) fn define(&mut self, kind: u32, name: String) -> Result<u32, Status> {
        let kind = match kind {
            0 => Kind::Counter,
            1 => Kind::Gauge,
            2 => Kind::Histogram,
            _ => return Err(Status::BAD_ARGUMENT),
        };
        match kind {
            Kind::Histogram => drop(self.recorded.entry(name.clone()).or_default()),
            _ => {
                self.values.entry(name.clone()).or_default();
            }
        }
        self.defined.push((kind, name));
        // 0 is a legal id nowhere.
        Ok(u32::try_from(self.defined.len()).unwrap())
    }

    pub(crate) fn increment(&mut self, id: u32, by: i64) -> Result<(), Status> {
        match self.find(id)? {
            (Kind::Counter, _) if by < 0 => Err(Status::BAD_ARGUMENT),
            (Kind::Histogram, _) => Err(Status::BAD_ARGUMENT),
            (_, name) => {
                *self.values.entry(name).or_default() += by;
                Ok(())
            }
        }
    }

    pub(crate) fn record(&mut self, id: u32, value: u64) -> Result<(), Status> {
        let signed = i64::try_from(value).unwrap_or(i64::MAX);
        match self.find(id)? {
            (Kind::Counter, name) => *self.values.entry(name).or_default() += signed,
            (Kind::Gauge, name) => *self.values.entry(name).or_default() = signed,
            (Kind::Histogram, name) => self.recorded.entry(name).or_default().push(value),
        }
        Ok(())
    }

    fn find(&self, id: u32) -> Result<(Kind, String), Status> {
        let at = id.checked_sub(1).ok_or(Status::NOT_FOUND)? as usize;
        self.defined.get(at).cloned().ok_or(Status::NOT_FOUND)
    }

    /// By how much each counter and gauge grew since `before`; those that did not are left out.
    pub(crate) fn since(&self, before: &Self) -> BTreeMap<String, i64> {
        let grown = |(name, value): (&String, &i64)| {
            let by = value - before.values.get(name).copied().unwrap_or_default();
            (by != 0).then(|| (name.clone(), by))
        };
        self.values.iter().filter_map(grown).collect()
    }
}
