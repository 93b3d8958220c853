//! What databases, their drivers and mappers write: names of tables, columns, constraints, users.

use super::scan::{DOTTED, Spans, Text, messages};

/// How a message begins and, where that is English too, what follows; the line goes from there. In the order of the first
/// character.
const MESSAGES: [(&str, &str); 188] = [
    ("(cx_oracle.", ""),
    ("(mysqldb.", ""),
    ("(pymysql.", ""),
    ("(pyodbc.", ""),
    ("(sqlite3.", ""),
    ("[parameters: ", ""),
    ("[sql: ", ""),
    ("access denied for user", "'@'"),
    ("all shards failed", ""),
    ("ambiguous column name", ""),
    ("an error occurred while saving the entity", ""),
    ("an error occurred while updating the entries", ""),
    ("arithmetic overflow error", ""),
    ("attempt to write a readonly database", ""),
    ("bad auth : auth", ""),
    ("bad sql grammar", ""),
    ("batch entry ", "delete "),
    ("batch entry ", "insert "),
    ("batch entry ", "update "),
    ("canceling statement due to", ""),
    ("cannot add or update a child row", ""),
    ("cannot delete or update a parent row", ""),
    ("cannot insert duplicate key", ""),
    ("cannot insert explicit value for identity", ""),
    ("cannot insert the value null", ""),
    ("cannot open database", ""),
    ("cannot open server", ""),
    ("cast to ", "failed for value"),
    ("cast to objectid failed", ""),
    ("check constraint '", ""),
    ("check constraint failed", ""),
    ("column \"", "\" contains null values"),
    ("column \"", "\" is of type"),
    ("column \"", "\" must appear in the group by"),
    ("column \"", "\" of relation"),
    ("column count doesn't match", ""),
    ("connection to server at", ""),
    ("constraint \"", "\" of relation"),
    ("constraint \"", "does not exist"),
    ("conversion failed when converting", ""),
    ("could not connect to server", ""),
    ("could not execute ", "batch"),
    ("could not execute ", "query"),
    ("could not execute ", "statement"),
    ("could not extract resultset", ""),
    ("could not find stored procedure", ""),
    ("could not prepare statement", ""),
    ("could not serialize access", ""),
    ("could not translate host name", ""),
    ("current transaction is aborted", ""),
    ("data too long for column", ""),
    ("data truncated for column", ""),
    ("db2 sql error", ""),
    ("deadlock detected", ""),
    ("document failed validation", ""),
    ("duplicate column name '", ""),
    ("duplicate entry '", "' for key '"),
    ("duplicate key name '", ""),
    ("duplicate key value violates", ""),
    ("e11000 duplicate", ""),
    ("er_bad_", ""),
    ("er_dup_entry", ""),
    ("er_no_", ""),
    ("error 1045 (", ""),
    ("error 1049 (", ""),
    ("error 1054 (", ""),
    ("error 1062 (", ""),
    ("error 1064 (", ""),
    ("error 1146 (", ""),
    ("error 1452 (", ""),
    ("error converting data type", ""),
    ("error in your sql", ""),
    ("failed to parse field [", ""),
    ("failed to parse mapping", ""),
    ("failing row contains", ""),
    ("field '", "doesn't have a default value"),
    ("foreign key constraint failed", ""),
    ("foreign key constraint fails", ""),
    ("function ", ") does not exist"),
    ("hikaripool", ""),
    ("host '", "is not allowed to connect"),
    ("incorrect ", "' for column"),
    ("incorrect syntax near", ""),
    ("index: ", "dup key"),
    ("insert or update on table", ""),
    ("invalid `prisma.", ""),
    ("invalid column name '", ""),
    ("invalid input syntax for ", ""),
    ("invalid input value for enum", ""),
    ("invalid object name '", ""),
    ("jdbc exception", ""),
    ("key (", ")=("),
    ("keyspace ", "does not exist"),
    ("lock wait timeout exceeded", ""),
    ("login failed for user", ""),
    ("mapper_parsing_exception", ""),
    ("misconf redis", ""),
    ("missing from-clause entry", ""),
    ("mongo::", ""),
    ("mongoerror", ""),
    ("mongonetworkerror", ""),
    ("mongoservererror", ""),
    ("mongoserverselectionerror", ""),
    ("must declare the scalar variable", ""),
    ("near \"", "\": syntax error"),
    ("new row for relation", ""),
    ("new row violates", ""),
    ("no host was available", ""),
    ("no pg_hba.conf entry", ""),
    ("noauth authentication", ""),
    ("not found: dataset", ""),
    ("not found: table", ""),
    ("not null constraint failed", ""),
    ("notnull violation:", ""),
    ("null value in column", ""),
    ("numeric field overflow", ""),
    ("oom command not allowed", ""),
    ("operator does not exist", ""),
    ("out of range value for column", ""),
    ("password authentication failed", ""),
    ("pdoexception", ""),
    ("pg::", ""),
    ("plan executor error", ""),
    ("planexecutor error", ""),
    ("pq: ", ""),
    ("prepared statement \"", ""),
    ("preparedstatementcallback", ""),
    ("procedure or function '", ""),
    ("psycopg2", ""),
    ("remaining connection slots", ""),
    ("role \"", "\" is not permitted to log in"),
    ("search_phase_execution_exception", ""),
    ("server closed the connection unexpectedly", ""),
    ("sql [", ""),
    ("sql compilation error", ""),
    ("sql logic error", ""),
    ("sql syntax", ""),
    ("sql: alter ", ""),
    ("sql: connection is ", ""),
    ("sql: converting ", ""),
    ("sql: create ", ""),
    ("sql: database ", ""),
    ("sql: delete ", " from "),
    ("sql: drop ", ""),
    ("sql: expected ", " arguments"),
    ("sql: insert ", "into "),
    ("sql: no rows", ""),
    ("sql: rows are closed", ""),
    ("sql: scan ", ""),
    ("sql: select ", " from "),
    ("sql: statement is closed", ""),
    ("sql: transaction ", ""),
    ("sql: truncate ", ""),
    ("sql: unknown driver", ""),
    ("sql: update ", " set "),
    ("sqlcode", ""),
    ("sqlite_", ""),
    ("sqlstate", ""),
    ("string or binary data would be truncated", ""),
    ("syntax error at or near", ""),
    ("table '", "is marked as crashed"),
    ("the database system is", ""),
    ("the delete statement conflicted", ""),
    ("the insert statement conflicted", ""),
    ("the instance of entity type", ""),
    ("the merge statement conflicted", ""),
    ("the multi-part identifier", ""),
    ("the update statement conflicted", ""),
    ("transaction (process id", ""),
    ("unable to acquire jdbc", ""),
    ("unable to connect to database", ""),
    ("unable to open database file", ""),
    ("unconfigured table", ""),
    ("unique constraint failed", ""),
    ("unknown column", "' in '"),
    ("unknown database '", ""),
    ("unknown keyspace", ""),
    ("update or delete on table", ""),
    ("value too long for type", ""),
    ("violates check constraint", ""),
    ("violates exclusion constraint", ""),
    ("violates foreign key", ""),
    ("violates not-null", ""),
    ("violates row-level security", ""),
    ("violates unique constraint", ""),
    ("violation of primary key constraint", ""),
    ("violation of unique key constraint", ""),
    ("wrongtype operation", ""),
];
/// Numbered ones: Oracle's, its tools' and drivers', each with a digit behind.
const NUMBERED: [&str; 6] = ["dpi-", "dpy-", "ora-", "pls-", "sp2-", "tns-"];

/// Messages that people write as well: a database's begins small, and as a sentence, or tells of a name that no word is.
const SMALL: [(&str, &str); 24] = [
    ("column \"", "\" does not exist"),
    ("column '", "' cannot be null"),
    ("could not obtain lock on", ""),
    ("database \"", "\" does not exist"),
    ("database is locked", ""),
    ("duplicate column name:", ""),
    ("must be owner of ", ""),
    ("no such column: ", ""),
    ("no such table: ", ""),
    ("permission denied for database ", ""),
    ("permission denied for function ", ""),
    ("permission denied for relation ", ""),
    ("permission denied for schema ", ""),
    ("permission denied for sequence ", ""),
    ("permission denied for table ", ""),
    ("permission denied for view ", ""),
    ("relation \"", "\" already exists"),
    ("relation \"", "\" does not exist"),
    ("role \"", "\" does not exist"),
    ("schema \"", "\" does not exist"),
    ("table \"", "\" does not exist"),
    ("table '", "' already exists"),
    ("table '", "' doesn't exist"),
    ("unknown table '", ""),
];

/// Messages that begin a sentence: behind a word the same is said of other things, as of a "resource type".
const ALONE: [(&str, &str); 1] = [("type \"", "\" does not exist")];

pub fn sayings(text: &Text<'_>, spans: &mut Spans) {
    let end = Text::paragraph_end;
    messages(text, &MESSAGES, &|_, _| true, end, spans);
    messages(
        text,
        &ALONE,
        &|from, _| begins_sentence(text, from),
        end,
        spans,
    );
    let is_small = |from, at| {
        text.at(from).is_ascii_lowercase()
            && text.before(at) != b'\''
            && begins_sentence(text, from)
            || text
                .slice(at, text.run(at, &DOTTED))
                .iter()
                .any(|byte| b"._".contains(byte))
    };
    messages(text, &SMALL, &is_small, end, spans);
    let mut done = 0;
    for (from, prefix) in text.starts(&NUMBERED, |prefix| prefix) {
        if from >= done && text.at(from + prefix.len()).is_ascii_digit() {
            done = text.line_end(from);
            spans.add(from, done);
        }
    }
}

fn begins_sentence(text: &Text<'_>, from: usize) -> bool {
    text.before(from) != b' ' || !text.before(from - 1).is_ascii_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::scan::is_in_order;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn messages_stand_in_the_order_of_their_first_characters() {
        assert!(is_in_order(&MESSAGES, |message| message.0));
        assert!(is_in_order(&ALONE, |message| message.0));
        assert!(is_in_order(&SMALL, |message| message.0));
        assert!(is_in_order(&NUMBERED, |prefix| prefix));
    }
}
