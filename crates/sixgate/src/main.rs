//! `sixgate`: an IPv6-only network that starts with one command.

#[cfg(feature = "audit")]
mod audit;
mod buckets;
mod census;
mod check;
mod child;
mod clat;
mod cli;
mod config;
mod control;
mod demo;
mod doctor;
mod explain;
mod find;
mod lease;
mod leases;
mod load;
mod log;
mod measure;
mod nat64;
mod options;
mod pilot;
mod plan;
mod reconfigure;
mod report;
mod reservation;
mod sarif;
mod shape;
mod translator;
mod up;
mod view;
mod web;
mod when;
mod who;
mod wrap;

use clap::Parser as _;
use cli::{Cli, Command, LabCommand};
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// How a command ended; each code's meaning stands in `sixgate --help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    Failed,
    Usage,
    Refused,
    NotRunning,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        ExitCode::from(match outcome {
            Outcome::Done => 0,
            Outcome::Failed => 1,
            Outcome::Usage => 2,
            Outcome::Refused => 3,
            Outcome::NotRunning => 4,
        })
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Command::Up(arguments) => up::command(&arguments),
        Command::Check(arguments) => check::command(&arguments),
        Command::Status(arguments) => status(&arguments),
        Command::Leases(arguments) => leases::command(&arguments),
        Command::Reconfigure(arguments) => reconfigure::command(&arguments),
        Command::Who(arguments) => who::command(&arguments),
        Command::Report(arguments) => report::command(&arguments),
        Command::Lease(arguments) => lease::command(&arguments),
        Command::Web(arguments) => web::command(&arguments),
        Command::Census(arguments) => census::command(&arguments),
        Command::Pilot(arguments) => pilot::command(&arguments),
        Command::Options(arguments) => options::command(&arguments),
        Command::Reservation(arguments) => reservation::command(&arguments),
        Command::Explain(arguments) => explain::command(&arguments),
        Command::Find(arguments) => find::command(&arguments),
        #[cfg(feature = "audit")]
        Command::Audit(arguments) => audit::command(&arguments),
        #[cfg(feature = "audit")]
        Command::Checklist(arguments) => audit::checklist(&arguments),
        Command::Plan(arguments) => plan::command(&arguments),
        Command::Buckets(arguments) => buckets::command(&arguments),
        Command::Wrap(arguments) => wrap::command(&arguments),
        Command::Clat(arguments) => clat::command(&arguments),
        Command::Measure(arguments) => measure::command(&arguments),
        Command::Doctor(arguments) => doctor::command(&arguments),
        Command::Shape(arguments) => shape::command(&arguments),
        Command::Lab(lab) => match lab.command {
            LabCommand::Demo(arguments) => demo::command(&arguments),
            LabCommand::Enter(arguments) => demo::enter(&arguments),
            LabCommand::Fetch(arguments) => demo::fetch(&arguments),
            LabCommand::Nat64(arguments) => nat64::command(&arguments),
            LabCommand::DnsLoad(arguments) => load::ask(&arguments),
            LabCommand::DhcpLoad(arguments) => load::dhcp::command(&arguments),
            LabCommand::DnsUpstream(arguments) => load::answer(&arguments),
        },
    }
    .into()
}

fn status(arguments: &cli::View) -> Outcome {
    control::show(control::look(arguments, "status"), arguments.json, view::Status::table)
}

/// The socket named by the arguments, by the configuration, or by default.
pub(crate) fn control_socket(arguments: &cli::View) -> Result<PathBuf, Outcome> {
    match &arguments.control {
        Some(path) => Ok(path.clone()),
        None => places(arguments.config.as_deref()).map(|places| places.control),
    }
}

/// Where things are, for a command that needs to know no more.
pub(crate) fn places(path: Option<&Path>) -> Result<config::Places, Outcome> {
    config::Places::load(path.unwrap_or(Path::new(config::DEFAULT_PATH))).map_err(|findings| {
        show(&findings);
        Outcome::Usage
    })
}

/// Says that nobody answers on the control socket, and what to do.
pub(crate) fn not_running(path: &Path, error: &std::io::Error) -> Outcome {
    let remedy = match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            "run as root, or set control-group in the configuration to a group you are in"
        }
        std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => {
            "start it with `sixgate up`; if it runs with another configuration, name that one with --config"
        }
        _ => "see its log",
    };
    say(&format!(
        "sixgate: no answer on the control socket {}: {error}\n  = help: {remedy}\n",
        path.display()
    ));
    Outcome::NotRunning
}

/// Prints findings on standard error, in colour on a terminal.
pub(crate) fn show(findings: &[config::Diagnostic]) {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    for finding in findings {
        say(&finding.render(colour));
    }
}

/// Prints to standard error. `eprint!` panics when nobody reads it any more (`2>&1 | head`).
pub(crate) fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Prints to standard output; a reader that went away (`| head`) is no failure.
pub(crate) fn print(text: &str) -> Outcome {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            fail(&format!("cannot write to standard output: {error}"))
        }
        _ => Outcome::Done,
    }
}

/// Says on standard error why the command failed.
pub(crate) fn fail(message: &str) -> Outcome {
    say(&format!("sixgate: {message}\n"));
    Outcome::Failed
}
