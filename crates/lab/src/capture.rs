//! Captures, and what tshark reads from them.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command as Program, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use sixgate_linux::process::{Command, Process};

use crate::{Error, Host, wait_some};

/// Packets that are malformed, or that an expert of tshark calls an error (`PI_ERROR` of epan/proto.h).
const BAD: &str = "(_ws.malformed || _ws.expert.severity >= 0x00800000)";

/// A capture of one interface, that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Capture {
    file: PathBuf,
    process: Process,
}

/// A packet that should not have been sent as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Number of the packet in the capture.
    pub frame: String,
    /// Its protocols, outermost first.
    pub protocols: String,
    /// What tshark holds against it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "packet {} ({}): {}", self.frame, self.protocols, self.message)
    }
}

impl Capture {
    pub(crate) fn start(host: &Host, interface: &str, file: PathBuf) -> Result<Self, Error> {
        let tcpdump = ["-Z", "root", "-n", "-U", "--immediate-mode", "-s", "0", "-i", interface, "-w"];
        let dumpcap = ["-q", "-P", "-i", interface, "-w"];
        // tcpdump insists on setting its groups, which an ordinary user's namespace denies. dumpcap does not, but
        // hands packets over later.
        let denied = fs::read_to_string("/proc/self/setgroups").is_ok_and(|text| text.trim() == "deny");
        // Both say this after the socket is bound: what is sent from then on is captured.
        let (command, ready) = if denied {
            (Command::new("dumpcap").args(dumpcap), "File: ")
        } else {
            (Command::new("tcpdump").args(tcpdump), "listening on")
        };
        let process = host.spawn(&command.arg(&file))?;
        process.wait_line(ready, Duration::from_secs(10))?;
        Ok(Self { file, process })
    }

    /// The capture's file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Ends the capture; the file is complete then.
    ///
    /// # Errors
    /// When the capturing program does not end.
    pub fn stop(&self) -> Result<(), Error> {
        self.process.signal(Signal::SIGINT)?;
        self.process.wait(Duration::from_secs(5))?;
        Ok(())
    }

    /// The values of `fields` of each packet that `filter` (tshark's display filter, may be empty) selects. A
    /// field that a packet has several times is joined by commas. Works while the capture runs, too.
    ///
    /// # Errors
    /// When tshark does not know the filter or a field.
    pub fn fields(&self, filter: &str, fields: &[&str]) -> Result<Vec<Vec<String>>, Error> {
        read_fields(&self.file, filter, fields)
    }

    /// Waits until at least `count` packets are selected by `filter`; hands back their fields.
    ///
    /// # Errors
    /// [`Error::Timeout`], and as [`Capture::fields`].
    pub fn wait_fields(
        &self,
        filter: &str,
        fields: &[&str],
        count: usize,
        timeout: Duration,
    ) -> Result<Vec<Vec<String>>, Error> {
        let what = format!("{count} packets of {filter:?}");
        let look = || match self.fields(filter, fields) {
            Ok(found) if found.len() < count => None,
            result => Some(result),
        };
        wait_some(&what, timeout, look, || self.summary())?
    }

    /// Packets that are malformed or erroneous, among those that `filter` selects: `eth.src == …` judges one
    /// sender, an empty filter all.
    ///
    /// # Errors
    /// When tshark does not know the filter.
    pub fn problems(&self, filter: &str) -> Result<Vec<Problem>, Error> {
        let filter = if filter.is_empty() { BAD.to_owned() } else { format!("{BAD} && ({filter})") };
        let rows = self.fields(&filter, &["frame.number", "frame.protocols", "_ws.expert.message"])?;
        let problem = |row: Vec<String>| {
            let mut row = row.into_iter();
            let mut next = || row.next().unwrap_or_default();
            Problem { frame: next(), protocols: next(), message: next() }
        };
        Ok(rows.into_iter().map(problem).collect())
    }

    /// Nothing that `filter` selects may be malformed or erroneous.
    ///
    /// # Errors
    /// [`Error::BadPackets`] with the first one.
    pub fn assert_clean(&self, filter: &str) -> Result<(), Error> {
        let problems = self.problems(filter)?;
        match problems.first() {
            None => Ok(()),
            Some(first) => Err(Error::BadPackets {
                path: self.file.clone(),
                count: problems.len(),
                first: first.to_string(),
            }),
        }
    }

    /// One line for each of the last packets, for a person.
    pub fn summary(&self) -> String {
        let fields = ["frame.number", "frame.time_relative", "_ws.col.Source", "_ws.col.Info"];
        match self.fields("", &fields) {
            Ok(rows) => {
                let skip = rows.len().saturating_sub(30);
                rows.iter().skip(skip).map(|row| row.join(" ") + "\n").collect()
            }
            Err(error) => error.to_string(),
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.process.signal(Signal::SIGINT);
    }
}

/// The values of `fields` of each packet in `file` that `filter` selects; see [`Capture::fields`].
///
/// # Errors
/// When tshark cannot be run, or does not know the filter or a field.
pub fn read_fields(file: &Path, filter: &str, fields: &[&str]) -> Result<Vec<Vec<String>>, Error> {
    let failed = |problem| Error::Capture { path: file.to_owned(), problem };
    let mut tshark = Program::new("tshark");
    tshark.args(["-n", "-T", "fields", "-E", "separator=/t", "-r"]).arg(file).stdin(Stdio::null());
    // The user's own preferences change what a field says.
    if let Some(folder) = file.parent() {
        tshark.env("WIRESHARK_CONFIG_DIR", folder).env("HOME", folder);
    }
    if !filter.is_empty() {
        tshark.args(["-Y", filter]);
    }
    for field in fields {
        tshark.args(["-e", field]);
    }
    let output = tshark.output().map_err(|e| failed(format!("{e}; is tshark installed?")))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    // A capture that still runs may end in the middle of a packet: tshark says so after it has told the others.
    if !output.status.success() && !complaint.contains("cut short") {
        return Err(failed(complaint.trim().to_owned()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
}
