//! How old the software is: the kernel and known daemons of this machine, and resolvers that tell what they are, against a dated list
//! (`floors.toml`).
//!
//! A daemon is asked for its version by running its program once more, as the list says how; only a program that nobody but root can have
//! put there, without capabilities, for two seconds and a page of words. One that does not tell is looked up among installed packages.

use crate::child::{self, Bounds};
use serde::{Deserialize, Serialize};
use sixgate_linux::sandbox::{self, Capabilities};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const LIST: &str = include_str!("floors.toml");
/// How long a program may take to tell its version, and how many octets.
const BOUNDS: Bounds = Bounds { time: Duration::from_secs(2), octets: 4096 };
/// Programs that are looked at.
const MOST: usize = 64;
/// Octets that are read of a list of installed packages: a full desktop's has five million.
const LONGEST: u64 = 32 << 20;
/// Where such lists are: Debian's and OpenWrt's, which have one form, and Alpine's.
const PACKAGES: [&str; 3] = ["/var/lib/dpkg/status", "/usr/lib/opkg/status", "/lib/apk/db/installed"];

/// The list.
#[derive(Debug, Deserialize)]
pub(super) struct Floors {
    pub(super) kernel: Kernel,
    #[serde(rename = "daemon")]
    pub(super) daemons: Vec<Daemon>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Kernel {
    pub(super) floor: String,
    pub(super) since: String,
    pub(super) reason: String,
    pub(super) releases: Vec<(String, String)>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Daemon {
    pub(super) name: String,
    programs: Vec<String>,
    ask: Vec<String>,
    packages: Vec<String>,
    pub(super) floor: String,
    pub(super) since: String,
    pub(super) severity: super::judge::Severity,
    pub(super) reason: String,
}

impl Floors {
    /// The list that this program was built with; `None` would be its own mistake, which a test excludes.
    pub(super) fn read() -> Option<Self> {
        toml::from_str(LIST).ok()
    }

    /// The floor of a name.
    pub(super) fn of(&self, name: &str) -> Option<&Daemon> {
        self.daemons.iter().find(|floor| floor.name.eq_ignore_ascii_case(name))
    }
}

impl Kernel {
    /// When the newest series that is not newer than this version came out: year and month.
    pub(super) fn released(&self, version: &[u32]) -> Option<&str> {
        let mut series = self.releases.iter().filter(|(series, _)| !is_below(version, series));
        series.next_back().map(|(_, month)| month.as_str())
    }
}

/// Software that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Software {
    /// As the list names it; `kernel` for that.
    pub(crate) name: String,
    /// As it tells it.
    pub(crate) version: String,
    /// Where it runs: `this machine`, or the address of a resolver.
    pub(crate) runs: String,
}

/// Where software of this machine runs.
pub(super) const HERE: &str = "this machine";

/// The kernel, and daemons that run in this machine's network.
pub(super) fn here(left_out: &mut Vec<String>) -> Vec<Software> {
    let mut found = Vec::new();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    if version(&kernel).is_some() {
        let version = kernel.trim().to_owned();
        found.push(Software { name: "kernel".to_owned(), version, runs: HERE.to_owned() });
    }
    let Some(floors) = Floors::read() else { return found };
    let running = running(&floors);
    if running.is_empty() {
        return found;
    }
    // What runs its programs once more has no capabilities, and neither have they.
    let told = sandbox::confined(Capabilities::NONE, || {
        running
            .into_iter()
            .map(|(at, program)| (at, floors.daemons.get(at).and_then(|floor| tells(floor, &program))))
            .collect::<Vec<_>>()
    });
    for (at, version) in told.unwrap_or_default() {
        let Some(floor) = floors.daemons.get(at) else { continue };
        match version {
            Some(version) => {
                found.push(Software { name: floor.name.clone(), version, runs: HERE.to_owned() });
            }
            None => {
                left_out.push(format!("the version of {}, which runs here and does not tell it", floor.name));
            }
        }
    }
    found
}

/// Known daemons that run in this network namespace: the place of each in the list, and its program.
fn running(floors: &Floors) -> BTreeMap<usize, PathBuf> {
    let mut found = BTreeMap::new();
    let network = fs::read_link("/proc/self/ns/net").ok();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let process = entry.path();
        let is_process = entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
        if !is_process || found.len() >= MOST {
            continue;
        }
        let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
        let known = |floor: &Daemon| floor.programs.iter().any(|program| program == name.trim());
        let Some(at) = floors.daemons.iter().position(known) else { continue };
        if fs::read_link(process.join("ns/net")).ok() != network {
            continue;
        }
        if let Ok(program) = fs::read_link(process.join("exe")) {
            found.entry(at).or_insert(program);
        }
    }
    found
}

/// What a daemon says of its version, or the list of packages does.
fn tells(floor: &Daemon, program: &Path) -> Option<String> {
    let asked = (!floor.ask.is_empty() && is_roots(program)).then(|| {
        let ran = child::run(Command::new(program).args(&floor.ask).env_clear(), BOUNDS).ok()?;
        let said = String::from_utf8_lossy(&ran.out).into_owned() + &String::from_utf8_lossy(&ran.errors);
        version_text(&said)
    });
    asked.flatten().or_else(|| PACKAGES.iter().find_map(|list| installed(Path::new(list), &floor.packages)))
}

/// Whether nobody but root can have put a program there.
fn is_roots(program: &Path) -> bool {
    let sound = |path: &Path| {
        fs::metadata(path)
            .is_ok_and(|found| found.uid() == 0 && (found.mode() & 0o022 == 0 || found.mode() & 0o1000 != 0))
    };
    let file = fs::metadata(program)
        .is_ok_and(|found| found.is_file() && found.uid() == 0 && found.mode() & 0o022 == 0);
    file && program.ancestors().skip(1).all(sound)
}

/// The version of the first of these packages that is installed.
fn installed(list: &Path, packages: &[String]) -> Option<String> {
    use std::io::Read as _;
    let mut text = Vec::new();
    fs::File::open(list).ok()?.take(LONGEST).read_to_end(&mut text).ok()?;
    package_version(&String::from_utf8_lossy(&text), packages)
}

/// Stanzas with `Package: NAME` and `Version: VERSION`, or `P:NAME` and `V:VERSION`; an empty line ends one.
fn package_version(text: &str, packages: &[String]) -> Option<String> {
    let mut wanted = false;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("Package: ").or_else(|| line.strip_prefix("P:")) {
            wanted = packages.iter().any(|package| package == name.trim());
        } else if line.is_empty() {
            wanted = false;
        } else if wanted
            && let Some(version) = line.strip_prefix("Version: ").or_else(|| line.strip_prefix("V:"))
        {
            // An epoch of Debian's comes before a colon.
            let version = version.split_once(':').map_or(version, |(_, version)| version);
            return version_text(version);
        }
    }
    None
}

/// The first version in a text, as it stands there: numbers with dots, or hyphens as in dates, that no letter goes before.
fn version_text(text: &str) -> Option<String> {
    let octets = text.as_bytes();
    let starts = |at: usize| {
        let before = at.checked_sub(1).and_then(|before| octets.get(before));
        !before.is_some_and(|octet| octet.is_ascii_alphanumeric() || *octet == b'.')
    };
    let begin =
        (0..octets.len()).find(|at| octets.get(*at).is_some_and(u8::is_ascii_digit) && starts(*at))?;
    let mut end = begin;
    while let Some(octet) = octets.get(end) {
        // A hyphen joins two digits, as in a date: behind it a distribution's own number may come, or a hash.
        let two = octets.get(end + 1..end + 3).is_some_and(|two| two.iter().all(u8::is_ascii_digit));
        let whole = !octets.get(end + 3).is_some_and(u8::is_ascii_alphanumeric);
        let joins = match octet {
            b'.' => octets.get(end + 1).is_some_and(u8::is_ascii_digit),
            b'-' => two && whole,
            _ => false,
        };
        if !octet.is_ascii_digit() && !joins {
            break;
        }
        end += 1;
    }
    text.get(begin..end.min(begin + 40)).map(str::to_owned)
}

/// Its numbers, the first the most important.
pub(super) fn version(text: &str) -> Option<Vec<u32>> {
    let text = version_text(text)?;
    Some(text.split(['.', '-']).take(8).map(|number| number.parse().unwrap_or(u32::MAX)).collect())
}

/// Whether a version comes before a floor. Numbers that are not there are 0.
pub(super) fn is_below(found: &[u32], floor: &str) -> bool {
    let floor = version(floor).unwrap_or_default();
    let at = |numbers: &[u32], place: usize| numbers.get(place).copied().unwrap_or_default();
    let places = found.len().max(floor.len());
    (0..places).map(|place| at(found, place)).lt((0..places).map(|place| at(&floor, place)))
}

/// The software that a resolver says that it is (`version.bind`): `dnsmasq-2.90`, `unbound 1.19.0`.
pub(super) fn resolver(floors: &Floors, told: &str, address: &str) -> Option<Software> {
    let letters = told.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(told.len());
    let floor = floors.of(told.get(..letters)?)?;
    Some(Software { name: floor.name.clone(), version: version_text(told)?, runs: address.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say_of_themselves() {
        for (text, found) in [
            ("Dnsmasq version 2.90  Copyright (c) 2000-2024 Simon Kelley", "2.90"),
            ("Version: 2.19\n\nCompiled in settings", "2.19"),
            ("isc-dhclient-4.4.3-P1", "4.4.3"),
            ("systemd 252 (252.38-1~deb12u1)", "252"),
            ("| Dibbler - a portable DHCPv6, version 1.0.1 (SERVER)", "1.0.1"),
            ("2.90-4~deb12u1", "2.90"),
            ("2024.05.08~a2988231-r1", "2024.05.08"),
            ("6.18.44-fc-v657", "6.18.44"),
        ] {
            assert_eq!(version_text(text).as_deref(), Some(found), "{text}");
        }
        assert_eq!(version("none, v4"), None);
        assert_eq!(version("99999999999.1"), Some(vec![u32::MAX, 1]));
    }

    #[test]
    fn floors_are_read_and_compared_by_number() {
        let floors = Floors::read().unwrap();
        let all = floors.daemons.iter().map(|floor| (&floor.floor, &floor.since, &floor.reason));
        for (floor, since, reason) in
            all.chain([(&floors.kernel.floor, &floors.kernel.since, &floors.kernel.reason)])
        {
            assert!(version(floor).is_some() && since.len() == 10 && !reason.is_empty(), "{floor} {since}");
        }
        let below = |found: &str, floor: &str| is_below(&version(found).unwrap(), floor);
        assert!(below("2.9", "2.90") && below("4.19.300", "5.10") && below("2.4", "2.4.2"));
        assert!(
            !below("2.90", "2.90")
                && !below("2.91-1", "2.90")
                && !below("255", "255.0")
                && !below("10.1", "9.3.2")
        );
        assert!(below("2024.05.08", "2025-11-28"));
        let released = |text: &str| floors.kernel.released(&version(text).unwrap());
        assert_eq!(
            (released("4.9.337"), released("4.10"), released("2.4")),
            (Some("2016-12"), Some("2016-12"), None)
        );
    }

    #[test]
    fn packages_and_resolvers_tell_what_they_are() {
        let names = ["odhcpd-ipv6only".to_owned()];
        let dpkg = "Package: other\nVersion: 1\n\nPackage: odhcpd-ipv6only\nStatus: ok\nVersion: 1:2021-01-09-753c351b-1\n";
        assert_eq!(package_version(dpkg, &names).as_deref(), Some("2021-01-09"));
        assert_eq!(
            package_version("P:odhcpd-ipv6only\nV:2024.05.08~x-r1\n", &names).as_deref(),
            Some("2024.05.08")
        );
        assert_eq!(package_version("Package: odhcpd-ipv6only\n\nVersion: 3\n", &names), None);
        let floors = Floors::read().unwrap();
        let found =
            |told| resolver(&floors, told, "2001:db8::53").map(|software| (software.name, software.version));
        assert_eq!(found("dnsmasq-2.45"), Some(("dnsmasq".to_owned(), "2.45".to_owned())));
        assert_eq!(found("unbound 1.19.0"), Some(("unbound".to_owned(), "1.19.0".to_owned())));
        assert_eq!((found("9.18.28"), found("")), (None, None));
    }
}
