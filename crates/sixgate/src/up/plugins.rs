//! Plug-ins that measure: a process beside this one runs them, which was started before anything was given up. What it tells comes by a
//! pipe; it ends when this one does.

use super::engine::Engine;
use super::event::{Event, Sender};
use super::problems::Matter;
use crate::config::Config;
use crate::measure::plugins::{self, Run};
use std::io;
use std::os::fd::OwnedFd;
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::unix::pipe::Receiver;
use tokio::sync::oneshot;
use tokio::task::spawn_local;

/// Octets of a line that is read.
const LONGEST_LINE: u64 = 64 * 1024;
/// How long it may take to end a plug-in that runs.
const PATIENCE: Duration = Duration::from_secs(5);

/// The process that runs plug-ins.
#[derive(Debug)]
pub(crate) struct Feed {
    input: ChildStdin,
    output: ChildStdout,
}

/// The same, heard. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    input: ChildStdin,
    /// Tells that it has ended.
    ended: oneshot::Receiver<()>,
}

/// Starts it, where there are plug-ins.
///
/// # Errors
/// What the kernel says.
pub(super) fn start(config: &Config) -> io::Result<Option<Feed>> {
    if config.plugins.is_empty() {
        return Ok(None);
    }
    let mut child = plugins::feed(&config.path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    match (child.stdin.take(), child.stdout.take()) {
        (Some(input), Some(output)) => Ok(Some(Feed { input, output })),
        _ => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

impl Feed {
    /// Hands what it tells to the engine.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn read(self, events: &Sender) -> io::Result<Hold> {
        let mut pipe = BufReader::new(Receiver::from_owned_fd(OwnedFd::from(self.output))?);
        let (tell, ended) = oneshot::channel();
        let events = events.clone();
        spawn_local(async move {
            let mut line = Vec::new();
            loop {
                line.clear();
                match (&mut pipe).take(LONGEST_LINE).read_until(b'\n', &mut line).await {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                }
                if let Ok(run) = serde_json::from_slice::<Run>(&line) {
                    let _ = events.send(Event::Measured(Some(Box::new(run)))).await;
                }
            }
            let _ = tell.send(());
            let _ = events.send(Event::Measured(None)).await;
        });
        Ok(Hold { input: self.input, ended })
    }
}

impl Hold {
    /// Ends it, and waits until it has.
    pub(super) async fn end(self) {
        let Self { input, ended } = self;
        drop(input);
        if tokio::time::timeout(PATIENCE, ended).await.is_err() {
            tracing::error!("what runs plug-ins does not end; it does once its plug-in has");
        }
    }
}

impl Engine {
    /// A plug-in was run, or none will be any more.
    pub(crate) fn measured(&mut self, run: Option<Box<Run>>) {
        let Some(run) = run else {
            let sentence = "plug-ins are not run any more: what runs them has ended (its words are on standard error); restart sixgate";
            return self.problems.put(Matter::Plugins, sentence.to_owned());
        };
        if !run.entry.is_ok() {
            tracing::warn!(plugin = run.plugin, outcome = run.entry.outcome, "a plug-in failed");
        }
        plugins::count(&mut self.measured, *run);
    }
}
