//! What the host can tell of a request, most of it at its end; each fact is asked for at most once, and only if it is needed.

use std::rc::Rc;

use portcullis_kit::Headers;
use portcullis_kit::exchange::Exchange;

use crate::flags::Flags;
use crate::settings::Stage;

/// What `%RESPONSE_CODE_DETAILS%` is where the upstream's response went through to its end, and where the route's own did.
const VIA_UPSTREAM: &[u8] = b"via_upstream";
const DIRECT_RESPONSE: &[u8] = b"direct_response";

/// A request at one of its stages.
pub struct Seen<'x, X: Exchange> {
    pub exchange: &'x mut X,
    pub request: Rc<Headers>,
    /// The request ended with its headers.
    pub is_bodiless: bool,
    stage: Stage,
    status: Option<Option<u16>>,
    details: Option<Option<Vec<u8>>>,
    flags: Option<Flags>,
    rate_limit: Option<Option<Vec<u8>>>,
    tier: Option<Option<Vec<u8>>>,
    route: Option<Option<Vec<u8>>>,
}

impl<'x, X: Exchange> Seen<'x, X> {
    /// At its end.
    #[inline]
    pub fn new(exchange: &'x mut X) -> Self {
        let request = exchange.request();
        Self {
            exchange,
            request,
            is_bodiless: false,
            stage: Stage::ResponseComplete,
            status: None,
            details: None,
            flags: None,
            rate_limit: None,
            tier: None,
            route: None,
        }
    }

    /// Before it goes on: what only its end tells is none, and not asked for.
    #[inline]
    pub fn received(exchange: &'x mut X) -> Self {
        Self {
            stage: Stage::RequestReceived,
            status: Some(None),
            details: Some(None),
            flags: Some(Flags::NONE),
            rate_limit: Some(None),
            tier: Some(None),
            ..Self::new(exchange)
        }
    }

    #[inline]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The response's status; none where there was no response.
    #[inline]
    pub fn status(&mut self) -> Option<u16> {
        let exchange = &mut *self.exchange;
        *self
            .status
            .get_or_insert_with(|| exchange.response_status().filter(|status| *status != 0))
    }

    /// Envoy's response code details.
    #[inline]
    pub fn details(&mut self) -> Option<&[u8]> {
        let exchange = &*self.exchange;
        self.details
            .get_or_insert_with(|| present(exchange, &["response", "code_details"]))
            .as_deref()
    }

    /// A response that went through has no flags, and they are not asked for.
    #[inline]
    pub fn flags(&mut self) -> Flags {
        if let Some(flags) = self.flags {
            return flags;
        }
        let flags = if matches!(self.details(), Some(VIA_UPSTREAM | DIRECT_RESPONSE)) {
            Flags::NONE
        } else {
            Flags(number(&*self.exchange, &["response", "flags"]).unwrap_or(0))
        };
        self.flags = Some(flags);
        flags
    }

    /// What rate-limit decided.
    #[inline]
    pub fn rate_limit(&mut self) -> Option<&[u8]> {
        let exchange = &*self.exchange;
        self.rate_limit
            .get_or_insert_with(|| present(exchange, &["portcullis.ratelimit"]))
            .as_deref()
    }

    /// The tier that rate-limit gave the client. Where it decided nothing, it gave none.
    #[inline]
    pub fn tier(&mut self) -> Option<&[u8]> {
        if self.tier.is_none() {
            let has_decided = self.rate_limit().is_some();
            let tier = || present(&*self.exchange, &["portcullis.tier"]);
            self.tier = Some(has_decided.then(tier).flatten());
        }
        self.tier.as_ref().and_then(Option::as_deref)
    }

    /// What CSRF protection found. It looks at no request with a safe method.
    #[inline]
    pub fn csrf(&self) -> Option<Vec<u8>> {
        match self.request.get(":method") {
            Some(b"GET" | b"HEAD" | b"OPTIONS") => None,
            _ => self.of_end(&["portcullis.csrf"]),
        }
    }

    /// The upstream's address. A response of the route's own has none.
    #[inline]
    pub fn upstream(&mut self) -> Option<Vec<u8>> {
        if self.details() == Some(DIRECT_RESPONSE) {
            return None;
        }
        self.of_end(&["upstream", "address"])
    }

    /// The bytes of the request's body.
    #[inline]
    pub fn request_bytes(&self) -> Option<u64> {
        if self.is_bodiless {
            return Some(0);
        }
        self.number_of_end(&["request", "size"])
    }

    /// The name of the route.
    #[inline]
    pub fn route(&mut self) -> Option<&[u8]> {
        let exchange = &*self.exchange;
        self.route
            .get_or_insert_with(|| present(exchange, &["xds", "route_name"]))
            .as_deref()
    }

    /// A property that only the end has.
    #[inline]
    pub fn of_end(&self, path: &[&str]) -> Option<Vec<u8>> {
        match self.stage {
            Stage::RequestReceived => None,
            Stage::ResponseComplete => self.property(path),
        }
    }

    /// A property of the host; an empty one is none.
    #[inline]
    pub fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        present(&*self.exchange, path)
    }

    /// A whole number that only the end has; a negative one is none.
    #[inline]
    pub fn number_of_end(&self, path: &[&str]) -> Option<u64> {
        if self.stage == Stage::RequestReceived {
            return None;
        }
        number(&*self.exchange, path)
    }
}

#[inline]
fn present<X: Exchange>(exchange: &X, path: &[&str]) -> Option<Vec<u8>> {
    exchange.property(path).filter(|value| !value.is_empty())
}

#[inline]
fn number<X: Exchange>(exchange: &X, path: &[&str]) -> Option<u64> {
    let bytes = exchange.property(path)?;
    let value = i64::from_le_bytes(bytes.as_slice().try_into().ok()?);
    u64::try_from(value).ok()
}
