//! Runs a program in a machine of its own, traced or not, so that the two can be compared (`tests/bench-wrap`).
//!
//! `traced trace PROGRAM ARGUMENTS` or `traced plain PROGRAM ARGUMENTS`: says the id of the machine's first process, whose
//! network `nsenter --net` enters, and, when its own input ends, how many calls were told. Needs root.

use nix::sys::signal::Signal;
use sixgate_linux::namespace::Namespace;
use sixgate_linux::process::{Command, Log};
use sixgate_linux::trace::{Event, Options, Traced};
use std::io::Read as _;
use std::time::{Duration, Instant};

/// How long a server may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args_os().skip(1);
    let (how, program) =
        words.next().zip(words.next()).ok_or("usage: traced trace|plain PROGRAM [ARGUMENTS]")?;
    let command = Command::new(program).args(words);
    let (namespace, log) = (Namespace::new("traced")?, Log::new());
    let wait = || std::io::stdin().read_to_end(&mut Vec::new());
    println!("{}", namespace.init_pid());
    if how == "plain" {
        let process = namespace.spawn(&command, &log)?;
        wait()?;
        process.stop(PATIENCE)?;
        println!("0");
        return Ok(());
    }
    let mut traced = Traced::start(&namespace, &command, &Options::default(), &log)?;
    let ended = std::thread::spawn(wait);
    let mut calls = 0_u64;
    while !ended.is_finished() && !traced.over() {
        let soon = Instant::now() + Duration::from_millis(100);
        while let Some(event) = traced.next(Some(soon)) {
            calls += u64::from(matches!(event, Event::Called(_)));
            if ended.is_finished() {
                break;
            }
        }
    }
    traced.signal(Signal::SIGTERM)?;
    let patience = Instant::now() + PATIENCE;
    while traced.next(Some(patience)).is_some() {}
    println!("{calls}");
    Ok(())
}
