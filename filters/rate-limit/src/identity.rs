//! Who a request counts for: shared by the filters that must agree about it.

pub use portcullis_kit::identity::*;
