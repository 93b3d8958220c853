//! Runs a plugin's own code on its settings, and again on what is left of them, until no further mistake can be told.

use portcullis_kit::config::{ConfigError, Mistake, Segment};
use serde_json::{Map, Value};

use crate::diagnostic::{Diagnostic, Severity};
use crate::document::Pointer;
use crate::find::Found;
use crate::finding::Check;
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
    let mut doubt = Doubt::default();
    while found.len() < MAX_MISTAKES {
        let Err(error) = plugin.bundle.load(&left, &plugin.environment) else {
            break;
        };
        if doubt.covers(&error) {
            break;
        }
        found.push(diagnostic(plugin, &error));
        if !cut(plugin.bundle, &mut left, &error, &mut doubt) {
            break;
        }
    }
    found
}

/// Which further mistakes may come from what was cut out.
#[derive(Default)]
struct Doubt {
    /// A value of the defaults is gone, and another one may miss it.
    value: bool,
    /// Maps without a key that was unknown, and may have been meant for one that now is missing.
    maps: Vec<Vec<Segment>>,
}

impl Doubt {
    fn covers(&self, error: &ConfigError) -> bool {
        let path = error.path.segments();
        let parent = path.split_last().map(|(_, parent)| parent);
        let near = |map: &Vec<Segment>| map == path || Some(map.as_slice()) == parent;
        !stands_alone(&error.mistake) && (self.value || self.maps.iter().any(near))
    }
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

/// Cuts a mistake out of the settings; whether that could be done.
fn cut(bundle: Bundle, settings: &mut Value, error: &ConfigError, doubt: &mut Doubt) -> bool {
    let mut path = error.path.segments().to_vec();
    if let Mistake::UnknownKey { key, .. } = &error.mistake {
        doubt.maps.push(path.clone());
        path.push(Segment::Key(key.clone()));
        return remove(settings, &path);
    }
    let member = usize::from(matches!(bundle, Bundle::Chain) && !path.is_empty());
    let own: Vec<&str> = path.iter().skip(member).map_while(name).collect();
    match own.as_slice() {
        // The profile stays, so that routes may name it, and says no more than the default.
        ["profiles", _, ..] => {
            path.truncate(member.saturating_add(2));
            let empty = Value::Object(Map::new());
            match at(settings, &path) {
                Some(profile) if *profile != empty => {
                    *profile = empty;
                    true
                }
                _ => false,
            }
        }
        ["routes", ..] => {
            path.truncate(member.saturating_add(1));
            remove(settings, &path)
        }
        _ => {
            doubt.value = true;
            out_of_lists(&mut path);
            let done = remove(settings, &path);
            // `{set: …}` without its one key is another mistake, and so is a list of such.
            while path.pop().is_some()
                && at(settings, &path).is_some_and(|map| *map == Value::Object(Map::new()))
            {
                out_of_lists(&mut path);
                remove(settings, &path);
            }
            done
        }
    }
}

/// A list without one item would move the others: it goes as a whole.
fn out_of_lists(path: &mut Vec<Segment>) {
    while matches!(path.last(), Some(Segment::Index(_))) {
        path.pop();
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
        Mistake::UnknownValue { value, .. } => Pointer::KeyBelow(value),
        Mistake::Missing { .. } => Pointer::Name,
        Mistake::WrongType { .. } | Mistake::OutOfRange { .. } => Pointer::Whole,
        _ => Pointer::Value,
    };
    let span = plugin.settings.locate(&error.path, pointer);
    let mut path = error.path.clone();
    if let Mistake::UnknownKey { key, .. } = &error.mistake {
        path = path.key(key.as_str());
    }
    let told = told(&error.mistake);
    let merge = matches!(pointer, Pointer::KeyBelow("<<"));
    let mut diagnostic = Diagnostic::new(plugin.file, span, Severity::Error, told.message);
    diagnostic = diagnostic
        .of(Check::Settings)
        .path(format!("{}, {path}", plugin.bundle.name()));
    if let Some((found, allowed)) = told.choice {
        diagnostic = diagnostic.advise(found, &allowed);
    }
    if merge {
        diagnostic = diagnostic.help("Envoy does not merge `<<`; write the keys out");
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
