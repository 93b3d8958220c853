//! A profile over the default settings.

use serde_json::Value;

/// Lays `over` onto `base`: maps merge key by key, `null` removes a key, everything else (lists too) replaces.
/// This is JSON Merge Patch (RFC 7396).
pub fn merge(base: &Value, over: &Value) -> Value {
    let Value::Object(over) = over else {
        return over.clone();
    };
    let mut merged = match base {
        Value::Object(base) => base.clone(),
        _ => serde_json::Map::new(),
    };
    for (key, value) in over {
        if value.is_null() {
            merged.remove(key);
        } else {
            let below = merged.get(key).unwrap_or(&Value::Null);
            let value = merge(below, value);
            merged.insert(key.clone(), value);
        }
    }
    Value::Object(merged)
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
