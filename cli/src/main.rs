//! `portcullis`: see `portcullis --help`.

fn main() -> std::process::ExitCode {
    portcullis_cli::command::main()
}
