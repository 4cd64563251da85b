//! [`ConnectError`].

use super::policy::Time;
use super::{Outcome, Trace};
use crate::Family;
use std::error::Error;
use std::fmt;
use std::io;

/// Nothing connected. `Display` says of every address what happened, and what to do; the trace has all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectError {
    trace: Box<Trace>,
}

impl ConnectError {
    pub(super) fn new(trace: Trace) -> Self {
        Self { trace: Box::new(trace) }
    }

    /// What was done, and why.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// The nearest that the standard library has: that of the last failure.
    fn kind(&self) -> io::ErrorKind {
        use super::Failure::{NoRoute, Prohibited, Refused, Reset, TimedOut, Unreachable};
        let mut outcome = self.trace.attempts.iter().rev().map(|attempt| &attempt.outcome);
        match outcome.clone().find(|outcome| matches!(outcome, Outcome::Failed(_))).or(outcome.next_back()) {
            Some(Outcome::Failed(Refused)) => io::ErrorKind::ConnectionRefused,
            Some(Outcome::Failed(Reset)) => io::ErrorKind::ConnectionReset,
            Some(Outcome::Failed(Unreachable | NoRoute)) => io::ErrorKind::HostUnreachable,
            Some(Outcome::Failed(Prohibited)) => io::ErrorKind::PermissionDenied,
            Some(Outcome::Failed(TimedOut) | Outcome::GivenUp | Outcome::GaveWay) => io::ErrorKind::TimedOut,
            Some(_) => io::ErrorKind::Other,
            None => io::ErrorKind::NotFound,
        }
    }

    /// Why there was nothing to try.
    fn nothing_tried(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let choice = self.trace.family;
        for asked in &self.trace.questions {
            match &asked.failure {
                Some(failure) => write!(f, "\n  {}: {failure}", asked.question)?,
                None if asked.answered.is_none() => {
                    write!(f, "\n  {}: the resolver did not answer", asked.question)?;
                }
                None if asked.count == 0 => write!(f, "\n  {}: there are none", asked.question)?,
                None => write!(f, "\n  {}: {}", asked.question, asked.count)?,
            }
        }
        let host = self.trace.host.as_ref();
        let given = host.and_then(crate::Host::endpoint).map(|endpoint| endpoint.family());
        match given {
            Some(family) if !choice.allows(family) => {
                write!(
                    f,
                    "\n  it is an {family} address, and the choice of family is `{choice}`: choose the \
                    other one"
                )
            }
            _ if Family::BOTH.iter().all(|family| choice.allows(*family)) => {
                f.write_str("\n  check the spelling of the name, and the resolver")
            }
            _ => {
                let other = choice.preferred().other();
                write!(
                    f,
                    "\n  the choice of family is `{choice}`: it may have an {other} address, which was \
                    not tried"
                )
            }
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.trace.host {
            Some(host) => write!(f, "cannot connect to {host}")?,
            None => write!(f, "cannot connect")?,
        }
        if let Some(over) = self.trace.over {
            write!(f, " (tried for {})", Time(over))?;
        }
        f.write_str(":")?;
        if self.trace.attempts.is_empty() {
            return self.nothing_tried(f);
        }
        for attempt in &self.trace.attempts {
            write!(f, "\n  {}: {}", attempt.to, attempt.outcome)?;
            if let Some(took) = attempt.took {
                write!(f, ", after {}", Time(took))?;
            }
            if let Outcome::Failed(failure) = &attempt.outcome {
                write!(f, "; {}", failure.advice())?;
            }
        }
        for asked in &self.trace.questions {
            match &asked.failure {
                Some(failure) => write!(f, "\n  {}: {failure}", asked.question)?,
                None if asked.answered.is_none() => {
                    write!(f, "\n  {}: the resolver did not answer", asked.question)?;
                }
                None => {}
            }
        }
        Ok(())
    }
}

impl Error for ConnectError {}

impl From<ConnectError> for io::Error {
    fn from(error: ConnectError) -> Self {
        Self::new(error.kind(), error)
    }
}
