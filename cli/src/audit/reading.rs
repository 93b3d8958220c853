//! What a record says, in each of the forms it is written in: native, OCSF, ECS.

use serde_json::Value;

use super::when;

/// A record's members by what they mean, whichever form it has.
pub struct Reading<'r>(pub &'r Value);

impl<'r> Reading<'r> {
    fn at(&self, paths: &[&str]) -> Option<&'r Value> {
        paths.iter().find_map(|path| {
            // ECS may write names with dots, too.
            let mut steps = path.split('.');
            let nested = steps.try_fold(self.0, |value, step| value.get(step));
            nested.or_else(|| self.0.get(*path))
        })
    }

    fn text(&self, paths: &[&str]) -> Option<&'r str> {
        self.at(paths)?.as_str()
    }

    /// Nanoseconds since 1970.
    pub fn time(&self) -> Option<i128> {
        match self.at(&["time", "@timestamp"])? {
            Value::String(text) => when::parse(text),
            // OCSF counts milliseconds.
            Value::Number(number) => Some(i128::from(number.as_i64()?) * 1_000_000),
            _ => None,
        }
    }

    /// As the record writes it.
    pub fn time_text(&self) -> Option<String> {
        match self.at(&["time", "@timestamp"])? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => when::text(i128::from(number.as_i64()?) * 1_000_000),
            _ => None,
        }
    }

    /// Everything that names the actor.
    pub fn actors(&self) -> impl Iterator<Item = &'r str> {
        let objects = [
            self.at(&["actor.user"]),
            self.at(&["actor"]),
            self.at(&["user"]),
        ];
        objects.into_iter().flatten().flat_map(|value| match value {
            Value::Object(map) => ["id", "subject", "uid", "name", "hash"]
                .into_iter()
                .filter_map(|name| map.get(name)?.as_str())
                .collect::<Vec<_>>(),
            Value::String(text) => vec![text.as_str()],
            _ => Vec::new(),
        })
    }

    pub fn status(&self) -> Option<u64> {
        let paths = [
            "response.status",
            "http_response.code",
            "http.response.status_code",
            "status",
        ];
        paths.iter().find_map(|path| self.at(&[path])?.as_u64())
    }

    pub fn event(&self) -> Option<&'r str> {
        self.text(&[
            "event",
            "unmapped.event",
            "portcullis.event",
            "event.action",
        ])
    }

    /// `type` of the record where there is no event.
    pub fn kind(&self) -> Option<&'r str> {
        self.event()
            .or_else(|| self.text(&["type", "activity_name", "unmapped.type", "portcullis.type"]))
    }

    pub fn outcome(&self) -> Option<&'r str> {
        self.text(&["outcome", "event.outcome", "status"])
    }

    pub fn method(&self) -> Option<&'r str> {
        self.text(&[
            "action.method",
            "http_request.http_method",
            "http.request.method",
        ])
    }

    pub fn path(&self) -> Option<&'r str> {
        self.text(&[
            "action.template",
            "action.path",
            "http_request.url.path",
            "url.path",
        ])
    }

    pub fn request_id(&self) -> Option<&'r str> {
        self.text(&["request.id", "http_request.uid", "http.request.id"])
    }

    fn chain(&self) -> Option<&'r serde_json::Map<String, Value>> {
        audit_chain::verify::record::chain(self.0)
    }

    pub fn emitter(&self) -> Option<&'r str> {
        self.chain()?.get("emitter")?.as_str()
    }

    pub fn seq(&self) -> Option<u64> {
        self.chain()?.get("seq")?.as_u64()
    }

    /// By which a duplicate is known.
    pub fn hash(&self) -> Option<&'r str> {
        self.chain()?.get("hash")?.as_str()
    }
}
