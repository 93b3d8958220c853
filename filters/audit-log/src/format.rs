//! The forms in which a record is written. Each gives the place at which `chain` goes.

pub mod native;
mod time;

use crate::notice::Notice;
use crate::record::Record;
use crate::settings::Format;

/// Appends a request's record.
#[inline]
pub fn write(format: Format, record: &Record<'_>, out: &mut Vec<u8>) -> usize {
    match format {
        Format::Native => native::write(record, out),
    }
}

/// Appends a record of the bundle itself.
#[inline]
pub fn write_notice(format: Format, notice: &Notice<'_>, time: u64, out: &mut Vec<u8>) -> usize {
    match format {
        Format::Native => native::write_notice(notice, time, out),
    }
}
