//! Paths of files.

use super::scan::{Spans, Text, WORD, is_among, is_token_end};

/// Directories at the root of a Unix system, as far as they are not likely in an API's paths.
const ROOTS: &str = " home usr var etc opt srv root tmp mnt proc nix Users bin sbin lib lib64 boot private Library Volumes ";
/// Directories at the root that containers keep a program and its data in, and APIs use as well: there only files count,
const SHARED_ROOTS: &str = " app builds code config data go run secrets storage workspace ";
/// and below `data` what these keep there.
const KEPT_IN_DATA: &str = " app backup backups cassandra db elasticsearch etcd grafana kafka log logs lost+found mariadb mongo mongodb \
mysql pgdata postgres postgresql prometheus redis secrets sqlite www zookeeper ";
/// Files of programs, their settings and data.
const EXTENSIONS: &str = " py pyc js mjs cjs ts tsx jsx rb erb go java kt kts scala groovy php phtml rs cs vb fs c cc cpp h hpp so \
dll exe jar war class conf cfg ini env yml yaml toml log sql db sqlite sqlite3 key pem crt p12 pfx jks sh bash bat ps1 ex exs \
pl lua swift ejs hbs twig cshtml aspx jsp properties tf lock bak dump ";
/// Directories that only a program's tree has.
const TREES: [&str; 12] = [
    "node_modules/",
    "site-packages/",
    "dist-packages/",
    "/vendor/",
    "/.ssh",
    "/.aws",
    "web-inf/",
    "src/main/",
    "/run/secrets",
    "/dev/shm",
    "/go/src/",
    "/.s.pgsql.",
];

/// Paths of files. `/users/42`, `and/or` and `application/json` are none.
pub fn paths(text: &Text<'_>, spans: &mut Spans) {
    let splits = |byte: u8| is_token_end(byte) || b"(),;{}[]=|".contains(&byte);
    let mut at = 0;
    while at < text.len() {
        let from = text.run_fast(at, splits);
        let end = text.run_fast(from, |byte| !splits(byte));
        at = end.max(from + 1);
        let to = text.run_back(from, end, &|byte| b".:!?".contains(&byte));
        let token = text.slice(from, to);
        if token.contains(&b'\\')
            && let Some(start) = windows(text, from, to)
        {
            at = with_spaces(text, to);
            spans.add(start, at);
            continue;
        }
        if token.contains(&b'/') && is_unix(text, from, to) {
            spans.add(from, to);
        }
    }
}

fn is_unix(text: &Text<'_>, from: usize, to: usize) -> bool {
    let token = text.slice(from, to);
    let is_url = token.windows(3).any(|part| part == b"://");
    if token.starts_with(b"#") || is_url {
        return false;
    }
    let file = token
        .rsplit(|byte| *byte == b'/')
        .next()
        .unwrap_or_default();
    // Behind the name may stand a line and a column.
    let name = file.split(|byte| *byte == b':').next().unwrap_or_default();
    let dot = name.iter().rposition(|byte| *byte == b'.');
    let extension = dot.and_then(|dot| name.get(dot + 1..)).unwrap_or_default();
    // The path begins at its first slash where something leads to it.
    let colon = token.iter().rposition(|byte| *byte == b':');
    let starts = [
        Some(0),
        colon.map(|colon| colon + 1),
        token.iter().position(|byte| *byte == b'/'),
    ];
    let rooted = starts.into_iter().flatten().any(|start| {
        let mut segments = token
            .get(start..)
            .unwrap_or_default()
            .split(|byte| *byte == b'/');
        if !segments.next().is_some_and(<[u8]>::is_empty) {
            return false;
        }
        let root = segments.next().unwrap_or_default();
        let below = segments.next().unwrap_or_default();
        let is_file = || extension.first().is_some_and(u8::is_ascii_alphabetic);
        !below.is_empty()
            && (is_among(ROOTS, root)
                || is_among(SHARED_ROOTS, root) && is_file()
                || root == b"data" && is_among(KEPT_IN_DATA, below))
    });
    // `D:/projects`
    let drive = matches!(token, [drive, b':', b'/', next, ..] if drive.is_ascii_alphabetic() && WORD.has(*next));
    let upward = token.windows(3).any(|part| part == b"../") || token.starts_with(b"~/");
    let tree = TREES
        .iter()
        .any(|tree| text.find_within(from, to, tree).is_some());
    rooted || drive || upward || tree || is_among(EXTENSIONS, extension)
}

/// Where `C:\…`, `\\server\share` or a relative path with an extension begins.
fn windows(text: &Text<'_>, from: usize, to: usize) -> Option<usize> {
    let token = text.slice(from, to);
    if let Some(colon) = token.windows(2).position(|part| part == b":\\") {
        let drive = (from + colon).checked_sub(1)?;
        return (text.at(drive).is_ascii_alphabetic() && drive >= from).then_some(drive);
    }
    let share = token.starts_with(b"\\\\") && WORD.has(text.at(from + 2));
    let extension = token
        .rsplit(|byte| *byte == b'.')
        .next()
        .unwrap_or_default();
    let file = is_among(EXTENSIONS, extension);
    (share || file).then_some(from)
}

/// The end of a Windows path, whose directories may have spaces: words go on as long as a backslash follows in them.
fn with_spaces(text: &Text<'_>, to: usize) -> usize {
    let mut end = to;
    while text.at(end) == b' ' {
        let next = text.token_end(end + 1);
        if next <= end + 1 || !text.slice(end, next).contains(&b'\\') {
            break;
        }
        end = next;
    }
    end
}
