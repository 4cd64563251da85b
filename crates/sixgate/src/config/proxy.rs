//! `[proxy]`: an HTTP proxy for the LANs.

use super::{Reader, file};
use toml::Spanned;

/// Where it listens where the file does not say: where proxies usually do.
const PORT: u16 = 3128;
/// Ports that it goes to where the file does not say.
const TO: [u16; 2] = [80, 443];
/// Most ports that are named.
const MOST: usize = 64;

/// The proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    /// Ports of servers that it goes to.
    pub(crate) to: Vec<u16>,
}

impl Reader<'_> {
    /// None where it is off, as it is until asked for.
    pub(super) fn proxy(&mut self, proxy: file::Proxy, dns: bool) -> Option<Proxy> {
        let at = proxy.port.as_ref().map(Spanned::span);
        let port = proxy.port.map_or(PORT, Spanned::into_inner);
        if port == 0 || port == 53 {
            self.error(
                at.unwrap_or_default(),
                "proxy.port",
                format!("the proxy cannot have port {port}"),
                format!("choose {PORT}, or 8080"),
            );
        }
        let to = proxy.to_ports.map_or_else(
            || TO.to_vec(),
            |ports| {
                let named = ports.get_ref();
                // Mail: whoever relays that for others is soon listed as a source of spam.
                if named.is_empty() || named.len() > MOST || named.contains(&0) || named.contains(&25) {
                    self.error(
                        ports.span(),
                        "proxy.to-ports",
                        "these ports are not gone to: none, more than 64, 0, or 25 (mail)",
                        "name those of web servers, such as [80, 443]",
                    );
                }
                named.clone()
            },
        );
        if !proxy.enabled.unwrap_or(false) {
            return None;
        }
        if !dns {
            self.errors.push(super::Diagnostic::whole(
                self.path,
                "[proxy] resolves names by [dns], which is off".to_owned(),
                "leave out enabled = false under [dns], or [proxy]".to_owned(),
            ));
        }
        Some(Proxy { port, to })
    }
}
