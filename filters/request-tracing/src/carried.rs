//! What a trusted caller says in its own format and a [`TraceContext`](crate::context::TraceContext) has no place for. It
//! goes on where that format is written.

use std::borrow::Cow;

use portcullis_kit::Headers;

use crate::formats::Format;
use crate::{datadog, xray};

/// What goes on beside the context.
#[derive(Debug, Default)]
pub struct Carried {
    datadog_tags: Option<Vec<u8>>,
    datadog_priority: Option<&'static [u8]>,
    xray_fields: Vec<u8>,
}

impl Carried {
    /// Reads it for the formats that are written. `followed` is the caller's decision, if it is followed.
    pub fn read(headers: &Headers, inject: &[Format], followed: Option<bool>) -> Self {
        let mut carried = Self::default();
        if inject.contains(&Format::Datadog) {
            carried.datadog_tags = headers.get(datadog::TAGS).map(<[u8]>::to_vec);
            carried.datadog_priority =
                followed.and_then(|sampled| datadog::users_priority(headers, sampled));
        }
        if inject.contains(&Format::Xray) {
            carried.xray_fields = xray::fields_beside(headers);
        }
        carried
    }

    /// The value that a field of a format gets; `None` if it is written by other means ([`Self::datadog_tags`]).
    pub fn beside<'v>(&self, name: &str, value: &'v [u8]) -> Option<Cow<'v, [u8]>> {
        match name {
            datadog::TAGS => None,
            datadog::PRIORITY => Some(self.datadog_priority.unwrap_or(value).into()),
            xray::HEADER => Some([value, &self.xray_fields].concat().into()),
            _ => Some(value.into()),
        }
    }

    /// The caller's tags and the left half of the trace id.
    pub fn datadog_tags(&self, trace_id: &[u8; 16]) -> Option<Vec<u8>> {
        datadog::tags(self.datadog_tags.as_deref(), trace_id)
    }
}
