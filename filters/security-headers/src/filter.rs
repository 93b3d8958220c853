//! The filter: decisions of the other modules, applied to an exchange.

use portcullis_kit::filter::Compiling;
use portcullis_kit::property::TlsReader;
use portcullis_kit::random::Random;
use portcullis_kit::{Callbacks, ConfigError, Exchange, Filter, Flow, property};

use crate::csrf::{self, Decision, Reason};
use crate::nonce::{self, Nonce};
use crate::profile::{Csrf, Profile};
use crate::response::{Edit, Plan, Seen, Situation};
use crate::settings::{Settings, Tls};
use crate::tls::{TlsReading, tls_reading};
use crate::{compile, refusal};

/// What access logs show as `%FILTER_STATE(wasm.portcullis.csrf:PLAIN)%`: `refused_<reason>` or `shadow_<reason>`.
const CSRF_STATE: &str = "portcullis.csrf";

/// The filter.
#[derive(Default)]
pub struct SecurityHeaders {
    random: Random,
    tls: TlsReader,
}

/// What one request remembers for its response.
#[derive(Debug, Default)]
pub struct Stream {
    /// Whether the client used TLS, if that was to be read from the request.
    tls: Option<bool>,
    /// The nonce that the upstream was given.
    nonce: Option<Nonce>,
}

impl Filter for SecurityHeaders {
    const NAME: &'static str = "security-headers";
    const CALLBACKS: Callbacks = Callbacks::REQUEST_HEADERS.and(Callbacks::RESPONSE_HEADERS);
    type Settings = Settings;
    type Profile = Profile;
    type Stream = Stream;

    fn start() -> Self {
        Self::default()
    }

    // Not inlined into what is compiled for speed.
    #[inline(never)]
    fn compile(settings: Settings, compiling: &Compiling<'_>) -> Result<Profile, ConfigError> {
        compile::compile(&settings, compiling)
    }

    fn request_headers<X: Exchange>(
        &self,
        profile: &Profile,
        stream: &mut Stream,
        exchange: &mut X,
        _: bool,
    ) -> Flow {
        stream.tls = match tls_reading(profile) {
            TlsReading::Later => None,
            TlsReading::Connection => Some(self.tls.is_tls(exchange)),
            TlsReading::ForwardedProto => {
                if profile.csrf.is_some() {
                    // This header and those that CSRF protection asks for: one read of all instead of up to three.
                    exchange.request();
                }
                Some(forwarded_https(exchange))
            }
        };
        if let Some(csrf) = &profile.csrf
            && let Flow::Replied = self.check(csrf, profile.tls, stream.tls, exchange)
        {
            return Flow::Replied;
        }
        if profile.nonces {
            let nonce = self.nonce(exchange);
            exchange.set_request_header(nonce::HEADER, nonce.as_bytes());
            stream.nonce = Some(nonce);
        } else if profile.strips_nonce && exchange.request_header(nonce::HEADER).is_some() {
            // A removal, even of nothing, makes Envoy look for the route again.
            exchange.remove_request_header(nonce::HEADER);
        }
        Flow::Continue
    }

    fn response_headers<X: Exchange>(
        &self,
        profile: &Profile,
        stream: &mut Stream,
        exchange: &mut X,
        _: bool,
    ) -> Flow {
        if profile.leaves_responses_alone() {
            return Flow::Continue;
        }
        let response = exchange.response();
        let seen = Seen::new(profile, &response);
        let tls = seen.asks_tls(profile) && stream.tls.unwrap_or_else(|| self.tls.is_tls(exchange));
        // A local reply made before this filter saw the request has no nonce yet.
        if stream.nonce.is_none() && seen.asks_nonce(profile) {
            stream.nonce = Some(self.nonce(exchange));
        }
        let situation = Situation {
            tls,
            nonce: stream.nonce.as_ref(),
        };
        let plan = seen.plan(profile, situation);
        drop(seen);
        drop(response);
        apply(&plan, profile, exchange);
        Flow::Continue
    }
}

impl SecurityHeaders {
    fn nonce<X: Exchange>(&self, exchange: &X) -> Nonce {
        Nonce::new(self.random.bytes(exchange))
    }

    /// Decides about a request and answers it if it is refused.
    fn check<X: Exchange>(
        &self,
        csrf: &Csrf,
        tls: Tls,
        is_tls: Option<bool>,
        exchange: &mut X,
    ) -> Flow {
        let mut asked = Asked {
            exchange: &mut *exchange,
            tls,
            is_tls,
            reader: &self.tls,
        };
        match csrf::decide(&csrf.trusted, &mut asked) {
            Decision::Passes => Flow::Continue,
            Decision::Trusted => {
                exchange.increment(csrf.trusted_passes, 1);
                Flow::Continue
            }
            Decision::Refused(reason) => {
                let counted = Reason::ALL.iter().zip(csrf.refusals);
                for (_, metric) in counted.filter(|(counted, _)| **counted == reason) {
                    exchange.increment(metric, 1);
                }
                let outcome = if csrf.enforce { "refused_" } else { "shadow_" };
                let state = [outcome, reason.label()].concat();
                exchange.set_filter_state(CSRF_STATE, state.as_bytes());
                if !csrf.enforce {
                    return Flow::Continue;
                }
                let request_id = property::request_id(exchange);
                exchange.reply(refusal::refusal(reason, request_id.as_deref()));
                Flow::Replied
            }
        }
    }
}

fn apply<X: Exchange>(plan: &Plan<'_>, profile: &Profile, exchange: &mut X) {
    for edit in &plan.edits {
        match edit {
            Edit::Add(name, value) => exchange.add_response_header(name, value),
            Edit::Set(name, value) => exchange.set_response_header(name, value),
            Edit::Remove(name) => exchange.remove_response_header(name),
        }
    }
    let counters = &profile.counters;
    if plan.cookies_hardened > 0 {
        exchange.increment(counters.cookies_hardened, plan.cookies_hardened);
    }
    if plan.cors.vary_by_origin {
        exchange.increment(counters.cors_vary, 1);
    }
    if plan.cors.remove_credentials {
        exchange.increment(counters.cors_credentials, 1);
    }
}

/// A request as CSRF protection asks it.
struct Asked<'x, X: Exchange> {
    exchange: &'x mut X,
    tls: Tls,
    /// Whether the client used TLS, if that was read already.
    is_tls: Option<bool>,
    reader: &'x TlsReader,
}

impl<X: Exchange> csrf::Request for Asked<'_, X> {
    fn sec_fetch_site(&mut self) -> Option<Vec<u8>> {
        self.exchange.request_header("sec-fetch-site")
    }

    fn origin(&mut self) -> Option<Vec<u8>> {
        self.exchange.request_header("origin")
    }

    fn method(&mut self) -> Option<Vec<u8>> {
        // It takes more than one header to decide now: all of them in one read cost less than two alone.
        self.exchange.request().get(":method").map(<[u8]>::to_vec)
    }

    fn host(&mut self) -> Option<Vec<u8>> {
        self.exchange.request_header(":authority")
    }

    /// A connection without TLS says nothing of the client: TLS may end before this proxy.
    fn scheme(&mut self) -> Option<&'static str> {
        match self.tls {
            Tls::Connection => self
                .is_tls
                .unwrap_or_else(|| self.reader.is_tls(self.exchange))
                .then_some("https"),
            Tls::ForwardedProto => {
                match self.exchange.request_header(FORWARDED_PROTO)?.as_slice() {
                    proto if proto.eq_ignore_ascii_case(b"https") => Some("https"),
                    proto if proto.eq_ignore_ascii_case(b"http") => Some("http"),
                    _ => None,
                }
            }
        }
    }
}

const FORWARDED_PROTO: &str = "x-forwarded-proto";

fn forwarded_https<X: Exchange>(exchange: &mut X) -> bool {
    exchange
        .request_header(FORWARDED_PROTO)
        .is_some_and(|proto| proto.trim_ascii().eq_ignore_ascii_case(b"https"))
}
