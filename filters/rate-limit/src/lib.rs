//! Plans with exact quotas, counted in shared data.

pub mod bucket;
pub mod counter;
pub mod decide;
pub mod identity;
pub mod period;
pub mod plan;
pub mod store;
mod varint;
