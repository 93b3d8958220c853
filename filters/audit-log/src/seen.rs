//! What the host can tell of a request, most of it at its end; each fact is asked for at most once, and only if it is needed.

use std::rc::Rc;

use portcullis_kit::Headers;
use portcullis_kit::exchange::Exchange;

use crate::flags::Flags;
use crate::settings::Stage;

/// What `%RESPONSE_CODE_DETAILS%` is where the upstream's response went through to its end.
const VIA_UPSTREAM: &[u8] = b"via_upstream";

/// A request at one of its stages.
pub struct Seen<'x, X: Exchange> {
    pub exchange: &'x mut X,
    pub request: Rc<Headers>,
    stage: Stage,
    status: Option<Option<u16>>,
    details: Option<Option<Vec<u8>>>,
    flags: Option<Flags>,
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
            stage: Stage::ResponseComplete,
            status: None,
            details: None,
            flags: None,
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

    /// A response that came from the upstream and went through has no flags, and they are not asked for.
    #[inline]
    pub fn flags(&mut self) -> Flags {
        if let Some(flags) = self.flags {
            return flags;
        }
        let flags = if self.details() == Some(VIA_UPSTREAM) {
            Flags::NONE
        } else {
            Flags(number(&*self.exchange, &["response", "flags"]).unwrap_or(0))
        };
        self.flags = Some(flags);
        flags
    }

    /// The tier that rate-limit gave the client.
    #[inline]
    pub fn tier(&mut self) -> Option<&[u8]> {
        let exchange = &*self.exchange;
        self.tier
            .get_or_insert_with(|| present(exchange, &["portcullis.tier"]))
            .as_deref()
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
