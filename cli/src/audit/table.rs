//! Records as lines for a person.

use serde_json::Value;

use super::reading::Reading;

/// The names of the columns. They keep their place as long as values are not too wide.
pub fn heading() -> String {
    line(
        [
            "TIME",
            "STATUS",
            "WHAT",
            "ACTOR",
            "REQUEST",
            "REQUEST ID",
            "EMITTER#SEQ",
        ]
        .map(str::to_owned),
    )
}

/// One record.
pub fn row(record: &Value) -> String {
    let reading = Reading(record);
    let or_dash = |text: Option<&str>| text.map_or_else(|| "-".to_owned(), clean);
    let request = [reading.method(), reading.path()];
    let request = request.into_iter().flatten().collect::<Vec<_>>().join(" ");
    line([
        or_dash(reading.time_text().as_deref()),
        or_dash(reading.status().map(|status| status.to_string()).as_deref()),
        or_dash(reading.kind()),
        or_dash(reading.actors().next()),
        or_dash(Some(request.as_str()).filter(|text| !text.is_empty())),
        or_dash(reading.request_id()),
        format!(
            "{}#{}",
            or_dash(reading.emitter()),
            or_dash(reading.seq().map(|seq| seq.to_string()).as_deref())
        ),
    ])
}

fn line([time, status, what, actor, request, id, emitter]: [String; 7]) -> String {
    format!("{time:27}  {status:6}  {what:24}  {actor:20}  {request:30}  {id:36}  {emitter}\n")
}

/// Nothing that a terminal would act on: what a client sent may stand in a record.
fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        let acts = character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if acts {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}
