//! What Envoy's admin interface tells.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::raw::Connection;
use crate::request::Request;
use crate::response::Response;

/// The admin interface on a port of the loopback.
#[derive(Clone, Copy, Debug)]
pub struct Admin {
    pub port: u16,
}

impl Admin {
    #[track_caller]
    pub fn get(self, target: &str) -> Response {
        Request::get(target)
            .header("connection", "close")
            .send(self.port)
    }

    #[track_caller]
    pub fn post(self, target: &str) -> Response {
        Request::new("POST", target)
            .header("content-length", "0")
            .header("connection", "close")
            .send(self.port)
    }

    /// Whether the proxy serves. Nothing may listen yet, and what listens may end.
    pub fn is_ready(self) -> bool {
        let Ok(mut connection) = Connection::try_open(self.port) else {
            return false;
        };
        connection.send(
            &Request::get("/ready")
                .header("connection", "close")
                .to_bytes(),
        );
        connection
            .read_response("GET")
            .is_some_and(|response| response.status == 200)
    }

    /// All counters and gauges whose names match the expression, by name.
    #[track_caller]
    pub fn stats(self, filter: &str) -> BTreeMap<String, u64> {
        let text = self
            .get(&format!(
                "/stats?filter={}",
                portcullis_upstream::percent::encode(filter.as_bytes())
            ))
            .text();
        text.lines()
            .filter_map(|line| {
                let (name, value) = line.rsplit_once(": ")?;
                Some((name.to_owned(), value.parse().ok()?))
            })
            .collect()
    }

    /// One counter or gauge by its whole name; 0 if it does not exist.
    #[track_caller]
    pub fn stat(self, name: &str) -> u64 {
        let escaped: String = name
            .chars()
            .flat_map(|c| {
                (!c.is_ascii_alphanumeric() && c != '_')
                    .then_some('\\')
                    .into_iter()
                    .chain([c])
            })
            .collect();
        self.stats(&format!("^{escaped}$"))
            .get(name)
            .copied()
            .unwrap_or(0)
    }

    /// How often a VM was reloaded or should have been: 0 unless a module trapped.
    #[track_caller]
    pub fn vm_reloads(self) -> u64 {
        self.stats("vm_reload").values().sum()
    }

    /// The metrics page that Prometheus reads.
    #[track_caller]
    pub fn prometheus(self) -> String {
        self.get("/stats/prometheus").text()
    }

    #[track_caller]
    pub fn config_dump(self) -> Value {
        self.get("/config_dump").json()
    }

    /// The ports of all listeners, by name.
    #[track_caller]
    pub fn listeners(self) -> BTreeMap<String, u16> {
        let answer = self.get("/listeners?format=json").json();
        let statuses = answer["listener_statuses"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        statuses
            .iter()
            .filter_map(|status| {
                let port = status["local_address"]["socket_address"]["port_value"].as_u64()?;
                Some((
                    status["name"].as_str()?.to_owned(),
                    u16::try_from(port).ok()?,
                ))
            })
            .collect()
    }
}
