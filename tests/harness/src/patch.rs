//! Changing a JSON value by path.

use serde_json::{Map, Value};

/// The value at `a.b[0].c`, made where it is absent. Panics where the path goes through a scalar or past a list's end.
#[track_caller]
pub fn at<'a>(value: &'a mut Value, path: &str) -> &'a mut Value {
    let mut here = value;
    for segment in segments(path) {
        here = match segment {
            Segment::Key(key) => {
                if here.is_null() {
                    *here = Value::Object(Map::new());
                }
                let Value::Object(map) = here else {
                    panic!("{path}: `{key}` is asked of what is not a map")
                };
                map.entry(key).or_insert(Value::Null)
            }
            Segment::Index(index) => {
                let Value::Array(list) = here else {
                    panic!("{path}: [{index}] of what is not a list")
                };
                list.get_mut(index)
                    .unwrap_or_else(|| panic!("{path}: the list has no [{index}]"))
            }
        };
    }
    here
}

/// Merges `over` into `value`: maps key by key, everything else replaced; null removes a key.
pub fn merge(value: &mut Value, over: &Value) {
    match (value, over) {
        (Value::Object(map), Value::Object(over)) => {
            for (key, over) in over {
                if over.is_null() {
                    map.remove(key);
                } else {
                    merge(map.entry(key.clone()).or_insert(Value::Null), over);
                }
            }
        }
        (value, over) => *value = over.clone(),
    }
}

enum Segment {
    Key(String),
    Index(usize),
}

fn segments(path: &str) -> Vec<Segment> {
    let mut segments = Vec::new();
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let mut pieces = part.split('[');
        let key = pieces.next().unwrap_or_default();
        if !key.is_empty() {
            segments.push(Segment::Key(key.to_owned()));
        }
        for piece in pieces {
            let index = piece.trim_end_matches(']').parse();
            segments.push(Segment::Index(
                index.unwrap_or_else(|_| panic!("{path}: not an index")),
            ));
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_path_goes_through_maps_and_lists_and_makes_what_is_absent() {
        let mut value = json!({"a": [{"b": 1}]});
        *at(&mut value, "a[0].c.d") = json!(2);
        assert_eq!(value, json!({"a": [{"b": 1, "c": {"d": 2}}]}));
    }

    #[test]
    fn a_merge_replaces_lists_and_removes_by_null() {
        let mut value = json!({"a": {"b": 1, "c": [1, 2]}, "d": 3});
        merge(&mut value, &json!({"a": {"c": [9], "b": null}}));
        assert_eq!(value, json!({"a": {"c": [9]}, "d": 3}));
    }
}
