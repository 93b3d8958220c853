//! A profile over the default settings.

use serde_json::{Map, Value};

/// Lays `over` onto `base`: maps merge key by key, `null` removes a key, everything else (lists too) replaces.
/// This is JSON Merge Patch (RFC 7396).
pub fn merge(base: &Value, over: &Value) -> Value {
    let Value::Object(over) = over else {
        return over.clone();
    };
    let base = base.as_object();
    let mut merged = match base {
        Some(base) => without(base, &|key| over.contains_key(key)),
        None => Map::new(),
    };
    for (key, value) in over.iter().filter(|(_, value)| !value.is_null()) {
        let below = base.and_then(|base| base.get(key));
        let value = merge(below.unwrap_or(&Value::Null), value);
        merged.insert(key.clone(), value);
    }
    Value::Object(merged)
}

/// What is left without some keys. Not taken out of a copy: that is 4 kB of each module.
#[inline(never)]
pub fn without(map: &Map<String, Value>, is_left_out: &dyn Fn(&str) -> bool) -> Map<String, Value> {
    let mut rest = Map::new();
    for (key, value) in map.iter().filter(|(key, _)| !is_left_out(key)) {
        rest.insert(key.clone(), value.clone());
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn maps_merge_lists_replace_and_null_removes() {
        let base = json!({"a": {"x": 1, "y": 2}, "list": [1, 2], "gone": true});
        let over =
            json!({"a": {"y": 3, "z": {"deep": null, "kept": 4}}, "list": [9], "gone": null});
        assert_eq!(
            merge(&base, &over),
            json!({"a": {"x": 1, "y": 3, "z": {"kept": 4}}, "list": [9]})
        );
    }
}
