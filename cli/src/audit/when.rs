//! Times on the command line and in records.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// `2026-11-21T14:00:00Z`, `2026-11-21` (its beginning, UTC) or seconds since 1970, as nanoseconds since 1970.
pub fn parse(text: &str) -> Option<i128> {
    if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
        return Some(time.unix_timestamp_nanos());
    }
    if let Ok(seconds) = text.parse::<i64>() {
        return Some(i128::from(seconds) * 1_000_000_000);
    }
    let midnight = OffsetDateTime::parse(&format!("{text}T00:00:00Z"), &Rfc3339).ok()?;
    Some(midnight.unix_timestamp_nanos())
}

/// As RFC 3339, to the millisecond.
pub fn text(nanoseconds: i128) -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok()?;
    Some(format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.millisecond()
    ))
}
