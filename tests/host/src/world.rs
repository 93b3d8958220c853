//! All that a plugin can see beside its streams. Tests change it between callbacks.

use std::collections::BTreeSet;
use std::fmt;
use std::rc::Rc;

use crate::failure::Failure;
use crate::lines::Lines;
use crate::metrics::Metrics;
use crate::shared::SharedData;

/// What happens between a plugin and the host, before each host call: another plugin's turn, for one.
#[derive(Clone)]
pub struct Interruption(pub Rc<dyn Fn(&'static str)>);

impl fmt::Debug for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interruption")
    }
}

/// The host around a plugin.
#[derive(Clone, Debug)]
pub struct World {
    /// The wall clock, in nanoseconds since the epoch. It moves only by a test's hand.
    pub now: u64,
    /// Where the stream of random bytes stands.
    pub seed: u64,
    pub environment: Vec<(String, String)>,
    pub root_id: String,
    /// The clusters that callouts can go to.
    pub clusters: BTreeSet<String>,
    pub shared: SharedData,
    pub metrics: Metrics,
    /// Everything logged since the plugin was loaded: the ABI's level (0 trace … 5 critical) and the line.
    pub logs: Vec<(u32, String)>,
    /// As the plugin asked for it last; 0 is none.
    pub tick_period_ms: u32,
    /// Callouts without an answer yet.
    pub callouts: Vec<Callout>,
    /// Rules for host calls; the first that knows a call decides.
    pub failures: Vec<Failure>,
    /// Runs before each host call, with its name.
    pub interruption: Option<Interruption>,
    pub(crate) configuration: Vec<u8>,
    pub(crate) last_token: u32,
}

impl Default for World {
    fn default() -> Self {
        Self {
            now: 1_700_000_000_000_000_000,
            seed: 0,
            environment: Vec::new(),
            root_id: String::new(),
            clusters: BTreeSet::new(),
            shared: SharedData::default(),
            metrics: Metrics::default(),
            logs: Vec::new(),
            tick_period_ms: 0,
            callouts: Vec::new(),
            failures: Vec::new(),
            interruption: None,
            configuration: Vec::new(),
            last_token: 0,
        }
    }
}

impl World {
    /// The next random bytes: splitmix64, a byte a step. A test needs only that draws differ and repeat.
    pub(crate) fn random(&mut self, size: usize) -> Vec<u8> {
        let mut byte = || {
            self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.seed ^ (self.seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (mixed ^ (mixed >> 27)).to_le_bytes()[3]
        };
        (0..size).map(|_| byte()).collect()
    }
}

/// An HTTP request that a plugin sent on its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callout {
    pub token: u32,
    pub cluster: String,
    pub headers: Lines,
    pub body: Vec<u8>,
    pub timeout_ms: u32,
}
