//! The configurations of a plan, each as `sixgate check` takes it.

use super::input::{Input, Subnet};
use super::layout::Server;
use crate::config::{Config, Diagnostic};
use ipnet::Ipv6Net;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Name of a server's file in its folder.
const FILE: &str = "sixgate.toml";

/// The text of each server's configuration, by the server's name.
///
/// # Errors
/// What `sixgate check` would find wrong.
pub(super) fn configurations(
    input: &Input,
    servers: &[Server],
) -> Result<Vec<(String, String)>, Vec<Diagnostic>> {
    let mut configurations = Vec::new();
    for server in servers {
        let text = text(input, server);
        Config::parse(&Path::new(&server.name).join(FILE), &text)?;
        configurations.push((server.name.clone(), text));
    }
    Ok(configurations)
}

/// Writes each into its folder; what is there already stays.
pub(super) fn write(folder: &Path, configurations: &[(String, String)]) -> Result<Vec<PathBuf>, String> {
    let paths: Vec<PathBuf> = configurations.iter().map(|(name, _)| folder.join(name).join(FILE)).collect();
    if let Some(path) = paths.iter().find(|path| path.exists()) {
        return Err(format!(
            "{} is there already, and nothing was written: name another folder",
            path.display()
        ));
    }
    for (path, (_, text)) in paths.iter().zip(configurations) {
        let written = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| {
            let mut file = std::fs::File::options().write(true).create_new(true).open(path)?;
            file.write_all(text.as_bytes())
        });
        written.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(paths)
}

fn text(input: &Input, server: &Server) -> String {
    let mut out = format!(
        "# The DHCPv6 server {} of {}, as `sixgate plan` laid it out: {}.\n",
        server.name,
        input.servers.join(", "),
        input.scheme.name()
    );
    let _ = writeln!(
        out,
        "\n[relays]\ninterfaces = [\"{}\"]\nfrom = {}\n\n[dns]\nenabled = false",
        input.interface,
        list(&input.relays)
    );
    if let Some(preference) = server.preference {
        let _ = writeln!(out, "\n[dhcp]\npreference = {preference}");
    }
    for subnet in &server.subnets {
        write_subnet(&mut out, subnet, input.lease);
    }
    out
}

fn write_subnet(out: &mut String, subnet: &Subnet, lease: u64) {
    out.push_str("\n[[subnet]]\n");
    if let Some(name) = &subnet.name {
        let _ = writeln!(out, "name = {}", toml::Value::from(name.as_str()));
    }
    let _ = writeln!(out, "prefixes = {}", list(&subnet.prefixes));
    if subnet.pools != subnet.prefixes {
        let _ = writeln!(out, "pools = {}", list(&subnet.pools));
    }
    if !subnet.delegate_from.is_empty() {
        let _ = writeln!(out, "delegate-from = {}", list(&subnet.delegate_from));
        if let Some(length) = subnet.delegate_length {
            let _ = writeln!(out, "delegate-length = {length}");
        }
    }
    // What the server has where nothing is written.
    if lease != 86_400 {
        let _ = writeln!(out, "preferred-lifetime = {}\nvalid-lifetime = {lease}", lease / 2);
    }
}

fn list(nets: &[Ipv6Net]) -> String {
    let quoted: Vec<String> = nets.iter().map(|net| format!("\"{net}\"")).collect();
    format!("[{}]", quoted.join(", "))
}
