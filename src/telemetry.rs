//! Log lines: to standard error, as text or JSON. What is logged never holds a secret: secrets are types that do not print.

use tracing_subscriber::EnvFilter;

/// Sends log lines to standard error from now on. Does nothing when they go somewhere already.
pub fn start(filter: &str, json: bool) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let _already_set = if json {
        lines.json().flatten_event(true).with_current_span(false).try_init()
    } else {
        let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
        lines.with_ansi(ansi).try_init()
    };
}
