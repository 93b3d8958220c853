use crate::{plan::Profile, settings::Settings};
use portcullis_kit::{Compiling, ConfigError};
pub fn compile(_: Settings, _: &Compiling<'_>) -> Result<Profile, ConfigError> {
    Err(ConfigError::rule(portcullis_kit::Path::top(), ""))
}
pub fn check(_: &[(&str, &Profile)]) -> Result<(), ConfigError> {
    Ok(())
}
