//! What Alertmanager posts to a webhook, as lines to read.

use serde_json::Value;

/// Why a body is none that Alertmanager posts.
#[derive(Debug, PartialEq, Eq)]
pub enum NoAlerts {
    NoJson,
    NoList,
}

impl std::fmt::Display for NoAlerts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoJson => "the body is no JSON; post what Alertmanager's webhook_configs send",
            Self::NoList => {
                "the body has no list `alerts`; post what Alertmanager's webhook_configs send"
            }
        })
    }
}

impl std::error::Error for NoAlerts {}

/// One line for each alert: receiver, status, name, summary, labels, runbook. A text cannot begin a line of its own.
pub fn lines(body: &[u8]) -> Result<Vec<String>, NoAlerts> {
    let told: Value = serde_json::from_slice(body).map_err(|_| NoAlerts::NoJson)?;
    let receiver = text(told.get("receiver"));
    let alerts = told.get("alerts").and_then(Value::as_array);
    let alerts = alerts.ok_or(NoAlerts::NoList)?.iter();
    Ok(alerts.map(|alert| line(&receiver, alert)).collect())
}

fn line(receiver: &str, alert: &Value) -> String {
    let of = |group: &str, name: &str| text(alert.get(group).and_then(|group| group.get(name)));
    let labels = alert.get("labels").and_then(Value::as_object);
    let labels = labels.into_iter().flatten();
    let labels: Vec<String> = labels
        .filter(|(name, _)| *name != "alertname")
        .map(|(name, value)| format!("{}={}", printable(name), text(Some(value))))
        .collect();
    format!(
        "{receiver}: {} {}: {} ({}) {}",
        text(alert.get("status")),
        of("labels", "alertname"),
        of("annotations", "summary"),
        labels.join(" "),
        of("annotations", "runbook_url"),
    )
}

fn text(value: Option<&Value>) -> String {
    printable(value.and_then(Value::as_str).unwrap_or("-"))
}

fn printable(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_alert_is_a_line_with_its_receiver_and_what_it_is_about() {
        let body = br#"{"receiver":"critical","alerts":[
            {"status":"firing","labels":{"alertname":"High","job":"envoy","severity":"critical"},
             "annotations":{"summary":"7 % fail","runbook_url":"https://example.com/#high"}},
            {"status":"resolved","labels":{"alertname":"Other"}}]}"#;
        assert_eq!(
            lines(body).unwrap(),
            [
                "critical: firing High: 7 % fail (job=envoy severity=critical) https://example.com/#high",
                "critical: resolved Other: - () -",
            ]
        );
    }

    #[test]
    fn a_text_cannot_begin_a_line_of_its_own() {
        let body = br#"{"receiver":"a\nb","alerts":[{"labels":{"alertname":"x","l\n":"\u0007"},"annotations":{"summary":"1\r\n2"}}]}"#;
        assert_eq!(lines(body).unwrap(), ["a b: - x: 1  2 (l = ) -"]);
    }

    #[test]
    fn what_alertmanager_does_not_post_is_refused() {
        assert_eq!(lines(b"alerts=1"), Err(NoAlerts::NoJson));
        assert_eq!(lines(b"{\"alerts\":{}}"), Err(NoAlerts::NoList));
    }
}
