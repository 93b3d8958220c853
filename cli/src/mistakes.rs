//! Runs a plugin's own code on its settings, and again on what is left of them, until no further mistake can be told.

use portcullis_kit::config::{ConfigError, Mistake, Segment, nearest};
use serde_json::{Map, Value};

use crate::diagnostic::{Diagnostic, Severity};
use crate::document::Pointer;
use crate::find::Found;
use crate::registry::Bundle;

/// More than anyone reads; bounds the work on a file that is all wrong.
const MAX_MISTAKES: usize = 50;

/// Every mistake in a plugin's settings that can be told for sure.
pub fn of(plugin: &Found) -> Vec<Diagnostic> {
    let Some(settings) = &plugin.settings.value else {
        return Vec::new();
    };
    let mut left = settings.clone();
    let mut found = Vec::new();
    let mut guessing = false;
    while found.len() < MAX_MISTAKES {
        let Err(error) = plugin.bundle.load(&left, &plugin.environment) else {
            break;
        };
        if guessing && !stands_alone(&error.mistake) {
            break;
        }
        found.push(diagnostic(plugin, &error));
        match without(plugin.bundle, &mut left, &error) {
            Rest::Same => {}
            Rest::Guess => guessing = true,
            Rest::Nothing => break,
        }
    }
    found
}

/// What may be concluded from the settings after a mistake was cut out of them.
enum Rest {
    /// Every further mistake was there before.
    Same,
    /// A missing value may be the one that was cut out: only what is wrong in itself counts.
    Guess,
    /// Nothing was cut out.
    Nothing,
}

/// Whether a mistake is one whatever else the settings hold.
fn stands_alone(mistake: &Mistake) -> bool {
    matches!(
        mistake,
        Mistake::UnknownKey { .. }
            | Mistake::UnknownValue { .. }
            | Mistake::WrongType { .. }
            | Mistake::OutOfRange { .. }
    )
}

fn without(bundle: Bundle, settings: &mut Value, error: &ConfigError) -> Rest {
    let mut path = error.path.segments().to_vec();
    if let Mistake::UnknownKey { key, .. } = &error.mistake {
        path.push(Segment::Key(key.clone()));
        return if remove(settings, &path) {
            Rest::Same
        } else {
            Rest::Nothing
        };
    }
    let member = match (bundle, path.first()) {
        (Bundle::Chain, Some(_)) => 1,
        _ => 0,
    };
    let own: Vec<&str> = path.iter().skip(member).map_while(name).collect();
    match own.as_slice() {
        // The profile stays, so that routes may name it, and says no more than the default.
        ["profiles", _, ..] => {
            path.truncate(member.saturating_add(2));
            match at(settings, &path) {
                Some(profile) if *profile != Value::Object(Map::new()) => {
                    *profile = Value::Object(Map::new());
                    Rest::Same
                }
                _ => Rest::Nothing,
            }
        }
        ["routes", ..] => {
            path.truncate(member.saturating_add(1));
            if remove(settings, &path) {
                Rest::Same
            } else {
                Rest::Nothing
            }
        }
        _ => {
            // A list without one item would move the others.
            while matches!(path.last(), Some(Segment::Index(_))) {
                path.pop();
            }
            if remove(settings, &path) {
                Rest::Guess
            } else {
                Rest::Nothing
            }
        }
    }
}

fn name(segment: &Segment) -> Option<&str> {
    match segment {
        Segment::Key(key) => Some(key),
        Segment::Index(_) => None,
    }
}

fn at<'a>(value: &'a mut Value, path: &[Segment]) -> Option<&'a mut Value> {
    let mut here = value;
    for segment in path {
        here = match segment {
            Segment::Key(key) => here.get_mut(key)?,
            Segment::Index(index) => here.get_mut(index)?,
        };
    }
    Some(here)
}

fn remove(settings: &mut Value, path: &[Segment]) -> bool {
    let Some((Segment::Key(key), parent)) = path.split_last() else {
        return false;
    };
    at(settings, parent)
        .and_then(Value::as_object_mut)
        .and_then(|map| map.remove(key))
        .is_some()
}

fn diagnostic(plugin: &Found, error: &ConfigError) -> Diagnostic {
    let pointer = match &error.mistake {
        Mistake::UnknownKey { key, .. } => Pointer::KeyBelow(key),
        Mistake::Missing { .. } => Pointer::Name,
        _ => Pointer::Value,
    };
    let span = plugin.settings.locate(&error.path, pointer);
    let mut path = error.path.clone();
    if let Pointer::KeyBelow(key) = pointer {
        path = path.key(key);
    }
    let told = told(&error.mistake);
    let mut diagnostic = Diagnostic::new(plugin.file, span, Severity::Error, told.message);
    diagnostic = diagnostic.path(format!("{}, {path}", plugin.bundle.name()));
    if let Some((found, allowed)) = told.choice {
        if let Some(near) = nearest(found, &allowed) {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        }
        diagnostic = diagnostic.help(match allowed.as_slice() {
            [] => "allowed: nothing".to_owned(),
            allowed => format!("allowed: {}", allowed.join(", ")),
        });
    }
    diagnostic
}

struct Told<'a> {
    message: String,
    choice: Option<(&'a str, Vec<&'a str>)>,
}

/// The mistake's own words, its advice apart where there is a choice.
fn told(mistake: &Mistake) -> Told<'_> {
    let (message, choice) = match mistake {
        Mistake::UnknownKey { key, allowed } => (
            format!("unknown key `{key}`"),
            Some((key.as_str(), allowed.iter().map(AsRef::as_ref).collect())),
        ),
        Mistake::UnknownValue { value, allowed } => (
            format!("`{value}` is not one of the allowed values"),
            Some((value.as_str(), allowed.iter().map(AsRef::as_ref).collect())),
        ),
        Mistake::UnknownProfile { name, defined } => (
            format!("there is no profile `{name}`"),
            Some((name.as_str(), defined.iter().map(String::as_str).collect())),
        ),
        other => (other.to_string(), None),
    };
    Told { message, choice }
}
