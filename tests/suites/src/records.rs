//! Audit records wherever they come out: in the proxy's log, in batches to a sink, as text within OTLP.

use std::fs::{OpenOptions, create_dir_all};
use std::io::Write as _;
use std::path::PathBuf;

use portcullis_harness::upstream::Request;
use serde_json::Value;

/// Names the folder in which the suites keep the records that they get.
pub const KEEP: &str = "PORTCULLIS_AUDIT_RECORDS";

/// The members that records of the three forms begin with.
const BEGINNINGS: [&str; 4] = [
    "{\"action\":{",
    "{\"category\":\"bundle\"",
    "{\"activity_id\":",
    "{\"@timestamp\":",
];

/// All records in a proxy's log.
pub fn in_log(log: &str) -> Vec<Value> {
    let json = log.lines().filter_map(|line| {
        let at = BEGINNINGS.iter().filter_map(|begin| line.find(begin)).min();
        line.get(at?..)
    });
    let records =
        json.map(|json| serde_json::from_str(json).unwrap_or_else(|why| panic!("{why}: {json}")));
    records.collect()
}

/// All records in the requests to a sink: lines, lists, OTLP.
pub fn in_batches(batches: &[Request]) -> Vec<Value> {
    let mut records = Vec::new();
    for batch in batches {
        let body = serde_json::Deserializer::from_slice(&batch.body);
        for value in body.into_iter::<Value>() {
            collect(value.unwrap(), &mut records);
        }
    }
    records
}

fn collect(value: Value, records: &mut Vec<Value>) {
    match value {
        Value::Array(items) => items.into_iter().for_each(|item| collect(item, records)),
        value if value.get("resourceLogs").is_some() => {
            let list =
                |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
            let resources = list(&value, "resourceLogs").into_iter();
            let scopes = resources.flat_map(|resource| list(&resource, "scopeLogs"));
            for record in scopes.flat_map(|scope| list(&scope, "logRecords")) {
                let text = record["body"]["stringValue"].as_str().unwrap();
                records.push(serde_json::from_str(text).unwrap());
            }
        }
        record => records.push(record),
    }
}

/// Those of requests, without what the bundle tells of itself.
pub fn of_requests(records: &[Value]) -> Vec<&Value> {
    records
        .iter()
        .filter(|record| own(record)["type"] == "request")
        .collect()
}

/// What every form has: the record itself, or its member for what the form has no place for.
pub fn own(record: &Value) -> &Value {
    ["unmapped", "portcullis"]
        .iter()
        .find_map(|name| record.get(name))
        .unwrap_or(record)
}

/// Keeps records for the judges of their forms, where [`KEEP`] names a folder.
pub fn keep(records: &[Value]) {
    let Some(folder) = std::env::var_os(KEEP).map(PathBuf::from) else {
        return;
    };
    create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{}.ndjson", std::process::id()));
    let mut options = OpenOptions::new();
    let mut file = options.create(true).append(true).open(path).unwrap();
    for record in records {
        writeln!(file, "{record}").unwrap();
    }
}
