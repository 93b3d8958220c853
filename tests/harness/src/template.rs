//! A configuration file as a template.

use std::path::Path;

use serde_json::Value;

use crate::patch;

/// An Envoy bootstrap that can be changed by path.
#[derive(Clone, Debug)]
pub struct Template(pub Value);

impl Template {
    /// Reads YAML or JSON. Panics if the file is not there or is neither.
    #[track_caller]
    pub fn read(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self(yaml(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    /// Replaces the value at `static_resources.listeners[0].name`.
    #[track_caller]
    pub fn set(mut self, path: &str, value: impl Into<Value>) -> Self {
        *patch::at(&mut self.0, path) = value.into();
        self
    }

    /// Merges into the value at that path.
    #[track_caller]
    pub fn merge(mut self, path: &str, over: &Value) -> Self {
        patch::merge(patch::at(&mut self.0, path), over);
        self
    }

    /// Runs `change` on every value with the key `key`, at any depth.
    pub fn each(mut self, key: &str, mut change: impl FnMut(&mut Value)) -> Self {
        each(&mut self.0, key, &mut change);
        self
    }
}

fn each(value: &mut Value, key: &str, change: &mut impl FnMut(&mut Value)) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                if name == key {
                    change(value);
                }
                each(value, key, change);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| each(value, key, change)),
        _ => {}
    }
}

/// YAML as a JSON value.
pub fn yaml(text: &str) -> Result<Value, String> {
    serde_saphyr::from_str(text).map_err(|error| error.to_string())
}
