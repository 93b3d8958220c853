//! HTTP filters: ours and Envoy's.

use serde_json::{Map, Value, json};

use crate::artifacts;
use crate::patch;

/// One HTTP filter.
#[derive(Clone, Debug)]
pub struct Filter {
    name: String,
    disabled: bool,
    config: FilterConfig,
}

#[derive(Clone, Debug)]
enum FilterConfig {
    Native(Value),
    Wasm(Wasm),
}

#[derive(Clone, Debug)]
struct Wasm {
    module: String,
    root_id: String,
    configuration: Value,
    environment: Map<String, Value>,
    over: Value,
}

impl Filter {
    /// One of our modules, named as its file: `security_headers`. The settings go as a `Struct`, as YAML users write
    /// them; name and `root_id` are the module's with `-`, and the failure policy is FAIL_RELOAD.
    pub fn wasm(module: &str, settings: Value) -> Self {
        Self {
            name: module.replace('_', "-"),
            disabled: false,
            config: FilterConfig::Wasm(Wasm {
                module: module.to_owned(),
                root_id: module.replace('_', "-"),
                configuration: structured(&settings),
                environment: Map::new(),
                over: json!({}),
            }),
        }
    }

    /// A filter of Envoy's own; `message` is its configuration's type.
    pub fn native(name: &str, message: &str, mut config: Value) -> Self {
        config["@type"] = format!("type.googleapis.com/{message}").into();
        Self {
            name: name.to_owned(),
            disabled: false,
            config: FilterConfig::Native(config),
        }
    }

    /// The same name in two filters of one listener is legal; per-route configuration goes by it.
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// Off unless a route turns it on by its own configuration.
    pub fn disabled(mut self) -> Self {
        self.disabled = true;
        self
    }

    /// The settings as this text instead of a `Struct`.
    pub fn text(self, settings: &str) -> Self {
        self.wasm_only(|wasm| {
            wasm.configuration = json!({
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": settings,
            });
        })
    }

    /// No settings at all.
    pub fn unconfigured(self) -> Self {
        self.wasm_only(|wasm| wasm.configuration = Value::Null)
    }

    pub fn root_id(self, root_id: &str) -> Self {
        self.wasm_only(|wasm| wasm.root_id = root_id.to_owned())
    }

    /// A variable that the module sees.
    pub fn environment(self, name: &str, value: &str) -> Self {
        self.wasm_only(|wasm| {
            wasm.environment.insert(name.to_owned(), value.into());
        })
    }

    /// Merges into the `PluginConfig`: another `vm_id`, another failure policy.
    pub fn over(self, over: &Value) -> Self {
        self.wasm_only(|wasm| patch::merge(&mut wasm.over, over))
    }

    fn wasm_only(mut self, change: impl FnOnce(&mut Wasm)) -> Self {
        if let FilterConfig::Wasm(wasm) = &mut self.config {
            change(wasm);
        }
        self
    }

    /// The entry of `http_filters`.
    pub fn to_value(&self) -> Value {
        let mut entry = json!({"name": self.name, "typed_config": self.typed_config()});
        if self.disabled {
            entry["disabled"] = true.into();
        }
        entry
    }

    /// The entry of `access_log`.
    pub fn to_access_logger(&self) -> Value {
        let config = &self.typed_config()["config"];
        json!({"name": self.name, "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.wasm.v3.WasmAccessLog",
            "config": config,
        }})
    }

    /// The configuration alone, for a route's `filter_chain`.
    pub fn typed_config(&self) -> Value {
        match &self.config {
            FilterConfig::Native(config) => config.clone(),
            FilterConfig::Wasm(wasm) => wasm.to_value(&self.name),
        }
    }
}

impl Wasm {
    fn to_value(&self, name: &str) -> Value {
        let mut plugin = json!({
            "name": name,
            "root_id": self.root_id,
            "failure_policy": "FAIL_RELOAD",
            "vm_config": {
                "vm_id": "portcullis",
                "runtime": "envoy.wasm.runtime.v8",
                "code": {"local": {"filename": artifacts::module(&self.module)}},
            },
        });
        if !self.configuration.is_null() {
            plugin["configuration"] = self.configuration.clone();
        }
        if !self.environment.is_empty() {
            plugin["vm_config"]["environment_variables"] = json!({"key_values": self.environment});
        }
        patch::merge(&mut plugin, &self.over);
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": plugin,
        })
    }
}

/// Settings as a `google.protobuf.Struct`.
pub fn structured(settings: &Value) -> Value {
    json!({"@type": "type.googleapis.com/google.protobuf.Struct", "value": settings})
}
