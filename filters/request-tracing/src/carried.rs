//! What a trusted caller says in its own format and a [`TraceContext`](crate::context::TraceContext) has no place for. It
//! goes on where that format is written.

use portcullis_kit::Headers;

use crate::formats::Format;
use crate::{datadog, xray};

/// What goes on beside the context.
#[derive(Debug, Default)]
pub struct Carried {
    /// `x-datadog-tags`.
    pub datadog_tags: Option<Vec<u8>>,
    /// What a user set.
    pub datadog_priority: Option<&'static [u8]>,
    /// See [`xray::fields_beside`].
    pub xray_fields: Vec<u8>,
}

impl Carried {
    /// Reads it for the formats that are written. `followed` is the caller's decision, if it is followed.
    #[inline(never)]
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
}
