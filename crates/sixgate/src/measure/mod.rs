//! `sixgate measure`: latency under load, responsiveness, page time, the families compared, the path; and our own far end.
//!
//! What is counted and what it means is in `crates/measure`, without sockets. Here are the sockets, one thread for each thing that waits.

mod aqm;
mod calibrate;
pub(crate) mod cli;
pub(crate) mod entry;
mod families;
pub(crate) mod far;
pub(crate) mod flows;
pub(crate) mod icmp;
mod page;
pub(crate) mod path;
pub(crate) mod plain;
pub(crate) mod plugins;
mod probes;
mod report;
mod responsiveness;
mod rrul;
mod serve;
pub(crate) mod shown;
mod whole;

use crate::Outcome;
use cli::{Arguments, Measurement};

/// Runs a measurement.
pub(crate) fn command(arguments: &Arguments) -> Outcome {
    match &arguments.measurement {
        Measurement::Serve(arguments) => serve::command(arguments),
        Measurement::Rrul(arguments) => rrul::command(arguments),
        Measurement::Responsiveness(arguments) => responsiveness::command(arguments),
        Measurement::Page(arguments) => page::command(arguments),
        Measurement::Families(arguments) => families::command(arguments),
        Measurement::Path(arguments) => path::command(arguments),
        Measurement::Plugins(arguments) => plugins::command(arguments),
        Measurement::Report(arguments) => report::command(arguments),
        Measurement::Aqm(arguments) => aqm::command(arguments),
    }
}
