//! Secrets come by reference, and are never shown.

use std::fmt;

use super::Setting;

use super::{ConfigError, Environment, Mistake, Path};

/// A secret given as `{env: NAME}`: the value of an environment variable of the plugin's VM
/// (`vm_config.environment_variables`).
#[derive(Clone, Setting, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// The name of the environment variable that holds the secret.
    env: String,
}

impl Secret {
    /// The secret's value. Refused where the variable is missing or empty: an empty key protects nothing.
    pub fn resolve(
        &self,
        environment: &dyn Environment,
        path: Path,
    ) -> Result<String, ConfigError> {
        environment
            .variable(&self.env)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| {
                ConfigError::new(
                    path.key("env"),
                    Mistake::NoSuchVariable {
                        name: self.env.clone(),
                    },
                )
            })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({{env: {}}})", self.env)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_secret_is_looked_up_and_an_empty_one_is_refused() {
        let secret: Secret = super::super::from_value(&serde_json::json!({"env": "KEY"})).unwrap();
        let mut environment = BTreeMap::from([("KEY".to_owned(), "s3cret".to_owned())]);
        assert_eq!(secret.resolve(&environment, Path::top()).unwrap(), "s3cret");
        environment.insert("KEY".into(), String::new());
        let refused = secret
            .resolve(&environment, Path::top().key("hmac_key"))
            .unwrap_err();
        assert!(
            refused
                .to_string()
                .starts_with("hmac_key.env: the environment variable `KEY`")
        );
    }
}
