//! `portcullis check`: every mistake of every plugin in files, in the order of their places.

use std::fmt::Write as _;
use std::path::Path;
use std::rc::Rc;

use serde_json::Value;

use crate::diagnostic::{Diagnostic, Severity};
use crate::document::{
    Dialect, Fault, Node, Pos, Source, Span, path_at, read_all, without_surrogates,
};
use crate::find::{Document, Findings};
use crate::finding::Check;
use crate::registry::Bundle;
use crate::{lint, mistakes};

/// What came out of it.
#[derive(Debug, Default)]
pub struct Report {
    pub text: String,
    pub errors: usize,
    pub warnings: usize,
    /// Which check told, and whether `error` or `warning`, in the order of the text.
    pub checks: Vec<(&'static str, &'static str)>,
}

/// What texts hold; with `bundle` they are bare settings of that plugin.
pub fn read(sources: &[Source], bundle: Option<Bundle>) -> Findings {
    let mut findings = Findings::default();
    for (file, source) in sources.iter().enumerate() {
        read_file(&mut findings, file, source, bundle);
    }
    findings
}

/// The settings of every plugin in texts, as its code gets them.
pub fn settings(sources: &[Source], bundle: Option<Bundle>) -> Vec<(Bundle, Value)> {
    let plugins = read(sources, bundle).plugins.into_iter();
    plugins
        .filter_map(|plugin| Some((plugin.bundle, plugin.settings.value?)))
        .collect()
}

/// Checks texts; with `bundle` they are bare settings of that plugin.
pub fn check(sources: &[Source], bundle: Option<Bundle>) -> Report {
    let mut findings = Findings::default();
    let files = sources.iter().enumerate();
    let trees: Vec<Vec<Rc<Node>>> = files
        .map(|(file, source)| read_file(&mut findings, file, source, bundle))
        .collect();
    let mut found = std::mem::take(&mut findings.diagnostics);
    found.extend(findings.plugins.iter().flat_map(mistakes::of));
    found.extend(lint::all(&findings));
    found.extend(unchecked(&findings, sources, &found));
    found.sort_by(|a, b| {
        let place = |d: &Diagnostic| (d.file, d.span.start, d.severity);
        place(a)
            .cmp(&place(b))
            .then_with(|| a.message.cmp(&b.message))
    });
    // An anchor's settings are written once and used often.
    found.dedup_by(|a, b| (a.file, a.span, &a.message) == (b.file, b.span, &b.message));
    for diagnostic in &mut found {
        let trees = trees.get(diagnostic.file).map(Vec::as_slice);
        place(diagnostic, trees.unwrap_or_default());
    }
    report(sources, &findings, &found)
}

/// Names the way through the document to a mistake around the settings.
fn place(diagnostic: &mut Diagnostic, trees: &[Rc<Node>]) {
    let start = diagnostic.span.start;
    let holds = |tree: &&Rc<Node>| tree.span.start <= start && start < tree.span.end;
    if let (None, Some(tree)) = (&diagnostic.path, trees.iter().find(holds)) {
        let path = path_at(tree, start);
        diagnostic.path = (!path.segments().is_empty()).then(|| path.to_string());
    }
}

fn read_file(
    findings: &mut Findings,
    file: usize,
    source: &Source,
    bundle: Option<Bundle>,
) -> Vec<Rc<Node>> {
    let json = is_json(&source.name);
    if let (true, Some(fault)) = (json, json_fault(file, source)) {
        findings.diagnostics.push(fault);
        return Vec::new();
    }
    let text = if json {
        without_surrogates(&source.text)
    } else {
        source.text.as_str().into()
    };
    let (documents, faults) = read_all(&text);
    findings
        .diagnostics
        .extend(faults.into_iter().map(|fault| fault_of(file, fault)));
    let dialect = if json { Dialect::Json } else { Dialect::Envoy };
    for (number, root) in documents.iter().enumerate() {
        let document = Document {
            file,
            source,
            root,
            dialect,
        };
        if number > 0 && !document.is_kubernetes() {
            let message = "Envoy reads only the first document of a file; this one is never loaded";
            findings.report(document.error(Span::at(root.span.start), message));
            continue;
        }
        match bundle {
            Some(bundle) => findings.add_settings(document, bundle),
            None => findings.add(document),
        }
    }
    if let (Some(bundle), true) = (
        bundle,
        documents.is_empty() && findings.diagnostics.is_empty(),
    ) {
        let message = format!("no settings of `{}` in this file", bundle.name());
        let span = Span::at(Pos { line: 1, column: 1 });
        findings
            .diagnostics
            .push(Diagnostic::new(file, span, Severity::Error, message).of(Check::Settings));
    }
    documents
}

/// Hosts choose their reader by this ending, too.
fn is_json(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("json"))
}

/// YAML takes more than JSON does.
fn json_fault(file: usize, source: &Source) -> Option<Diagnostic> {
    let error = serde_json::from_str::<Value>(&source.text).err()?;
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    let problem = text.strip_suffix(&position).unwrap_or(&text);
    let span = Span::at(Pos {
        line: error.line(),
        column: error.column().max(1),
    });
    Some(Diagnostic::new(
        file,
        span,
        Severity::Error,
        format!("not valid JSON: {problem}"),
    ))
}

fn fault_of(file: usize, fault: Fault) -> Diagnostic {
    Diagnostic::new(file, fault.span, Severity::Error, fault.kind.to_string())
}

/// A check that looked at nothing has shown nothing.
fn unchecked(findings: &Findings, sources: &[Source], found: &[Diagnostic]) -> Option<Diagnostic> {
    let nothing = findings.plugins.is_empty() && findings.profiles.is_empty() && found.is_empty();
    nothing.then(|| {
        let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
        let message = format!(
            "no plugin of Portcullis in {}: nothing was checked",
            names.join(", ")
        );
        Diagnostic::new(
            0,
            Span::at(Pos { line: 1, column: 1 }),
            Severity::Error,
            message,
        )
        .of(Check::NothingChecked)
        .help(format!(
            "plugins are known by their root_id ({}) or by their module's name",
            Bundle::names().join(", ")
        ))
        .help("for a file that holds nothing but settings, name the filter: --filter NAME")
    })
}

fn report(sources: &[Source], findings: &Findings, found: &[Diagnostic]) -> Report {
    let mut report = Report::default();
    for diagnostic in found {
        let told = (diagnostic.check.name(), diagnostic.severity.name());
        report.checks.push(told);
        match diagnostic.severity {
            Severity::Error => report.errors = report.errors.saturating_add(1),
            Severity::Warning => report.warnings = report.warnings.saturating_add(1),
        }
        if let Some(source) = sources.get(diagnostic.file) {
            report.text.push_str(&diagnostic.render(source));
            report.text.push('\n');
        }
    }
    let mistakes = match report.errors {
        0 => "no mistake".to_owned(),
        errors => count(errors, "mistake"),
    };
    let warnings = match report.warnings {
        0 => String::new(),
        warnings => format!(", {}", count(warnings, "warning")),
    };
    // Writing to a String does not fail.
    let _ = writeln!(
        report.text,
        "{mistakes}{warnings}; {} in {}",
        count(findings.plugins.len(), "plugin"),
        count(sources.len(), "file"),
    );
    report
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
