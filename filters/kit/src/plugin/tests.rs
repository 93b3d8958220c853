//! Profiles, modes and chains, by a filter small enough to see through.

use crate::config::Setting;
use serde_json::{Value, json};

use super::*;
use crate::chain::{Chain, End, Link};
use crate::metrics::MetricId;
use crate::testing::{Bench, Fake};

/// Adds its word to both directions; refuses when told to.
macro_rules! marker {
    ($filter:ident, $name:literal, $header:literal) => {
        struct $filter;

        impl Filter for $filter {
            const NAME: &'static str = $name;
            const CALLBACKS: Callbacks =
                Callbacks::REQUEST_HEADERS.and(Callbacks::RESPONSE_HEADERS);
            type Settings = Words;
            type Profile = (Words, MetricId);
            type Stream = bool;

            fn start() -> Self {
                Self
            }

            fn compile(
                settings: Words,
                compiling: &Compiling<'_>,
            ) -> Result<Self::Profile, ConfigError> {
                let counter = compiling.counter("seen", &[]);
                Ok((settings, counter))
            }

            fn request_headers<X: Exchange>(
                &self,
                (words, counter): &Self::Profile,
                stream: &mut bool,
                exchange: &mut X,
                _: bool,
            ) -> Flow {
                *stream = true;
                exchange.increment(*counter, 1);
                exchange.add_request_header($header, words.word.as_bytes());
                exchange.set_filter_state("word", words.word.as_bytes());
                exchange.facts().request_id = Some(words.word.as_str().into());
                if words.pause {
                    return Flow::Pause;
                }
                if words.refuse {
                    exchange.reply(crate::problem::Problem::new(403, "Forbidden").reply("refused"));
                    return Flow::Replied;
                }
                Flow::Continue
            }

            fn response_headers<X: Exchange>(
                &self,
                (words, _): &Self::Profile,
                stream: &mut bool,
                exchange: &mut X,
                _: bool,
            ) -> Flow {
                let seen = if *stream { "seen" } else { "unseen" };
                exchange.add_response_header($header, format!("{} {seen}", words.word).as_bytes());
                Flow::Continue
            }
        }
    };
}

#[derive(Clone, Debug, Default, Setting)]
#[serde(default, deny_unknown_fields)]
struct Words {
    word: String,
    list: Vec<String>,
    refuse: bool,
    pause: bool,
}

marker!(Outer, "outer-filter", "x-outer");
marker!(Inner, "inner-filter", "x-inner");

type Pair = Chain<Link<Outer, Link<Inner, End>>>;

fn with_metadata(fake: Fake, pairs: &[(&str, &str)]) -> Fake {
    let bytes = crate::Headers::from_lines(pairs.iter().copied()).to_serialized();
    fake.with_property("xds.route_metadata.filter_metadata.portcullis", bytes)
}

fn word(bench: &Bench<Plugin<Outer>>, fake: Fake) -> String {
    let done = bench.exchange(fake, &[(":status", "200")]);
    String::from_utf8_lossy(done.request.get("x-outer").unwrap_or_default()).into_owned()
}

#[test]
fn a_profile_is_chosen_by_metadata_of_the_filter_then_of_the_bundle_then_by_routes_then_by_default()
{
    let bench = Bench::<Plugin<Outer>>::load(&json!({
        "word": "top",
        "profiles": {"a": {"word": "a"}, "b": {"word": "b"}},
        "routes": [
            {"profile": "default", "paths": [{"exact": "/v1/open"}]},
            {"profile": "b", "paths": [{"prefix": "/v1"}], "methods": ["GET"]}
        ]
    }))
    .unwrap();
    let on = |pairs: &[(&str, &str)]| with_metadata(Fake::get("/v1/x?q=1"), pairs);
    assert_eq!(
        word(&bench, on(&[("profile", "b"), ("outer-filter", "a")])),
        "a"
    );
    assert_eq!(word(&bench, on(&[("profile", "a")])), "a");
    assert_eq!(word(&bench, on(&[("profile", "of another filter")])), "b");
    assert_eq!(word(&bench, on(&[])), "b");
    assert_eq!(word(&bench, Fake::get("/v1/open")), "top");
    assert_eq!(word(&bench, Fake::get("/v10")), "top");
    assert_eq!(
        word(
            &bench,
            with_metadata(Fake::get("/v1"), &[("profile", "default")])
        ),
        "top"
    );
}

#[test]
fn shadow_decides_and_counts_and_changes_nothing_and_off_does_not_even_decide() {
    for (mode, counted) in [("shadow", 1), ("off", 0)] {
        let bench = Bench::<Plugin<Outer>>::load(&json!({"mode": mode, "refuse": true})).unwrap();
        let done = bench.exchange(Fake::get("/"), &[(":status", "200")]);
        assert_eq!(
            done.count("portcullis_outer_filter_seen_total.profile=default"),
            counted
        );
        assert!(
            done.replies.is_empty() && done.filter_state.is_empty(),
            "{mode}"
        );
        assert!(done.facts.request_id.is_none(), "{mode}");
        assert_eq!((done.request.len(), done.response.len()), (4, 1), "{mode}");
    }
}

#[test]
fn a_mode_that_envoys_yaml_reads_as_a_boolean_is_off() {
    let bench = Bench::<Plugin<Outer>>::load(&json!({"mode": false, "word": "x"})).unwrap();
    assert_eq!(word(&bench, Fake::get("/")), "");
}

#[test]
fn a_profile_is_laid_over_the_settings_at_the_top() {
    let bench = Bench::<Plugin<Outer>>::load(&json!({
        "word": "top", "list": ["1", "2"],
        "profiles": {"p": {"list": ["3"], "word": null, "mode": "shadow"}}
    }))
    .unwrap();
    let names: Vec<&str> = bench.bundle().profile_names().collect();
    assert_eq!(names, ["default", "p"]);
    let profile = &bench.bundle().profiles[1];
    assert_eq!(profile.compiled.0.list, ["3"]);
    assert_eq!(profile.compiled.0.word, "");
    assert_eq!(profile.mode, Mode::Shadow);
}

#[test]
fn mistakes_in_profiles_and_routes_are_refused_with_their_path() {
    for (settings, text) in [
        (
            json!({"wrod": 1}),
            "the top level: unknown key `wrod`; did you mean `word`?; allowed: word, list, refuse, pause, mode, profiles, routes",
        ),
        (
            json!({"mode": "shadwo"}),
            "mode: `shadwo` is not one of the allowed values; did you mean `shadow`?; allowed: enforce, shadow, off",
        ),
        (
            json!({"profiles": {"p": {"refuse": "x"}}}),
            "profiles.p.refuse: found a string, expected a boolean",
        ),
        (
            json!({"profiles": {"p": {"routes": []}}}),
            "profiles.p.routes: a profile holds no `profiles` and no `routes`; write them at the top",
        ),
        (
            json!({"profiles": {"default": {}}}),
            "profiles.default: `default` is the name of the settings at the top; take another one",
        ),
        (
            json!({"profiles": {"a b": {}}}),
            "profiles.a b: a profile's name has 1 to 64 letters, digits, `-` and `_`",
        ),
        (
            json!({"profiles": {"p": 1}}),
            "profiles.p: found a number, expected a map",
        ),
        (
            json!({"profiles": []}),
            "profiles: found a list, expected a map",
        ),
        (
            json!({"routes": [{"profile": "wbe"}], "profiles": {"web": {}}}),
            "routes[0].profile: there is no profile `wbe`; did you mean `web`?; allowed: default, web",
        ),
        (
            json!({"routes": [{"profile": "default", "paths": [{"prefix": "v1"}]}]}),
            "routes[0].paths[0].prefix: a path starts with `/` and holds no `?` and no `#`",
        ),
        (
            json!({"routes": [{"profile": "default", "paths": [{"exact": "/a"}, {"template": "/{a...}/b"}]}]}),
            "routes[0].paths[1].template: not a path template; write `/users/{id}`, and `{name...}` only as the last segment",
        ),
        (
            json!({"routes": [{"profile": "default", "paths": [{"exact": "/a?b"}]}]}),
            "routes[0].paths[0].exact: a path starts with `/` and holds no `?` and no `#`",
        ),
        (
            json!({"routes": [{"profile": "default", "headers": [{"name": "a b"}]}]}),
            "routes[0].headers[0].name: not a header name (RFC 9110 section 5.1)",
        ),
        (
            json!({"routes": [{"profile": "default", "hosts": ["a*b"]}]}),
            "routes[0].hosts[0]: not a host pattern; write `api.example.com`, `*.example.com`, `example.*` or `*`",
        ),
        (
            json!({"routes": [{"profile": "default", "methods": ["get"]}]}),
            "routes[0].methods[0]: not a method; write it in capitals, such as `GET`",
        ),
        (
            json!({"routes": [{"profile": "default"}, {"profile": "default"}]}),
            "routes[0]: this entry matches every request and hides those after it; give hosts, paths, methods or headers, or make it the last",
        ),
        (
            json!("text"),
            "the top level: found a string, expected a map",
        ),
    ] {
        let error = Bench::<Plugin<Outer>>::load(&settings).err().unwrap();
        assert_eq!(error.to_string(), text);
    }
}

fn pair(outer: Value, inner: Value) -> Bench<Pair> {
    Bench::load(&json!({"outer_filter": outer, "inner_filter": inner})).unwrap()
}

#[test]
fn a_reply_in_a_chain_passes_its_sender_and_those_outside_of_it_only() {
    let ok = [(":status", "200")];
    let done = pair(json!({"word": "o"}), json!({"word": "i"})).exchange(Fake::get("/"), &ok);
    assert_eq!(done.response.get("x-outer"), Some(b"o seen".as_slice()));
    assert_eq!(done.response.get("x-inner"), Some(b"i seen".as_slice()));

    let inner_refuses = pair(json!({}), json!({"refuse": true})).exchange(Fake::get("/"), &ok);
    assert!(
        inner_refuses.response.contains("x-outer") && inner_refuses.response.contains("x-inner")
    );

    let outer_refuses = pair(json!({"refuse": true}), json!({})).exchange(Fake::get("/"), &ok);
    assert!(outer_refuses.response.contains("x-outer"));
    assert!(!outer_refuses.response.contains("x-inner"));
    assert!(!outer_refuses.request.contains("x-inner"));
}

#[test]
fn a_reply_made_before_the_filters_still_passes_them_all() {
    let bench = pair(json!({"word": "o"}), json!({"word": "i"}));
    let mut fake = Fake::default();
    fake.respond([(":status", "400")]);
    bench.respond(&mut fake, &mut Default::default());
    assert_eq!(fake.response.get("x-outer"), Some(b"o unseen".as_slice()));
    assert_eq!(fake.response.get("x-inner"), Some(b"i unseen".as_slice()));
}

#[test]
fn a_muted_member_of_a_chain_tells_the_acting_ones_nothing() {
    let done = pair(json!({"word": "o"}), json!({"word": "i", "mode": "shadow"}))
        .exchange(Fake::get("/"), &[(":status", "200")]);
    assert_eq!(done.facts.request_id.as_deref(), Some("o"));
    assert_eq!(done.filter_state.get("word"), Some(&b"o".to_vec()));
}

#[test]
fn a_chain_refuses_keys_that_are_no_filter_and_names_the_member_of_a_mistake() {
    for (settings, text) in [
        (
            json!({"outer": {}}),
            "the top level: unknown key `outer`; allowed: outer_filter, inner_filter",
        ),
        (
            json!({"inner_filter": {"word": 1}}),
            "inner_filter.word: found 1, expected a string",
        ),
    ] {
        assert_eq!(
            Bench::<Pair>::load(&settings).err().unwrap().to_string(),
            text
        );
    }
    let without = Bench::<Pair>::load(&json!({"inner_filter": {}})).unwrap();
    let done = without.exchange(Fake::get("/"), &[(":status", "200")]);
    assert!(!done.request.contains("x-outer") && done.request.contains("x-inner"));
}

#[test]
fn a_resumed_request_reaches_the_filters_inside_of_the_one_that_paused_it_once() {
    let bench = Bench::<Pair>::load(&json!({
        "outer_filter": {"word": "out", "pause": true},
        "inner_filter": {"word": "in"},
    }))
    .unwrap();
    let (mut fake, mut stream) = (Fake::get("/"), Default::default());
    assert_eq!(bench.request(&mut fake, &mut stream), Flow::Pause);
    assert_eq!(fake.request.get("x-outer"), Some(&b"out"[..]));
    assert_eq!(fake.request.get("x-inner"), None);

    assert_eq!(
        bench.bundle().resume(&mut stream, &mut fake),
        Flow::Continue
    );
    assert_eq!(fake.request.get_all("x-outer").count(), 1);
    assert_eq!(fake.request.get("x-inner"), Some(&b"in"[..]));

    assert_eq!(
        bench.bundle().resume(&mut stream, &mut fake),
        Flow::Continue
    );
    assert_eq!(fake.request.get_all("x-inner").count(), 1);
}

#[test]
fn an_inner_filter_can_pause_or_answer_a_resumed_request() {
    for (inner, expected) in [("pause", Flow::Pause), ("refuse", Flow::Replied)] {
        let bench = Bench::<Pair>::load(&json!({
            "outer_filter": {"pause": true},
            "inner_filter": {inner: true},
        }))
        .unwrap();
        let (mut fake, mut stream) = (Fake::get("/"), Default::default());
        assert_eq!(bench.request(&mut fake, &mut stream), Flow::Pause);
        assert_eq!(bench.bundle().resume(&mut stream, &mut fake), expected);
        if expected == Flow::Pause {
            let resumed = bench.bundle().resume(&mut stream, &mut fake);
            assert_eq!(resumed, Flow::Continue);
        }
    }
}

#[test]
fn what_shadow_pauses_goes_on_at_once() {
    let bench = Bench::<Pair>::load(&json!({
        "outer_filter": {"mode": "shadow", "pause": true},
        "inner_filter": {"word": "in"},
    }))
    .unwrap();
    let (mut fake, mut stream) = (Fake::get("/"), Default::default());
    assert_eq!(bench.request(&mut fake, &mut stream), Flow::Continue);
    assert_eq!(fake.request.get("x-inner"), Some(&b"in"[..]));
}
