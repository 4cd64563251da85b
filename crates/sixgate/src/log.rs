//! The log: one event a line on standard error, `key=value` for people, JSON for machines.

use crate::cli::LogFormat;
use std::io::IsTerminal as _;
use tracing::Level;

/// Starts logging; `verbose` counts the `-v`s.
pub(crate) fn start(format: LogFormat, verbose: u8) {
    let level = match verbose {
        0 => Level::INFO,
        1 => Level::DEBUG,
        _ => Level::TRACE,
    };
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_target(false)
        // It would tell of a log that cannot be written on the same standard error, and panic: who reads the log may go away
        // (`| head`, a log daemon that restarts), the network stays.
        .log_internal_errors(false);
    // A second start (there is none in the binary) would be refused; the first goes on.
    let _ = match format {
        LogFormat::Text => log.with_ansi(colour).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
}
