//! `sixgate check`.

use crate::config::{Config, Diagnostic, REFERENCE, Severity};
use crate::{Outcome, cli, print, show};
use clap::Args;

/// Check the configuration and say what is wrong, where, and what to do.
#[derive(Debug, Args)]
#[command(long_about = "\
Check the configuration: keys, values, overlapping prefixes, and whether this machine has the interfaces.
Each finding names the line, the key and the remedy. Exit code 2 where `up` would refuse.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) file: cli::ConfigFile,
    /// Print a commented configuration with every key and its default.
    #[arg(long)]
    pub(crate) reference: bool,
    /// Only what the file says: don't ask whether this machine has the interfaces.
    #[arg(long)]
    pub(crate) offline: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Checks the configuration that the arguments name.
pub(crate) fn command(arguments: &Arguments) -> Outcome {
    if arguments.reference {
        return print(REFERENCE);
    }
    let (findings, summary) = match Config::load(&arguments.file.config) {
        Ok(checked) => {
            let mut findings = checked.warnings;
            if !arguments.offline {
                match crate::up::links() {
                    Ok(links) => {
                        findings.extend(checked.config.check_links(&links));
                        findings.extend(checked.config.check_speeds(crate::shape::interface_speed));
                    }
                    Err(error) => return crate::fail(&error.to_string()),
                }
            }
            (findings, summary(&checked.config))
        }
        Err(findings) => (findings, String::new()),
    };
    let refused = findings.iter().any(|finding| finding.severity == Severity::Error);
    let shown = if arguments.json { json(&findings, !refused) } else { text(&findings, refused, &summary) };
    match shown {
        Outcome::Done if refused => Outcome::Usage,
        shown => shown,
    }
}

fn text(findings: &[Diagnostic], refused: bool, summary: &str) -> Outcome {
    show(findings);
    if refused { Outcome::Done } else { print(summary) }
}

fn json(findings: &[Diagnostic], ok: bool) -> Outcome {
    print(&(serde_json::json!({ "ok": ok, "findings": findings }).to_string() + "\n"))
}

/// What the configuration would do, in a few lines.
fn summary(config: &Config) -> String {
    let mut lines = vec![format!("{}: ok", config.path.display())];
    if let Some(uplink) = &config.uplink {
        let asked = match (uplink.address, uplink.prefix) {
            (true, true) => "an address and a prefix",
            (true, false) => "an address",
            (false, true) => "a prefix",
            (false, false) => "nothing",
        };
        lines.push(format!("  uplink {}: asks for {asked}", uplink.interface.value));
        if let Some(shape) = &uplink.shape {
            lines.push(format!("    shaped: {}", shape.plan.summary()));
        }
    }
    for lan in &config.lans {
        let mut gives = Vec::new();
        if config.uplink.as_ref().is_some_and(|uplink| uplink.prefix) {
            gives.push(format!("/64 number {} of the delegated prefix", lan.subnet));
        }
        gives.extend(lan.prefixes.iter().map(ToString::to_string));
        let ways = [(lan.slaac, "SLAAC"), (lan.addresses, "DHCPv6"), (lan.delegate, "prefix delegation")];
        let ways: Vec<&str> = ways.iter().filter(|(on, _)| *on).map(|(_, way)| *way).collect();
        lines.push(format!("  lan {}: {}; {}", lan.interface.value, gives.join(", "), ways.join(", ")));
        if let Some(shape) = &lan.shape {
            lines.push(format!("    shaped: {}", shape.plan.summary()));
        }
        if let Some(ipv4) = &lan.ipv4 {
            let told = match (lan.pref64, config.pilot.percent) {
                (None, _) => "nobody is told to do without IPv4: there is no NAT64".to_owned(),
                (Some(_), 0) => "nobody is told to do without IPv4".to_owned(),
                (Some(_), percent) => format!(
                    "{percent} % of those that ask for option 108 are told to do without IPv4 for {} s",
                    config.pilot.wait.as_secs()
                ),
            };
            lines.push(format!("    IPv4 {}: leases of {} s; {told}", ipv4.address, ipv4.lease.as_secs()));
        }
    }
    lines.join("\n") + "\n"
}
