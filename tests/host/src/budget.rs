//! What a filter may cost, held against what it does cost.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::cost::Cost;

/// Instructions may grow by this much before a budget is over: 1 in 50. Host calls may not grow at all.
const MARGIN: u64 = 50;

/// What one scenario may cost at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Budget {
    host_calls: u64,
    byte_returning: u64,
    byte_returning_in_response: u64,
    instructions: u64,
}

impl Budget {
    fn of(cost: &Cost) -> Self {
        Self {
            host_calls: cost.host_calls(),
            byte_returning: cost.byte_returning(),
            byte_returning_in_response: cost.byte_returning_in_response(),
            instructions: cost.instructions(),
        }
    }

    fn fields(self) -> [(&'static str, u64); 4] {
        [
            ("host_calls", self.host_calls),
            ("byte_returning", self.byte_returning),
            (
                "byte_returning_in_response",
                self.byte_returning_in_response,
            ),
            ("instructions", self.instructions),
        ]
    }
}

/// The budgets of one filter, from the `budget.toml` beside it.
pub struct Budgets {
    file: PathBuf,
    committed: BTreeMap<String, Budget>,
    measured: BTreeMap<String, Budget>,
    mistakes: Vec<String>,
}

impl Budgets {
    /// Reads `filters/<filter>/budget.toml`. `UPDATE_BUDGETS=1` writes it anew when [`Budgets::finish`] is called.
    ///
    /// # Panics
    /// If it is there and cannot be read.
    pub fn of(filter: &str) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../filters")
            .join(filter)
            .join("budget.toml");
        Self::read(file)
    }

    fn read(file: PathBuf) -> Self {
        let committed = match std::fs::read_to_string(&file) {
            Ok(text) => {
                toml::from_str(&text).unwrap_or_else(|why| panic!("{}: {why}", file.display()))
            }
            Err(_) => BTreeMap::new(),
        };
        Self {
            file,
            committed,
            measured: BTreeMap::new(),
            mistakes: Vec::new(),
        }
    }

    /// Holds one scenario's cost against its budget, and prints both. The ceiling, which no update lifts: byte-returning
    /// host calls in all, and while the response passes.
    pub fn hold(&mut self, scenario: &str, ceiling: (u64, u64), cost: &Cost) {
        let measured = Budget::of(cost);
        self.measured.insert(scenario.to_owned(), measured);
        let (all, in_response) = ceiling;
        for (what, is, most) in [
            ("byte_returning", measured.byte_returning, all),
            (
                "byte_returning_in_response",
                measured.byte_returning_in_response,
                in_response,
            ),
        ] {
            if is > most {
                let calls = &cost.returning;
                self.mistakes.push(format!(
                    "{scenario}: {what} is {is}, and never may be over {most}: {calls:?}"
                ));
            }
        }
        let Some(budget) = self.committed.get(scenario) else {
            self.mistakes
                .push(format!("{scenario}: no budget is committed"));
            return;
        };
        for ((what, is), (_, most)) in measured.fields().into_iter().zip(budget.fields()) {
            println!("{scenario}: {what} {is} of {most}");
            if is > most {
                self.mistakes
                    .push(format!("{scenario}: {what} is {is}, the budget {most}"));
            }
        }
    }

    /// Ends the comparison.
    ///
    /// # Panics
    /// If a scenario is over its budget or has none, if a budget has no scenario, or if a new file cannot be written.
    pub fn finish(mut self) {
        if std::env::var_os("UPDATE_BUDGETS").is_some() {
            self.mistakes
                .retain(|mistake| mistake.contains("never may be"));
            std::fs::write(&self.file, self.render()).expect("the budget file can be written");
        } else {
            let measured: BTreeSet<_> = self.measured.keys().collect();
            for name in self.committed.keys() {
                if !measured.contains(name) {
                    self.mistakes
                        .push(format!("{name}: a budget without a scenario"));
                }
            }
        }
        assert!(
            self.mistakes.is_empty(),
            "{}:\n  {}\nmake it cheaper, or say why it may cost more and run with UPDATE_BUDGETS=1",
            self.file.display(),
            self.mistakes.join("\n  ")
        );
    }

    fn render(&self) -> String {
        let mut text = String::from(
            "# What one exchange may cost at most. More is a failed test. `UPDATE_BUDGETS=1 cargo test -p portcullis-host --test\n\
             # budgets` measures anew: host calls as they are, guest instructions (wasmtime's fuel) and 2 %.\n",
        );
        for (name, budget) in &self.measured {
            let _ = write!(text, "\n[{}]\n", toml::Value::from(name.as_str()));
            for (what, is) in budget.fields() {
                let most = match what {
                    "instructions" => is + is / MARGIN,
                    _ => is,
                };
                let _ = writeln!(text, "{what} = {most}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::Phase;

    fn cost(calls: u64, instructions: u64) -> Cost {
        Cost {
            calls: [((Phase::RequestHeaders, "a"), calls)].into(),
            returning: [((Phase::RequestHeaders, "a"), calls)].into(),
            fuel: [(Phase::RequestHeaders, instructions)].into(),
        }
    }

    fn mistakes(committed: &str, scenario: &str, cost: &Cost) -> Vec<String> {
        let mut budgets = Budgets::read(PathBuf::new());
        budgets.committed = toml::from_str(committed).unwrap();
        budgets.hold(scenario, (2, 1), cost);
        budgets.mistakes
    }

    #[test]
    fn more_than_the_budget_is_a_mistake_and_less_is_none() {
        let file = "[s]\nhost_calls = 2\nbyte_returning = 2\nbyte_returning_in_response = 0\ninstructions = 100\n";
        assert!(mistakes(file, "s", &cost(2, 100)).is_empty());
        assert!(mistakes(file, "s", &cost(1, 9)).is_empty());
        assert_eq!(mistakes(file, "s", &cost(2, 101)).len(), 1);
        assert_eq!(mistakes(file, "other", &cost(1, 1)).len(), 1);
        assert!(
            mistakes(file, "s", &cost(3, 1)).len() > 2,
            "budget and ceiling"
        );
    }

    #[test]
    fn what_is_written_is_the_budget_with_its_margin() {
        let mut budgets = Budgets::read(PathBuf::new());
        budgets.hold("a request, plain", (2, 1), &cost(2, 1000));
        let text = budgets.render();
        budgets.committed = toml::from_str(&text).unwrap();
        budgets.mistakes.clear();
        budgets.hold("a request, plain", (2, 1), &cost(2, 1020));
        assert!(budgets.mistakes.is_empty(), "{text}");
        budgets.hold("a request, plain", (2, 1), &cost(2, 1021));
        assert_eq!(budgets.mistakes.len(), 1);
    }
}
