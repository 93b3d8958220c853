//! Plans with exact quotas, counted in shared data.

pub mod bucket;
pub mod counter;
pub mod decide;
pub mod period;
pub mod store;
mod varint;
