//! The VM's environment: `vm_config.environment_variables`.

use portcullis_kit::config::Environment;

/// Variables as the host hands them over through WASI; none where the target has no environment.
pub struct Variables {
    /// See [`Environment::configuration`].
    pub configuration: String,
}

impl Environment for Variables {
    #[cfg(target_os = "wasi")]
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    #[cfg(not(target_os = "wasi"))]
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn configuration(&self) -> Option<&str> {
        Some(&self.configuration)
    }
}
