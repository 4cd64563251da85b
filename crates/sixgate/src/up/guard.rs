//! What `up` set on the machine, and puts back at its end or where its start fails.

use super::before::{self, Before};
use super::resolv;
use super::start::StartError;
use crate::control::Control;
use sixgate_linux::lock::StateDirectory;
use sixgate_linux::route::Netlink;
use sixgate_linux::sysctl::Saved;
use std::io;
use std::path::PathBuf;

/// What was set outside the engine, to be put back. Dropping it puts back what can be put back without netlink.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(super) sysctls: Option<Saved>,
    /// Links that were down before, by number and name.
    pub(super) raised: Vec<(u32, String)>,
    /// resolv.conf as it was.
    pub(super) resolv_conf: Option<(PathBuf, Option<Vec<u8>>)>,
    /// Held so that no second sixgate uses the folder.
    pub(super) _state: StateDirectory,
    /// Held so that its file goes with us.
    pub(super) _control: Control,
}

impl Guard {
    /// What has to outlive a `kill -9`.
    pub(super) fn before(&self) -> Before {
        Before {
            sysctls: self.sysctls.as_ref().map_or_else(Vec::new, |saved| saved.remembered().to_vec()),
            raised: self.raised.clone(),
        }
    }

    /// Puts everything back; what cannot be is told as sentences.
    pub(crate) fn restore(mut self, netlink: &mut Netlink) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some((path, before)) = self.resolv_conf.take()
            // What somebody else has written since is theirs.
            && std::fs::read(&path).is_ok_and(|text| resolv::is_ours(&text))
        {
            let restored = match before {
                Some(text) => std::fs::write(&path, text),
                None => std::fs::remove_file(&path),
            };
            if let Err(error) = restored
                && error.kind() != io::ErrorKind::NotFound
            {
                problems.push(format!("cannot put back {}: {error}", path.display()));
            }
        }
        for (index, _) in self.raised.drain(..) {
            if let Err(error) = netlink.set_up(index, false) {
                problems.push(error.to_string());
            }
        }
        if let Some(Err(error)) = self.sysctls.take().map(Saved::restore) {
            problems.push(error.to_string());
        }
        problems
    }
}

/// The resolv.conf to put back at the end. Where it is one of ours, the run that wrote it was killed: then it is the one
/// which that run found.
pub(super) fn resolv_conf_before(
    path: PathBuf,
    record: Option<&Vec<u8>>,
) -> Result<(PathBuf, Option<Vec<u8>>), StartError> {
    match std::fs::read(&path) {
        Ok(text) if resolv::is_ours(&text) => {
            let earlier = record.and_then(|record| before::decode_resolv_conf(record));
            Ok(earlier.filter(|(of, _)| *of == path).unwrap_or((path, None)))
        }
        Ok(text) => Ok((path, Some(text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((path, None)),
        Err(source) => Err(StartError::Read { path, source }),
    }
}
