//! Configurations that are ready: `sixgate up --profile event` writes one and serves it, in one command.

use super::{Config, Diagnostic};
use clap::{Args, ValueEnum};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// What a network is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// One IPv6-only segment, for people to try: no IPv4 there, NAT64 and DNS64 to reach it, a census without names, the dashboard.
    Event,
}

/// A ready configuration for these interfaces.
#[derive(Debug, Clone, Args)]
pub(crate) struct ProfileArgs {
    /// Write this ready configuration, where there is none yet, for the interfaces that --uplink and --lan name.
    #[arg(long, value_enum, requires_all = ["uplink", "lan"])]
    pub(crate) profile: Option<Profile>,
    /// With --profile: the interface to the ISP.
    #[arg(long, value_name = "INTERFACE", requires = "profile", value_parser = interface)]
    pub(crate) uplink: Option<String>,
    /// With --profile: the interface of the segment, a VLAN's as a rule (eth1.64).
    #[arg(long, value_name = "INTERFACE", requires = "profile", value_parser = interface)]
    pub(crate) lan: Option<String>,
    /// With --profile: no NAT64 here, the ISP has one and tells of it (PREF64, RFC 8781).
    #[arg(long, requires = "profile")]
    pub(crate) isp_nat64: bool,
}

/// A name that the kernel takes for an interface; nothing else goes into the file.
fn interface(name: &str) -> Result<String, String> {
    let fits = (1..16).contains(&name.len()) && !matches!(name, "." | "..");
    let plain = |letter: char| letter.is_ascii_graphic() && !matches!(letter, '/' | ':' | '"' | '\\');
    if fits && name.chars().all(plain) {
        Ok(name.to_owned())
    } else {
        Err("an interface's name has 1 to 15 letters, and no slash, colon, quote, backslash or space".into())
    }
}

impl ProfileArgs {
    /// The configuration; none where no profile is asked for.
    pub(crate) fn text(&self) -> Option<String> {
        let (Profile::Event, uplink, lan) = (self.profile?, self.uplink.as_ref()?, self.lan.as_ref()?);
        let nat64 = if self.isp_nat64 {
            "# The ISP's NAT64 is used: its router tells its prefix, which this LAN and DNS64 take over.\n"
        } else {
            "# IPv4 is reached through this machine's own IPv4 on the uplink, which something else sets up.\n[nat64]\n"
        };
        Some(format!(
            "# An IPv6-only segment: hosts there have no IPv4. `sixgate check --reference` explains every key.\n\
             # Written by `sixgate up --profile event`; it is yours now.\n\n\
             [uplink]\ninterface = \"{uplink}\"\n\n\
             [[lan]]\ninterface = \"{lan}\"\n\n\
             {nat64}\n\
             # Who could not live without IPv4, and why: `sixgate census`. Hashes instead of names.\n\
             [census]\n\n\
             # `sixgate web` tells where the dashboard is.\n\
             [web]\nenabled = true\n"
        ))
    }

    /// Writes the profile that is asked for to `path`, once this machine is known to have its interfaces, which are among
    /// `links`: a name that was mistyped shall not have to be deleted first.
    pub(crate) fn prepare(&self, path: &Path, links: &[String]) -> Result<(), Vec<Diagnostic>> {
        let Some(text) = self.text() else { return Ok(()) };
        let wrong = Config::parse(path, &text)?.config.check_links(links);
        if !wrong.is_empty() {
            return Err(wrong);
        }
        write(path, &text)
    }
}

/// What stands at `path` already is left alone: the same is well, and something else is a mistake.
fn write(path: &Path, text: &str) -> Result<(), Vec<Diagnostic>> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path);
    let written = opened.and_then(|mut file| {
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        // Half a configuration would be taken for somebody's own the next time.
        written.inspect_err(|_| drop(std::fs::remove_file(path)))
    });
    match written {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            if std::fs::read_to_string(path).is_ok_and(|there| there == text) {
                return Ok(());
            }
            Err(vec![Diagnostic::whole(
                path,
                "there is another configuration already, which --profile does not overwrite".into(),
                "leave --profile away to serve that one, or name another file with --config FILE".into(),
            )])
        }
        Err(error) => {
            let remedy = match error.kind() {
                ErrorKind::PermissionDenied => "run as root, or name a file of yours with --config FILE",
                ErrorKind::NotFound => "make its folder first, or name another file with --config FILE",
                _ => "name another file with --config FILE",
            };
            Err(vec![Diagnostic::whole(
                path,
                format!("cannot write the configuration: {error}"),
                remedy.into(),
            )])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(uplink: &str, lan: &str, isp_nat64: bool) -> ProfileArgs {
        let (uplink, lan) = (Some(uplink.into()), Some(lan.into()));
        ProfileArgs { profile: Some(Profile::Event), uplink, lan, isp_nat64 }
    }

    #[test]
    fn it_is_a_configuration_without_doubts() {
        for isp_nat64 in [false, true] {
            let text = event("eth0", "eth1.64", isp_nat64).text().unwrap();
            let checked = Config::parse(Path::new("event"), &text).unwrap();
            assert!(checked.warnings.is_empty(), "{:?}", checked.warnings);
            assert_eq!(checked.config.interfaces().collect::<Vec<_>>(), ["eth0", "eth1.64"]);
            assert_eq!(checked.config.nat64.is_some(), !isp_nat64);
            assert!(checked.config.lans[0].ipv4.is_none() && checked.config.lans[0].slaac);
        }
    }

    #[test]
    fn nothing_that_is_there_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sixgate.toml");
        let links = ["eth0", "eth1", "eth2"].map(String::from);
        let said = |asked: ProfileArgs, path: &Path| match asked.prepare(path, &links) {
            Ok(()) => String::new(),
            Err(findings) => findings.iter().map(|finding| finding.render(false)).collect(),
        };
        // What was mistyped leaves nothing behind.
        assert!(said(event("eth0", "eth7", false), &path).contains("no interface `eth7`"));
        assert!(!path.exists());
        assert_eq!(said(event("eth0", "eth1", false), &path), "");
        let first = std::fs::read_to_string(&path).unwrap();
        assert_eq!(said(event("eth0", "eth1", false), &path), "");
        assert!(said(event("eth0", "eth2", false), &path).contains("another configuration"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), first);
        let nowhere = folder.path().join("no/sixgate.toml");
        assert!(said(event("eth0", "eth1", false), &nowhere).contains("make its folder first"));
    }

    #[test]
    fn a_name_cannot_add_keys() {
        for name in ["", ".", "a b", "a\"\nb", "a/b", "sixteen-letters-x"] {
            assert!(interface(name).is_err(), "{name:?}");
        }
        assert_eq!(interface("eth1.64").unwrap(), "eth1.64");
    }
}
