//! The filter: finds out who asks and under which plan, has the store decide, and tells.

use std::borrow::Cow;
use std::cell::Cell;

use portcullis_kit::config::log_line;
use portcullis_kit::exchange::{Exchange, Worker};
use portcullis_kit::problem::Client;
use portcullis_kit::{Callbacks, Compiling, ConfigError, Filter, Flow};

use crate::ambiguity;
use crate::assignment;
use crate::compile;
use crate::counter::Algorithm;
use crate::decide::{Decision, Rule, Standing, Taken};
use crate::exemption;
use crate::headers::{self, Told};
use crate::identity::{self, Ambiguous, Identity};
use crate::in_flight;
use crate::plan::{OnError, Profile, Tier};
use crate::refusal;
use crate::settings::Settings;
use crate::share;
use crate::store::{Answer, Fingerprint, Outcome, Shared, Store, Trouble, now_ms};

/// Filter state: the tier's name.
pub const TIER_STATE: &str = "portcullis.tier";
/// Filter state: what was decided. `allowed`, `denied:<limit>`, `shadow_denied:<limit>`, `exempt`, `error`.
pub const DECISION_STATE: &str = "portcullis.ratelimit";

/// Log lines of one kind are at least so far apart on one worker (ns); those between are counted.
const LOG_PAUSE: u64 = 1_000_000_000;

/// Plans with exact quotas. `S` keeps the counters.
pub struct RateLimit<S: Store = Shared> {
    store: S,
    shadow_log: Quiet,
    store_log: Quiet,
    full_log: Quiet,
    /// Whether any profile limits requests in flight.
    in_flight: bool,
}

/// What one request remembers: nothing where it was not limited.
#[derive(Default)]
pub struct Stream(Option<Limited>);

/// A request that was counted.
pub struct Limited {
    tier: usize,
    fingerprint: Fingerprint,
    now: u64,
    admitted: bool,
    standings: Vec<Standing>,
    /// What is to be given back at its end.
    taken: Vec<Taken>,
}

impl Limited {
    /// Where the client stands, as headers of the response, and which of its headers would belie that (`None`).
    #[inline]
    fn tell(&self, profile: &Profile, tier: &Tier, set: &mut dyn FnMut(&str, Option<&[u8]>)) {
        // What does not bind the client is none of its business.
        let told = headers::told(tier, &self.standings).filter(|told| told.standing.enforced);
        if told.clone().next().is_none() {
            return;
        }
        let policy = tier.policy.as_deref();
        let partition = self.fingerprint.short();
        for style in &profile.styles {
            headers::write(*style, told.clone(), policy, partition, self.now, set);
        }
    }
}

/// Lets a log line through now and then.
#[derive(Default)]
struct Quiet {
    last: Cell<u64>,
    passed_over: Cell<u64>,
}

impl Quiet {
    /// How many lines were passed over since the last one, if it is time for another.
    #[inline]
    fn due(&self, now: u64) -> Option<u64> {
        let last = self.last.get();
        // A clock that stepped back must not silence the log.
        if last != 0 && now >= last && now - last < LOG_PAUSE {
            self.passed_over.set(self.passed_over.get() + 1);
            return None;
        }
        self.last.set(now.max(1));
        Some(self.passed_over.take())
    }
}

impl<S: Store> RateLimit<S> {
    #[inline]
    fn log<X: Exchange>(
        &self,
        quiet: &Quiet,
        event: &str,
        exchange: &X,
        fields: impl FnOnce() -> Vec<(&'static str, serde_json::Value)>,
    ) {
        if let Some(passed_over) = quiet.due(exchange.now()) {
            let mut fields = fields();
            fields.push(("passed_over", passed_over.into()));
            exchange.log(log::Level::Warn, &log_line(event, &fields));
        }
    }

    /// The store failed: the settings say what then.
    #[inline]
    fn failed<X: Exchange>(&self, profile: &Profile, trouble: Trouble, exchange: &mut X) -> Flow {
        let (metric, reason) = match trouble {
            Trouble::Contention => (profile.metrics.cas_exhausted, "contention"),
            Trouble::Refused => (profile.metrics.store_errors, "refused"),
        };
        exchange.increment(metric, 1);
        self.log(
            &self.store_log,
            "rate_limit_store_trouble",
            exchange,
            || vec![("reason", reason.into())],
        );
        state(profile, DECISION_STATE, "error", exchange);
        match profile.on_error {
            OnError::Allow => Flow::Continue,
            OnError::Deny => {
                let client = Client::of(exchange);
                exchange.reply(refusal::reduced_capacity(&client));
                Flow::Replied
            }
        }
    }

    #[inline]
    fn note<X: Exchange>(&self, profile: &Profile, outcome: &Outcome, exchange: &X) {
        let metrics = &profile.metrics;
        if outcome.retries > 0 {
            exchange.increment(metrics.cas_retries, outcome.retries.into());
        }
        if outcome.displaced.evicted {
            exchange.increment(metrics.evicted, 1);
        }
        if outcome.displaced.full {
            exchange.increment(metrics.table_full, 1);
            self.log(&self.full_log, "rate_limit_table_full", exchange, Vec::new);
        }
    }

    /// Does what was decided.
    #[inline]
    fn act<X: Exchange>(
        &self,
        profile: &Profile,
        tier: &Tier,
        limited: &Limited,
        exchange: &mut X,
    ) -> Flow {
        let told = || headers::told(tier, &limited.standings);
        // A refused request counts for one limit, the one that is met the longest.
        let violated = |enforced: bool| {
            told()
                .filter(|told| told.standing.violated && told.standing.enforced == enforced)
                .max_by_key(|told| told.standing.wait_ms)
                .map(|told| told.limit)
        };
        let mut shadowed = false;
        for Told { limit, standing } in told() {
            if standing.violated && !standing.enforced {
                exchange.increment(limit.shadow_denied, 1);
                shadowed = true;
            } else if limited.admitted && is_near(standing, profile.near_percent) {
                exchange.increment(limit.near, 1);
            }
        }
        if limited.admitted {
            exchange.increment(tier.allowed, 1);
            let Some(limit) = shadowed.then(|| violated(false)).flatten() else {
                state(profile, DECISION_STATE, "allowed", exchange);
                return Flow::Continue;
            };
            state(
                profile,
                DECISION_STATE,
                &limit.shadow_denied_state,
                exchange,
            );
            self.log_shadow(tier, &limit.name, limited.fingerprint, exchange);
            return Flow::Continue;
        }
        let limit = violated(true);
        if let Some(limit) = limit {
            let metric = if profile.shadow {
                limit.shadow_denied
            } else {
                limit.denied
            };
            exchange.increment(metric, 1);
        }
        if profile.shadow {
            let name = limit.map_or("", |limit| limit.name.as_str());
            self.log_shadow(tier, name, limited.fingerprint, exchange);
            // The gate lets nothing through; do not write what nobody reads.
            return Flow::Replied;
        }
        let decision = limit.map_or("denied", |limit| limit.denied_state.as_str());
        state(profile, DECISION_STATE, decision, exchange);
        let client = Client::of(exchange);
        let (standings, now) = (&limited.standings, limited.now);
        let mut reply = refusal::quota_exceeded(profile, tier, standings, now, &client);
        limited.tell(profile, tier, &mut |name, value| {
            if let Some(value) = value {
                reply.headers.add(name, value);
            }
        });
        exchange.reply(reply);
        Flow::Replied
    }

    fn log_shadow<X: Exchange>(
        &self,
        tier: &Tier,
        limit: &str,
        identity: Fingerprint,
        exchange: &X,
    ) {
        self.log(
            &self.shadow_log,
            "rate_limit_shadow_denied",
            exchange,
            || {
                vec![
                    ("tier", tier.name.as_str().into()),
                    ("limit", limit.into()),
                    ("identity", format!("{:016x}", identity.short()).into()),
                ]
            },
        );
    }
}

#[inline]
fn is_near(standing: &Standing, percent: u64) -> bool {
    // Saturating multiplication is dear in wasm.
    let capacity = standing.capacity.min(u64::MAX / 100);
    capacity.saturating_sub(standing.remaining) * 100 >= capacity * percent
}

#[inline]
fn state<X: Exchange>(profile: &Profile, key: &str, value: &str, exchange: &mut X) {
    if profile.filter_state {
        exchange.set_filter_state(key, value.as_bytes());
    }
}

/// The tier's rules for this request.
#[inline]
fn rules<'a, X: Exchange>(
    profile: &Profile,
    tier: &'a Tier,
    identity: &Identity,
    exchange: &X,
) -> Cow<'a, [Rule]> {
    if let Some(rules) = &tier.rules {
        return Cow::Borrowed(rules);
    }
    tier.limits
        .iter()
        .map(|limit| {
            let mut rule = limit.rule;
            rule.enforced = rule.enforced
                && share::is_enforced(limit.enforce_percent, &limit.name, &identity.bytes);
            if let Some(dynamic) = &limit.dynamic
                && let Some(value) = identity::claim(&dynamic.path, exchange)
            {
                match crate::dynamic::count(&value, dynamic.unit) {
                    Some(count) => crate::dynamic::set(&mut rule, count, dynamic.burst),
                    None => exchange.increment(profile.metrics.invalid_dynamic, 1),
                }
            }
            rule
        })
        .collect()
}

/// What the request holds of concurrency limits.
#[inline]
fn taken(rules: &[Rule], decision: &Decision) -> Vec<Taken> {
    rules
        .iter()
        .zip(&decision.standings)
        .filter_map(|(rule, standing)| match rule.algorithm {
            Algorithm::Concurrency { .. } => standing.flight.map(|flight| Taken {
                tag: rule.tag,
                flight,
            }),
            _ => None,
        })
        .collect()
}

impl<S: Store> Filter for RateLimit<S> {
    const NAME: &'static str = "rate-limit";
    const CALLBACKS: Callbacks = Callbacks::REQUEST_HEADERS
        .and(Callbacks::RESPONSE_HEADERS)
        .and(Callbacks::LOG)
        .and(Callbacks::TICK);
    type Settings = Settings;
    type Profile = Profile;
    type Stream = Stream;

    fn start() -> Self {
        Self {
            store: S::start(),
            shadow_log: Quiet::default(),
            store_log: Quiet::default(),
            full_log: Quiet::default(),
            in_flight: false,
        }
    }

    fn read(settings: &serde_json::Value) -> Result<Settings, ConfigError> {
        compile::read(settings)
    }

    fn compile(settings: Settings, compiling: &Compiling<'_>) -> Result<Profile, ConfigError> {
        compile::compile(settings, compiling)
    }

    fn check(profiles: &[(&str, &Profile)]) -> Result<(), ConfigError> {
        compile::check(profiles)
    }

    fn ready(&mut self, profiles: &[(&str, &Profile)]) {
        let declared = profiles.iter().flat_map(|(_, profile)| &profile.declared);
        let mut algorithms = declared.map(|declared| declared.algorithm);
        self.in_flight =
            algorithms.any(|algorithm| matches!(algorithm, Algorithm::Concurrency { .. }));
    }

    /// No other limit needs a tick.
    fn tick_period_ms(&self) -> Option<u32> {
        (self.in_flight || in_flight::is_any()).then_some(in_flight::TICK_MS)
    }

    fn tick<W: Worker>(&self, worker: &mut W) {
        in_flight::show(worker);
    }

    /// What ended since the last tick: the VM may see no other one, and nobody else heals its gauge where its `vm_id` is gone.
    fn stop<W: Worker>(&self, worker: &mut W) {
        in_flight::show(worker);
    }

    #[inline]
    fn request_headers<X: Exchange>(
        &self,
        profile: &Profile,
        stream: &mut Stream,
        exchange: &mut X,
        _: bool,
    ) -> Flow {
        let headers = exchange.request();
        for name in &profile.assignment.untrusted {
            if headers.contains(name) {
                exchange.remove_request_header(name);
            }
        }
        if exemption::of_request(&profile.exempt, &headers, exchange).is_some() {
            return exempt(profile, exchange);
        }
        let identity = match identity::find(&profile.identity, &headers, exchange) {
            Ok(identity) => identity.unwrap_or_else(Identity::unknown),
            Err(ambiguous) => return refuse_ambiguous(profile, &ambiguous, exchange),
        };
        if !profile.exempt.identities.is_empty()
            && profile.exempt.identities.contains(&identity.hash())
        {
            return exempt(profile, exchange);
        }
        let assigned = match assignment::tier(profile, &identity, &headers, exchange) {
            Ok(assigned) => assigned,
            Err(ambiguous) => return refuse_ambiguous(profile, &ambiguous, exchange),
        };
        let at = match assigned.tier {
            Some(at) => at,
            None => {
                exchange.increment(profile.metrics.unknown_tier, 1);
                if profile.assignment.refuse_unknown {
                    state(profile, DECISION_STATE, "denied:unknown_tier", exchange);
                    let reply = refusal::unknown_tier(&Client::of(exchange));
                    exchange.reply(reply);
                    return Flow::Replied;
                }
                profile.assignment.default
            }
        };
        drop(headers);
        let Some(tier) = profile.tiers.get(at) else {
            return Flow::Continue;
        };
        state(profile, TIER_STATE, &tier.name, exchange);
        if tier.limits.is_empty() {
            exchange.increment(tier.allowed, 1);
            state(profile, DECISION_STATE, "allowed", exchange);
            return Flow::Continue;
        }
        let table = &profile.table;
        let fingerprint = match self.store.fingerprint(table, &identity.bytes, exchange) {
            Ok(fingerprint) => fingerprint,
            Err(trouble) => return self.failed(profile, trouble, exchange),
        };
        let rules = rules(profile, tier, &identity, exchange);
        let now = now_ms(exchange);
        let outcome = match self.store.take(table, fingerprint, &rules, now, exchange) {
            Answer::Now(outcome) => outcome,
            Answer::Later => return Flow::Pause,
        };
        self.note(profile, &outcome, exchange);
        let decision = match outcome.result {
            Ok(decision) => decision,
            Err(trouble) => return self.failed(profile, trouble, exchange),
        };
        let taken = taken(&rules, &decision);
        if !taken.is_empty() {
            in_flight::count(profile.metrics.in_flight, 1);
        }
        let limited = Limited {
            tier: at,
            fingerprint,
            now,
            admitted: decision.admitted,
            standings: decision.standings,
            taken,
        };
        let flow = self.act(profile, tier, &limited, exchange);
        stream.0 = Some(limited);
        flow
    }

    #[inline]
    fn response_headers<X: Exchange>(
        &self,
        profile: &Profile,
        stream: &mut Stream,
        exchange: &mut X,
        _: bool,
    ) -> Flow {
        let Some(limited) = &stream.0 else {
            return Flow::Continue;
        };
        // A refused request's reply has them already.
        if limited.admitted
            && let Some(tier) = profile.tiers.get(limited.tier)
        {
            limited.tell(profile, tier, &mut |name, value| match value {
                Some(value) => exchange.set_response_header(name, value),
                None => exchange.remove_response_header(name),
            });
        }
        Flow::Continue
    }

    #[inline]
    fn finished<X: Exchange>(&self, profile: &Profile, stream: &mut Stream, exchange: &mut X) {
        let Some(limited) = stream.0.take() else {
            return;
        };
        if limited.taken.is_empty() {
            return;
        }
        in_flight::count(profile.metrics.in_flight, -1);
        let released = self.store.release(
            &profile.table,
            limited.fingerprint,
            &limited.taken,
            exchange,
        );
        // What could not be given back lapses with its lease.
        if let Err(trouble) = released {
            exchange.increment(
                match trouble {
                    Trouble::Contention => profile.metrics.cas_exhausted,
                    Trouble::Refused => profile.metrics.store_errors,
                },
                1,
            );
        }
    }
}

#[cold]
fn refuse_ambiguous<X: Exchange>(
    profile: &Profile,
    ambiguous: &Ambiguous,
    exchange: &mut X,
) -> Flow {
    state(profile, DECISION_STATE, ambiguity::STATE, exchange);
    let reply = ambiguity::refusal(ambiguous, &Client::of(exchange));
    exchange.reply(reply);
    Flow::Replied
}

#[inline]
fn exempt<X: Exchange>(profile: &Profile, exchange: &mut X) -> Flow {
    exchange.increment(profile.metrics.exempt, 1);
    state(profile, DECISION_STATE, "exempt", exchange);
    Flow::Continue
}
