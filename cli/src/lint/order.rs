//! The order of filters. A reply passes the response phase of the filters that stand before the one that made it, so
//! what every response needs stands first, and what answers requests itself stands last.

use crate::diagnostic::{Diagnostic, Severity};
use crate::document::Span;
use crate::find::{FilterList, Findings, What};
use crate::registry::{CHAIN, Place};

/// Native filters that answer requests themselves: their replies lack what filters behind them would add.
const ANSWERING: [&str; 12] = [
    "ApiKeyAuth",
    "BasicAuth",
    "CsrfPolicy",
    "CustomResponse",
    "ExtAuthz",
    "ExternalProcessor",
    "HTTPFault",
    "JwtAuthentication",
    "LocalRateLimit",
    "OAuth2",
    "RBAC",
    "RateLimit",
];

/// What stands at one place of a list.
#[derive(Debug)]
pub struct Standing {
    file: usize,
    span: Span,
    name: String,
    what: Rank,
}

#[derive(Debug)]
enum Rank {
    /// The filters of ours that run here, each with its place; a chain runs several.
    Ours(Vec<(&'static str, Place)>),
    Cors,
    Answering,
    Router,
    Other,
}

pub fn check(findings: &Findings) -> Vec<Diagnostic> {
    let lists = findings.lists.iter();
    lists
        .flat_map(|list| faults(&standings(findings, list)))
        .collect()
}

fn standings(findings: &Findings, list: &FilterList) -> Vec<Standing> {
    let items = list.items.iter();
    items
        .map(|item| {
            let number = match &item.what {
                What::Ours(number) => Some(*number),
                What::Discovered(name) => findings.resources.get(name).copied(),
                What::Native(..) => None,
            };
            let plugin = number.and_then(|number| findings.plugins.get(number));
            let (name, what) = match (plugin, &item.what) {
                (Some(plugin), _) => {
                    let empty = serde_json::Value::Null;
                    let settings = plugin.settings.value.as_ref().unwrap_or(&empty);
                    let members = plugin.bundle.members(settings);
                    let ranks = members
                        .iter()
                        .map(|member| (member.entry.name, member.entry.place));
                    (plugin.bundle.name().to_owned(), Rank::Ours(ranks.collect()))
                }
                (None, What::Native(kind, _)) => {
                    let short = kind.rsplit('.').next().unwrap_or_default();
                    let what = match short {
                        "Cors" => Rank::Cors,
                        "Router" => Rank::Router,
                        short if ANSWERING.contains(&short) => Rank::Answering,
                        _ => Rank::Other,
                    };
                    (short.to_owned(), what)
                }
                (None, _) => (String::new(), Rank::Other),
            };
            Standing {
                file: list.file,
                span: item.place,
                name,
                what,
            }
        })
        .collect()
}

fn faults(list: &[Standing]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (at, here) in list.iter().enumerate() {
        let before = list.get(..at).unwrap_or_default();
        let behind = list.get(at + 1..).unwrap_or_default();
        match &here.what {
            Rank::Ours(ranks) => {
                let misplaced = before
                    .iter()
                    .find_map(|other| misplaced(here, ranks, other));
                found.extend(misplaced.or_else(|| single_cors(here, ranks, before, behind)));
            }
            Rank::Cors => found.extend(late_cors(here, before)),
            Rank::Answering | Rank::Router | Rank::Other => {}
        }
    }
    found
}

/// What is wrong about a plugin that stands behind another filter.
fn misplaced(
    here: &Standing,
    ranks: &[(&'static str, Place)],
    before: &Standing,
) -> Option<Diagnostic> {
    let line = before.span.start.line;
    let error = |message: String| Diagnostic::new(here.file, here.span, Severity::Error, message);
    match &before.what {
        Rank::Ours(earlier) => {
            if let Some((name, _)) = ranks
                .iter()
                .find(|(name, _)| earlier.iter().any(|(other, _)| other == name))
            {
                let by = if before.name == CHAIN {
                    ", in the plugin `portcullis`"
                } else {
                    ""
                };
                let message = format!(
                    "`{name}` runs twice on each request; it already runs on line {line}{by}"
                );
                return Some(error(message).help("keep one; per route, use profiles"));
            }
            let first = ranks.iter().min_by_key(|(_, place)| *place)?;
            let last = earlier.iter().max_by_key(|(_, place)| *place)?;
            (first.1 < last.1).then(|| {
                let message = format!(
                    "`{}` stands behind `{}` (line {line}), whose own replies it does not see",
                    first.0, last.0
                );
                error(message).help(ORDER)
            })
        }
        Rank::Answering if ranks.iter().any(|(_, place)| *place < Place::Decider) => {
            let message = format!(
                "`{}` stands behind `{}` (line {line}) and does not see the replies that it makes itself",
                here.name, before.name
            );
            Some(Diagnostic::new(here.file, here.span, Severity::Warning, message).help(ORDER))
        }
        // A plugin that decides, too, has to stand behind it.
        Rank::Cors
            if ranks.iter().any(|(_, place)| *place == Place::Errors)
                && ranks.iter().all(|(_, place)| *place < Place::Decider) =>
        {
            let message = format!(
                "`{}` stands behind the CORS filter (line {line}), which does not see its replies to errors without a body: browsers cannot read them",
                here.name
            );
            Some(error(message).help(ORDER))
        }
        Rank::Router => {
            let message = format!(
                "`{}` stands behind the router (line {line}), which is the last filter",
                here.name
            );
            Some(error(message).help(ORDER))
        }
        _ => None,
    }
}

const ORDER: &str = "order: request-tracing and security-headers, audit-log, problem-json, cors, then what answers requests, the router";

/// A plugin that decides stands behind the CORS filter, and one that answers errors before it. One that does both stands
/// between two.
fn single_cors(
    here: &Standing,
    ranks: &[(&'static str, Place)],
    before: &[Standing],
    behind: &[Standing],
) -> Option<Diagnostic> {
    let is_cors = |other: &&Standing| matches!(other.what, Rank::Cors);
    let has = |wanted| ranks.iter().any(|(_, place)| *place == wanted);
    let line = before.iter().find(is_cors)?.span.start.line;
    let lacks = has(Place::Errors) && has(Place::Decider) && !behind.iter().any(|it| is_cors(&it));
    lacks.then(|| {
        let message = format!(
            "the CORS filter (line {line}) does not see the replies of `{}` to errors without a body: browsers cannot read them",
            here.name
        );
        Diagnostic::new(here.file, here.span, Severity::Warning, message)
            .help("write the CORS filter a second time behind it, by the same name")
    })
}

/// Preflight requests carry no credentials: a decider before the CORS filter refuses them.
fn late_cors(here: &Standing, before: &[Standing]) -> Option<Diagnostic> {
    // An earlier one has answered them.
    if before.iter().any(|other| matches!(other.what, Rank::Cors)) {
        return None;
    }
    let (name, line) = before.iter().find_map(|other| match &other.what {
        Rank::Ours(ranks) => {
            let decider = ranks.iter().find(|(_, place)| *place == Place::Decider)?;
            Some((decider.0, other.span.start.line))
        }
        _ => None,
    })?;
    let message = format!(
        "the CORS filter stands behind `{name}` (line {line}), which then refuses preflight requests"
    );
    Some(Diagnostic::new(here.file, here.span, Severity::Error, message).help(ORDER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Pos;

    fn list(what: Vec<(&str, Rank)>) -> Vec<String> {
        let standings: Vec<Standing> = what
            .into_iter()
            .enumerate()
            .map(|(at, (name, what))| Standing {
                file: 0,
                span: Span::at(Pos {
                    line: at + 1,
                    column: 1,
                }),
                name: name.to_owned(),
                what,
            })
            .collect();
        faults(&standings)
            .into_iter()
            .map(|fault| fault.message)
            .collect()
    }

    fn ours(name: &'static str, place: Place) -> (&'static str, Rank) {
        (name, Rank::Ours(vec![(name, place)]))
    }

    #[test]
    fn the_right_order_is_right_with_either_outer_filter_first() {
        for (first, second) in [
            ("request-tracing", "security-headers"),
            ("security-headers", "request-tracing"),
        ] {
            let found = list(vec![
                ours(first, Place::Outer),
                ours(second, Place::Outer),
                ours("audit-log", Place::Evidence),
                ours("problem-json", Place::Errors),
                ("Cors", Rank::Cors),
                ours("rate-limit", Place::Decider),
                ("JwtAuthentication", Rank::Answering),
                ("Router", Rank::Router),
            ]);
            assert!(found.is_empty(), "{found:?}");
        }
    }

    #[test]
    fn each_pair_in_the_wrong_order_is_found() {
        let places = [
            ("outer", Place::Outer),
            ("evidence", Place::Evidence),
            ("errors", Place::Errors),
            ("decider", Place::Decider),
        ];
        for (at, later) in places.iter().enumerate() {
            for earlier in &places[..at] {
                let found = list(vec![ours(later.0, later.1), ours(earlier.0, earlier.1)]);
                assert_eq!(found.len(), 1, "{} before {}", later.0, earlier.0);
                assert!(found[0].contains("does not see"));
            }
        }
    }

    #[test]
    fn a_decider_before_the_cors_filter_refuses_preflights() {
        let found = list(vec![
            ours("rate-limit", Place::Decider),
            ("Cors", Rank::Cors),
        ]);
        assert_eq!(
            found,
            [
                "the CORS filter stands behind `rate-limit` (line 1), which then refuses preflight requests"
            ]
        );
        assert!(
            list(vec![
                ours("security-headers", Place::Outer),
                ("Cors", Rank::Cors)
            ])
            .is_empty()
        );
    }

    #[test]
    fn what_shapes_errors_stands_before_the_cors_filter_unless_it_decides_too() {
        let found = list(vec![
            ("Cors", Rank::Cors),
            ours("problem-json", Place::Errors),
        ]);
        assert_eq!(
            found,
            [
                "`problem-json` stands behind the CORS filter (line 1), which does not see its replies to errors without a body: browsers cannot read them"
            ]
        );
    }

    #[test]
    fn a_chain_that_answers_errors_and_decides_stands_between_two_cors_filters() {
        let cors = || ("Cors", Rank::Cors);
        let chain = |members: &[(&'static str, Place)]| (CHAIN, Rank::Ours(members.to_vec()));
        let both = [
            ("problem-json", Place::Errors),
            ("rate-limit", Place::Decider),
        ];
        assert!(list(vec![cors(), chain(&both), cors()]).is_empty());
        assert_eq!(
            list(vec![cors(), chain(&both)]),
            [
                "the CORS filter (line 1) does not see the replies of `portcullis` to errors without a body: browsers cannot read them"
            ]
        );
        assert!(list(vec![cors(), chain(&both[1..])]).is_empty());
        assert!(list(vec![chain(&both)]).is_empty());
        assert_eq!(list(vec![chain(&both), cors()]).len(), 1);
    }

    #[test]
    fn a_chain_stands_alone_in_place_of_its_members() {
        let chain = || {
            let members = vec![
                ("security-headers", Place::Outer),
                ("rate-limit", Place::Decider),
            ];
            (CHAIN, Rank::Ours(members))
        };
        assert!(
            list(vec![
                ("Cors", Rank::Cors),
                chain(),
                ("Router", Rank::Router)
            ])
            .is_empty()
        );
        let twice = list(vec![chain(), ours("rate-limit", Place::Decider)]);
        assert_eq!(
            twice,
            [
                "`rate-limit` runs twice on each request; it already runs on line 1, in the plugin `portcullis`"
            ]
        );
        assert_eq!(list(vec![chain(), ("Cors", Rank::Cors)]).len(), 1);
        assert_eq!(
            list(vec![chain(), ours("audit-log", Place::Evidence)]).len(),
            1
        );
    }

    #[test]
    fn an_outer_filter_behind_a_native_one_that_answers_is_warned_of() {
        let found = list(vec![
            ("JwtAuthentication", Rank::Answering),
            ours("security-headers", Place::Outer),
        ]);
        assert_eq!(found.len(), 1);
        assert!(
            list(vec![
                ("JwtAuthentication", Rank::Answering),
                ours("rate-limit", Place::Decider)
            ])
            .is_empty()
        );
    }
}
