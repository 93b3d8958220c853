//! Logs as emitters write them, and the ways they are delivered.

#![allow(dead_code, reason = "each test uses a part")]

use std::fmt::Write as _;

use audit_chain::verify::verdict::Verdict;
use audit_chain::verify::{Terms, Verifier};
use audit_chain::{Chain, Emitter, Key, Mark};
use serde_json::{Value, json};

/// SplitMix64: one seed, one log.
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

pub fn key(id: &str) -> Key {
    Key::new(
        id,
        format!("{id}: 0123456789abcdef0123456789abcdef").as_bytes(),
    )
    .unwrap()
}

/// Where a form carries `chain`: what is written before it, and after it.
pub const PLACES: [(&str, &str); 4] = [
    (
        "{\"action\":{\"n\":NNN,\"path\":\"/ü/\\u0007\\\"NNN\"}",
        ",\"status\":200,\"time\":\"2026-11-21T14:00:00.000NNNZ\"}",
    ),
    ("{", "\"n\":NNN,\"text\":\"}{][,\\\\\"}"),
    (
        "{\"activity_id\":1,\"n\":NNN,\"unmapped\":{\"a\":[1,2]",
        ",\"n\":NNN}}",
    ),
    (
        "{\"@timestamp\":\"2026-11-21T14:00:00Z\",\"portcullis\":{",
        "\"n\":NNN},\"url\":{}}",
    ),
];

/// Emits, and keeps what was emitted.
pub struct Writer {
    pub chain: Chain,
    pub place: (&'static str, &'static str),
    pub lines: Vec<String>,
    pub marks: Vec<Mark>,
}

impl Writer {
    pub fn new(emitter: Emitter, key: Option<Key>, place: usize) -> Self {
        Self {
            chain: Chain::start(emitter, key),
            place: PLACES[place % PLACES.len()],
            lines: Vec::new(),
            marks: Vec::new(),
        }
    }

    pub fn emit(&mut self, matter: usize, mark: Mark) {
        let matter = format!("{matter:03}").replace("000", "999");
        let number = matter.trim_start_matches('0');
        let fill = |text: &str| {
            text.replace("\"n\":NNN", &format!("\"n\":{number}"))
                .replace("NNN", &matter)
        };
        let (before, behind) = (fill(self.place.0), fill(self.place.1));
        let mut record = format!("{before}{behind}").into_bytes();
        self.chain.seal(&mut record, before.len(), mark).unwrap();
        self.lines.push(String::from_utf8(record).unwrap());
        self.marks.push(mark);
    }

    pub fn name(&self) -> String {
        self.chain.emitter().to_string()
    }

    pub fn head(&self) -> String {
        let hash = self
            .chain
            .head()
            .iter()
            .fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            });
        format!("{}:{hash}", self.chain.seq())
    }
}

/// One to four emitters with some records each, now and then a checkpoint.
pub fn emitters(chance: &mut Chance, keyed: bool, least: usize) -> Vec<Writer> {
    let place = chance.below(PLACES.len());
    (0..=chance.below(4))
        .map(|worker| {
            let key = keyed.then(|| key(["k1", "k2"][worker % 2]));
            let emitter = Emitter::new("edge", 0x5eed, worker as u32);
            let mut writer = Writer::new(emitter, key, place);
            for _ in 0..least + chance.below(40) {
                let mark = if chance.one_in(7) {
                    Mark::Checkpoint
                } else {
                    Mark::None
                };
                writer.emit(chance.below(1000), mark);
            }
            writer
        })
        .collect()
}

/// The records of several emitters one after the other, each emitter's in its order.
pub fn interleave(chance: &mut Chance, mut logs: Vec<Vec<String>>) -> Vec<String> {
    let mut out = Vec::new();
    logs.iter_mut().for_each(|log| log.reverse());
    loop {
        logs.retain(|log| !log.is_empty());
        if logs.is_empty() {
            return out;
        }
        let from = chance.below(logs.len());
        out.extend(logs[from].pop());
    }
}

/// At-least-once delivery: batches again, records again, batches out of order.
pub fn deliver(chance: &mut Chance, lines: &[String]) -> Vec<String> {
    let mut batches: Vec<Vec<String>> = Vec::new();
    let mut rest = lines;
    while !rest.is_empty() {
        let (batch, behind) = rest.split_at(rest.len().min(1 + chance.below(9)));
        batches.push(batch.to_vec());
        if chance.one_in(4) {
            batches.push(batch.to_vec());
        }
        rest = behind;
    }
    chance.shuffle(&mut batches);
    batches.concat()
}

/// The forms in which records come in a file.
pub fn forms(chance: &mut Chance, lines: &[String]) -> Vec<(&'static str, String)> {
    let values: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let log = |line: &String| json!({"body": {"stringValue": line}, "timeUnixNano": "1"});
    let mut exports = String::new();
    let mut rest = lines;
    while !rest.is_empty() {
        let (batch, behind) = rest.split_at(rest.len().min(1 + chance.below(9)));
        let (one, two) = batch.split_at(chance.below(batch.len() + 1));
        let scope = |part: &[String]| json!({"scope": {"name": "audit"}, "logRecords": part.iter().map(log).collect::<Vec<_>>()});
        let export = json!({"resourceLogs": [
            {"resource": {"attributes": []}, "scopeLogs": [scope(one)]},
            {"scopeLogs": [scope(&[]), scope(two)]},
        ]});
        let _ = writeln!(exports, "{export}");
        rest = behind;
    }
    let carried = lines.iter().map(|line| {
        format!(
            "{}\n",
            json!({"status": 200, "audit": line, "other": "{\"a\":1}"})
        )
    });
    let several = lines
        .chunks(3)
        .map(|lines| format!("{}\n", json!({"audit": lines.join("\n")})));
    vec![
        ("ndjson", lines.join("\n")),
        ("ndjson, crlf", lines.join("\r\n") + "\r\n"),
        ("array", format!("[{}]", lines.join(","))),
        ("array of lines", format!("[\n{}\n]\n", lines.join(",\n"))),
        (
            "pretty array",
            format!("{:#}\n", Value::from(values.clone())),
        ),
        (
            "pretty lines",
            values.iter().map(|value| format!("{value:#}\n")).collect(),
        ),
        ("otlp", exports),
        ("access log", carried.collect()),
        ("access log, several at once", several.collect()),
    ]
}

pub fn terms(keyed: bool) -> Terms {
    let mut terms = Terms::default();
    if keyed {
        terms.keys.add(key("k1"));
        terms.keys.add(key("k2"));
    }
    terms
}

pub fn judge(terms: Terms, text: &str) -> Verdict {
    let mut verifier = Verifier::new(terms);
    // As little as a pipe may give at once.
    let mut reader = std::io::BufReader::with_capacity(7, text.as_bytes());
    verifier.read("log", &mut reader).unwrap();
    verifier.close()
}
