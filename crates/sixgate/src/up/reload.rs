//! SIGHUP: the configuration is read again. What can change while running changes; leases are not touched.

use super::engine::Engine;
use super::health::Probing;
use super::problems::Matter;
use crate::config::Config;
use sixgate_dns::Dns64;
use sixgate_endpoint::nat64::Prefix;

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
        let told_anew = written(&self.config) != written(&checked.config);
        let probed_anew = self.config.health != checked.config.health;
        let before = std::mem::replace(&mut self.config, checked.config);
        if probed_anew {
            self.health = Probing::new(self.now(), &self.config, self.upstreams.events());
        }
        self.reload_rates();
        self.problems.settled(&Matter::Configuration);
        self.set_policy();
        self.set_hosts();
        if told_anew {
            // What was written holds no longer, whether the ISP is there or not.
            self.forwarder.set_dns64(None);
        }
        self.set_dns64();
        self.set_census();
        if let Some(desk) = &mut self.leasequery {
            desk.core.set_from(self.config.leasequery.clone());
        }
        self.reload_v4();
        self.reload_remote(&before);
        self.queries.set_limited(self.config.dns.rate_limit);
        self.set_dnssec();
        self.changed = true;
        tracing::info!(file = %path.display(), "configuration reloaded");
        Ok(())
    }

    /// Gives queues the rates that are written now.
    fn reload_rates(&mut self) {
        let mut refused = Vec::new();
        for setup in crate::shape::wanted(&self.config) {
            let mut queues = self.shaping.iter_mut();
            let Some(shaping) = queues.find(|shaping| shaping.interface() == setup.interface) else {
                continue;
            };
            if let Err(error) = shaping.set_rates(setup.plan) {
                refused.push(format!("{}: {error}", setup.interface));
            }
        }
        self.problems.replace(Matter::Shape, refused);
    }

    /// The NAT64's prefix in which names get addresses: what is written, else the ISP's. Its own DNS64 makes none for one who
    /// validates (RFC 6147 section 5.5).
    pub(crate) fn dns64(&self) -> Option<Prefix> {
        self.config.dns.dns64.or_else(|| self.plat())
    }

    /// Gives that prefix to DNS, and to the census, which judges by it what DNS told.
    pub(crate) fn set_dns64(&mut self) {
        let prefix = self.dns64();
        // A cable that is out takes no NAT64 away, nor does one that is in again until the ISP's router has said something; and
        // another prefix would cost all that the cache holds, twice.
        if prefix.is_none() && self.uplink.as_ref().is_some_and(|uplink| !uplink.has_default_route()) {
            return;
        }
        self.forwarder.set_dns64(prefix.map(Dns64::new));
        self.set_census_dns64(prefix);
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

/// Prefixes of a NAT64 that the configuration writes down.
fn written(config: &Config) -> (Option<Prefix>, Option<Prefix>) {
    (config.dns.dns64, config.ipv4.as_ref().and_then(|ipv4| ipv4.pref64))
}
