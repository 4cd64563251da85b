//! Writing the client's messages (RFC 9915 section 18.2).

use super::binding::Binding;
use super::config::Config;
use super::leases::Leases;
use super::retransmit::Exchange;
use sixgate_wire::WireError;
use sixgate_wire::dhcpv6::{Builder, Fqdn, MessageType, OptionCode};
use std::time::Duration;

/// Room for a message. The interface fragments what exceeds its MTU; nothing sensible comes near.
const ROOM: usize = 16_384;

/// What a message is made of.
pub(super) struct Draft<'a> {
    pub(super) config: &'a Config,
    pub(super) exchange: &'a Exchange,
    pub(super) binding: Option<&'a Binding>,
    /// Ask for another prefix length beside the prefix that is held (RFC 8168 section 3.4).
    pub(super) hint_again: bool,
}

impl Draft<'_> {
    /// The octets of the message at `now`.
    pub(super) fn write(&self, now: Duration) -> Result<Vec<u8>, WireError> {
        let Self { config, exchange, .. } = *self;
        let kind = exchange.kind;
        let mut room = vec![0; ROOM];
        let mut out = Builder::message(&mut room, kind, exchange.transaction);
        out.client_id(&config.duid);
        if let Some(server) = &exchange.server {
            out.server_id(server);
        }
        out.elapsed_time(exchange.elapsed(now));
        let asks = matches!(
            kind,
            MessageType::SOLICIT
                | MessageType::REQUEST
                | MessageType::RENEW
                | MessageType::REBIND
                | MessageType::INFORMATION_REQUEST
        );
        if asks {
            if config.rapid_commit && kind == MessageType::SOLICIT {
                out.rapid_commit();
            }
            if config.reconfigure_accept {
                out.reconfigure_accept();
            }
            out.oro(&self.requested());
            if !config.user_classes.is_empty() {
                out.user_classes(&config.user_classes);
            }
            if let Some(name) =
                config.hostname.as_deref().filter(|_| kind != MessageType::INFORMATION_REQUEST)
            {
                out.client_fqdn(Fqdn::SERVER_UPDATES, name);
            }
        }
        self.associations(&mut out);
        out.finish().map(<[u8]>::to_vec)
    }

    /// RFC 9915 sections 21.23 to 21.25: SOL_MAX_RT is always asked for, INF_MAX_RT and Information Refresh Time in an
    /// Information-request; RFC 4704 section 5: with a name, the FQDN option too.
    fn requested(&self) -> Vec<OptionCode> {
        let mut codes = self.config.options.clone();
        codes.push(OptionCode::SOL_MAX_RT);
        if self.exchange.kind == MessageType::INFORMATION_REQUEST {
            codes.extend([OptionCode::INFORMATION_REFRESH_TIME, OptionCode::INF_MAX_RT]);
        } else if self.config.hostname.is_some() {
            codes.push(OptionCode::CLIENT_FQDN);
        }
        let mut seen = Vec::with_capacity(codes.len());
        codes.retain(|&code| {
            let new = !seen.contains(&code);
            seen.push(code);
            new
        });
        codes
    }

    fn associations(&self, out: &mut Builder<'_>) {
        let held = self.binding.map(Leases::from).unwrap_or_default();
        match self.exchange.kind {
            MessageType::INFORMATION_REQUEST => {}
            // Addresses only: Confirm has no room for prefixes (RFC 9915 section 18.2.3).
            MessageType::CONFIRM => self.write_leases(out, &Leases { prefixes: Vec::new(), ..held }, false),
            MessageType::RELEASE | MessageType::DECLINE => {
                self.write_leases(out, &self.exchange.leases, false);
            }
            MessageType::REQUEST => {
                // What the server offered; beside it, what is held in associations that it did not speak of.
                let mut leases = self.exchange.leases.clone();
                let offered = leases.clone();
                leases.addresses.extend(
                    held.addresses.iter().filter(|(i, _)| offered.addresses.iter().all(|o| o.0 != *i)),
                );
                leases
                    .prefixes
                    .extend(held.prefixes.iter().filter(|(i, _)| offered.prefixes.iter().all(|o| o.0 != *i)));
                self.write_leases(out, &leases, true);
            }
            _ => self.write_leases(out, &held, true),
        }
    }

    /// The associations with these leases; `all` adds those without one, so that what is missing is asked for in the
    /// same message (RFC 9915 section 18.2.4). T1, T2 and lifetimes are 0: the client has no wish (sections 21.4, 21.6
    /// and 21.22).
    fn write_leases(&self, out: &mut Builder<'_>, leases: &Leases, all: bool) {
        if let Some(iaid) = self.config.ia_na {
            let addresses = leases.addresses.iter().filter(|(i, _)| *i == iaid);
            if all || addresses.clone().next().is_some() {
                out.ia_na(iaid, 0, 0, |out| {
                    for &(_, address) in addresses {
                        out.ia_address(address, 0, 0, |_| {});
                    }
                });
            }
        }
        for request in &self.config.ia_pd {
            let prefixes = leases.prefixes.iter().filter(|(i, _)| *i == request.iaid);
            let none = prefixes.clone().next().is_none();
            if all || !none {
                out.ia_pd(request.iaid, 0, 0, |out| {
                    for &(_, prefix) in prefixes {
                        out.ia_prefix(prefix, 0, 0, |_| {});
                    }
                    let hint = request.hinted().filter(|_| all && (none || self.hint_again));
                    if let Some(hint) = hint.filter(|hint| !leases.prefixes.contains(&(request.iaid, *hint)))
                    {
                        out.ia_prefix(hint, 0, 0, |_| {});
                    }
                });
            }
        }
    }
}
