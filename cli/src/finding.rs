//! Which check tells of a mistake. `cli/README.md` has a row for each, by its name.

macro_rules! checks {
    ($($check:ident = $name:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Check {
            $($check,)*
        }

        impl Check {
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$check => $name,)*
                }
            }
        }
    };
}

checks! {
    // What could not be read, or is never read.
    Syntax = "syntax",
    // What the filter's own code says of its settings.
    Settings = "settings",
    NothingChecked = "nothing-checked",
    RootId = "root-id",
    // Those of `lint/`, by the names of their files.
    AccessLogSink = "access-log-sink",
    AccessLogger = "access-logger",
    Bodies = "bodies",
    Clients = "clients",
    Clusters = "clusters",
    Cors = "cors",
    Failure = "failure",
    LocalReplies = "local-replies",
    Order = "order",
    Pause = "pause",
    ProblemJson = "problem-json",
    Profiles = "profiles",
    RateLimit = "rate-limit",
    RequestId = "request-id",
}
