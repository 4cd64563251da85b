//! SIGHUP: the configuration is read again. What can change while running changes; leases are not touched.

use super::engine::Engine;
use super::health::Probing;
use super::problems::Matter;
use crate::config::Config;
use sixgate_dns::Dns64;

impl Engine {
    /// Reads the configuration again and takes it over, or says why not and goes on with the old one.
    ///
    /// # Errors
    /// Why not, as a sentence.
    pub(crate) fn reload(&mut self) -> Result<(), String> {
        let path = self.config.path.clone();
        let checked = match Config::load(&path) {
            Ok(checked) => checked,
            Err(findings) => {
                crate::show(&findings);
                tracing::error!(file = %path.display(), "the configuration has mistakes: the old one stays");
                let sentence = format!(
                    "{} has mistakes, so the configuration read before stays; see `sixgate check`, then send SIGHUP again",
                    path.display()
                );
                self.problems.put(Matter::Configuration, sentence.clone());
                return Err(sentence);
            }
        };
        let keys = self.config.needs_restart(&checked.config);
        if !keys.is_empty() {
            let keys = keys.join(", ");
            tracing::error!(keys, "these keys need a restart: the old configuration stays");
            let sentence = format!(
                "{} changes {keys}, which needs a restart of sixgate; the configuration read before stays",
                path.display()
            );
            self.problems.put(Matter::Configuration, sentence.clone());
            return Err(sentence);
        }
        crate::show(&checked.warnings);
        for (lan, new) in self.lans.iter_mut().zip(&checked.config.lans) {
            lan.config = new.clone();
        }
        let probed_anew = self.config.health != checked.config.health;
        self.config = checked.config;
        if probed_anew {
            self.health = Probing::new(self.now(), &self.config, self.upstreams.events());
        }
        self.problems.settled(&Matter::Configuration);
        self.set_hosts();
        self.set_dns64();
        self.set_census();
        self.reload_v4();
        self.queries.set_limited(self.config.dns.rate_limit);
        self.set_dnssec();
        self.changed = true;
        tracing::info!(file = %path.display(), "configuration reloaded");
        Ok(())
    }

    /// Gives the NAT64's prefix to DNS.
    pub(crate) fn set_dns64(&mut self) {
        self.forwarder.set_dns64(self.config.dns.dns64.map(Dns64::new));
    }

    /// Gives the names that the configuration writes down to DNS.
    pub(crate) fn set_hosts(&mut self) {
        let hosts =
            self.config.dns.hosts.iter().map(|(name, addresses)| (name.as_str(), addresses.as_slice()));
        if let Err(error) = self.names.set_hosts(hosts) {
            tracing::error!(%error, "dns.hosts");
            self.problems.put(Matter::Hosts, error.to_string());
        } else {
            self.problems.settled(&Matter::Hosts);
        }
    }
}
