//! From what a user wrote to what requests use.

use portcullis_kit::headers::is_token;
use portcullis_kit::metrics::MetricId;
use portcullis_kit::{Compiling, ConfigError, Path};

use crate::baggage::Policy;
use crate::export::Spans;
use crate::formats::Format;
use crate::plan;
use crate::request_id;
use crate::sampling::{Cap, Root, Sampler, threshold};
use crate::settings::{
    Audience, Baggage, IdFormat, IdSource, SamplingRule, Settings, Trust as TrustSetting,
};
use crate::traceparent::Restart;
use crate::trust::Trust;

/// One compiled profile.
#[derive(Debug)]
pub struct Profile {
    pub trust: Trust,
    pub id_source: request_id::Source,
    pub id_format: request_id::Format,
    pub id_response: bool,
    pub extract: Vec<Format>,
    pub inject: Vec<Format>,
    /// See [`plan::clears`].
    pub clears: Vec<&'static str>,
    pub baggage: Policy,
    pub sampler: Sampler,
    pub trace_timing: Audience,
    pub trace_name: String,
    pub app_timing: Audience,
    pub response_time: bool,
    /// Nanoseconds; `u64::MAX` where nothing is slow.
    pub slow: u64,
    pub spans: Option<Spans>,
    pub counters: Counters,
}

/// What is counted: rare events only, because each count is a host call.
#[derive(Debug)]
pub struct Counters {
    pub invalid_ids: MetricId,
    pub slow: MetricId,
    pub capped: MetricId,
    restarts: Vec<(Restart, MetricId)>,
}

impl Counters {
    #[inline]
    pub fn restart(&self, why: Restart) -> MetricId {
        self.restarts
            .iter()
            .find_map(|(known, metric)| (*known == why).then_some(*metric))
            .unwrap_or(MetricId(None))
    }
}

/// The reasons that are counted; an absent `traceparent` is none.
const COUNTED: [Restart; 5] = [
    Restart::Duplicate,
    Restart::Malformed,
    Restart::VersionFf,
    Restart::ZeroTraceId,
    Restart::ZeroParentId,
];

/// What only this filter's settings can have wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    Cidr,
    NoCidrs,
    BaggageAtTheEdge,
    BaggageKey,
    NoBaggageKeys,
    Ratio,
    CapOfNone,
    TimingName,
    FormatTwice,
    NoInject,
    Slow,
    SpansDeny,
    ServiceName,
    AttributeBytes,
    SpansDiffer,
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Cidr => "not a range of addresses; write `10.0.0.0/8`, `2001:db8::/32` or one address, without bits beside the network",
            Self::NoCidrs => "the list is empty, so nobody is trusted; name a range, or write `trust: edge`",
            Self::BaggageAtTheEdge => "with `trust: edge` all baggage is dropped; name whom to trust, or take `baggage` out (where a profile inherits it, by `baggage: null`)",
            Self::BaggageKey => "not a baggage key (RFC 9110 section 5.6.2, a token)",
            Self::NoBaggageKeys => "the list is empty; write `drop` to pass none",
            Self::Ratio => "a ratio is above 0 and at most 1; write `never` for none",
            Self::CapOfNone => "nothing is sampled by `never`, so there is nothing to cap; take `max_per_second` out (where a profile inherits it, by `max_per_second: null`)",
            Self::TimingName => "not a metric's name (RFC 9110 section 5.6.2, a token)",
            Self::FormatTwice => "this format is in the list already; keep one",
            Self::NoInject => "the list is empty, so upstreams would not learn of the trace; name a format, or set `mode: off`",
            Self::Slow => "longer than a day (86400000 ms); write 0 if nothing counts as slow",
            Self::SpansDeny => "no request is refused for a span; take `drop_oldest` or `drop_newest`",
            Self::ServiceName => "empty; name the service, or take `service_name` out",
            Self::AttributeBytes => "out of range; allowed: 32 to 4096",
            Self::SpansDiffer => "a plugin sends all of its spans to one place in one way; let every profile inherit `otlp`, `service_name`, `batch`, `queue` and `retry`, or write `spans: null`",
        })
    }
}

const DAY_MS: u32 = 86_400_000;

pub fn compile(settings: Settings, compiling: &Compiling<'_>) -> Result<Profile, ConfigError> {
    let trust = trust(&settings.trust)?;
    let sampler = sampler(&settings)?;
    let baggage = baggage(settings.baggage, &trust)?;
    let propagation = Path::top().key("propagation");
    distinct(&settings.propagation.extract, || {
        propagation.clone().key("extract")
    })?;
    distinct(&settings.propagation.inject, || {
        propagation.clone().key("inject")
    })?;
    if settings.propagation.inject.is_empty() {
        return Err(ConfigError::rule(
            propagation.key("inject"),
            Mistake::NoInject,
        ));
    }
    let name = &settings.server_timing.trace_name;
    if !is_token(name.as_bytes()) {
        let path = Path::top().key("server_timing").key("trace_name");
        return Err(ConfigError::rule(path, Mistake::TimingName));
    }
    if settings.slow_ms > DAY_MS {
        return Err(ConfigError::rule(Path::top().key("slow_ms"), Mistake::Slow));
    }
    let spans = match &settings.spans {
        Some(spans) => Spans::compile(spans, compiling)?,
        None => None,
    };
    Ok(Profile {
        trust,
        id_source: match settings.request_id.source {
            IdSource::Proxy => request_id::Source::Proxy,
            IdSource::Trusted => request_id::Source::Peer,
            IdSource::Generate => request_id::Source::Generate,
        },
        id_format: match settings.request_id.format {
            IdFormat::Uuid4 => request_id::Format::Uuid4,
            IdFormat::Uuid7 => request_id::Format::Uuid7,
        },
        id_response: settings.request_id.response,
        sampler,
        clears: plan::clears(&settings.propagation.extract, &settings.propagation.inject),
        extract: settings.propagation.extract,
        inject: settings.propagation.inject,
        baggage,
        trace_timing: settings.server_timing.trace,
        trace_name: settings.server_timing.trace_name,
        app_timing: settings.server_timing.app,
        response_time: settings.response_time,
        slow: match settings.slow_ms {
            0 => u64::MAX,
            milliseconds => u64::from(milliseconds) * 1_000_000,
        },
        spans,
        counters: Counters {
            invalid_ids: compiling.counter("invalid_request_ids", &[]),
            slow: compiling.counter("slow_requests", &[]),
            capped: compiling.counter("sampling_capped", &[]),
            restarts: COUNTED
                .into_iter()
                .map(|why| {
                    (
                        why,
                        compiling.counter("restarts", &[("reason", why.name())]),
                    )
                })
                .collect(),
        },
    })
}

/// Refuses profiles that send spans to different places.
pub fn check(profiles: &[(&str, &Profile)]) -> Result<(), ConfigError> {
    let mut sending = profiles
        .iter()
        .filter_map(|(name, profile)| Some((*name, profile.spans.as_ref()?)));
    let Some((_, first)) = sending.next() else {
        return Ok(());
    };
    match sending.find(|(_, spans)| !spans.agrees_with(first)) {
        None => Ok(()),
        Some((name, _)) => {
            let path = Path::top().key("profiles").key(name).key("spans");
            Err(ConfigError::rule(path, Mistake::SpansDiffer))
        }
    }
}

fn trust(setting: &TrustSetting) -> Result<Trust, ConfigError> {
    let here = || Path::top().key("trust").key("cidrs");
    if matches!(setting, TrustSetting::Cidrs(ranges) if ranges.is_empty()) {
        return Err(ConfigError::rule(here(), Mistake::NoCidrs));
    }
    Trust::compile(setting).map_err(|at| ConfigError::rule(here().index(at), Mistake::Cidr))
}

fn baggage(setting: Option<Baggage>, trust: &Trust) -> Result<Policy, ConfigError> {
    let here = || Path::top().key("baggage");
    match setting {
        None => Ok(Policy::Pass),
        Some(Baggage::Drop) => Ok(Policy::Drop),
        Some(_) if matches!(trust, Trust::Nobody) => {
            Err(ConfigError::rule(here(), Mistake::BaggageAtTheEdge))
        }
        Some(Baggage::Pass) => Ok(Policy::Pass),
        Some(Baggage::Allow(keys)) => {
            let list = || here().key("allow");
            if keys.is_empty() {
                return Err(ConfigError::rule(list(), Mistake::NoBaggageKeys));
            }
            match keys.iter().position(|key| !is_token(key.as_bytes())) {
                Some(at) => Err(ConfigError::rule(list().index(at), Mistake::BaggageKey)),
                None => Ok(Policy::Allow(keys)),
            }
        }
    }
}

fn sampler(settings: &Settings) -> Result<Sampler, ConfigError> {
    let here = || Path::top().key("sampling");
    let root = match settings.sampling.root {
        SamplingRule::Always => Root::Always,
        SamplingRule::Never if settings.sampling.max_per_second.is_some() => {
            return Err(ConfigError::rule(
                here().key("max_per_second"),
                Mistake::CapOfNone,
            ));
        }
        SamplingRule::Never => Root::Never,
        SamplingRule::Ratio(ratio) => threshold(ratio)
            .map(Root::Threshold)
            .ok_or_else(|| ConfigError::rule(here().key("root").key("ratio"), Mistake::Ratio))?,
    };
    Ok(Sampler {
        root,
        follow_parent: settings.sampling.follow_parent,
        cap: settings.sampling.max_per_second.map(Cap::new),
    })
}

fn distinct(formats: &[Format], here: impl Fn() -> Path) -> Result<(), ConfigError> {
    for (at, format) in formats.iter().enumerate() {
        if formats.iter().take(at).any(|before| before == format) {
            return Err(ConfigError::rule(here().index(at), Mistake::FormatTwice));
        }
    }
    Ok(())
}
