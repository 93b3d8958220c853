use serde::Deserialize;
#[derive(Deserialize)]
pub struct Settings {}
