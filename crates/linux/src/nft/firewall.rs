//! The firewall as its user sees it: apply, count, verify, remove.

use std::collections::BTreeSet;

use ipnet::{Ipv4Net, Ipv6Net};

use super::encode::{Attributes, Batch, NF_ACCEPT, OBJECT_COUNTER, Step, attribute, flag, message};
use super::socket::{Netlink, Reply};
use super::{Error, rules};

/// The name of our table, of family `inet`: IPv4 on the uplink must not reach us either.
pub const TABLE: &str = "sixgate";

/// The longest interface name (`IFNAMSIZ` less the zero), in bytes.
const INTERFACE_NAME: usize = 15;

/// What the firewall has to know. Interfaces not named here are left alone, in either direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirewallConfig {
    /// Name of the interface towards the provider; without one only the LANs' sources are checked.
    pub uplink: Option<String>,
    /// The prefixes delegated to us, whole. From the WAN they are forged as a source; if they are unique local
    /// (a laboratory's), they may leave by the uplink. The LANs' prefixes need not be repeated.
    pub delegated: Vec<Ipv6Net>,
    /// The LANs.
    pub lans: Vec<LanRules>,
    /// Whom the DHCPv6 relay agent hears from the provider's side.
    pub relay: Option<RelayRules>,
    /// IPv4 from these sources leaves with the address of the interface that it leaves by (NAT44).
    pub masquerade: Option<Ipv4Net>,
    /// What becomes of the LANs' IPv4.
    pub lan_ipv4: LanIpv4,
    /// Name of the interface behind which IPv4 becomes IPv6: TCP's maximum segment size follows its MTU.
    pub island: Option<String>,
}

/// What becomes of the LANs' IPv4. What comes from the uplink is default deny in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LanIpv4 {
    /// It is left alone.
    #[default]
    Unmanaged,
    /// Sources are checked as those of IPv6 are (BCP 38), and none leaves by the uplink.
    Inside,
    /// Sources are checked, and what leaves by the uplink leaves with its address (NAT44).
    Masqueraded,
}

/// DHCPv6 servers beyond the uplink. Their answers would pass as such; what they begin (Reconfigure) and what they answer late would not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayRules {
    /// Our UDP port towards them.
    pub port: u16,
    /// Their addresses; `::/0` where they are a group, of which nobody knows who answers.
    pub servers: Vec<Ipv6Net>,
}

/// What packets from one LAN may look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanRules {
    /// Name of the interface.
    pub interface: String,
    /// Sources that this LAN may use (BCP 38): its own prefixes, global and unique local, and those delegated
    /// to routers on it. Link-local ones are understood.
    pub prefixes: Vec<Ipv6Net>,
    /// Of those, the ones delegated to routers: what one of these routers sends to its own prefix is not sent back to it.
    pub delegated: Vec<Ipv6Net>,
    /// The same as `prefixes` for IPv4, where it is managed.
    pub prefixes_v4: Vec<Ipv4Net>,
}

/// A named counter, counted since the table was first made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// For example `wan-input-dropped` or `spoofed-lan0`.
    pub name: String,
    /// How many packets.
    pub packets: u64,
    /// How many bytes, from the IP header on.
    pub bytes: u64,
}

/// The table `inet sixgate` in the network namespace in which [`Firewall::open`] was called.
///
/// Dropping it leaves the table in force: a gateway whose program died stays closed. [`Firewall::remove`]
/// takes it away.
#[derive(Debug)]
pub struct Firewall {
    netlink: Netlink,
    /// How many rules were last applied, for [`Firewall::verify`].
    applied: Option<usize>,
    /// The chains that were last applied.
    wanted: Vec<&'static rules::Chain>,
}

impl Firewall {
    /// Opens the way to the kernel; changes nothing.
    ///
    /// # Errors
    /// When the kernel has no netfilter netlink.
    pub fn open() -> Result<Self, Error> {
        Ok(Self { netlink: Netlink::open()?, applied: None, wanted: Vec::new() })
    }

    /// Makes the kernel's rules those of `config`, all at once: no packet sees half of them, and on error the
    /// old ones stay. Counters that are still wanted keep their values.
    ///
    /// # Errors
    /// [`Error::Interface`] for names no interface can have or that appear twice, otherwise what the kernel
    /// says, naming the rule.
    pub fn apply(&mut self, config: &FirewallConfig) -> Result<(), Error> {
        check(config)?;
        let counters = rules::counters(config);
        let rules = rules::rules(config);
        let chains = self.chains()?;
        // A table that is not as we make it (an older version's): start afresh, in the same transaction.
        let wanted: Vec<_> = rules::chains(config).collect();
        let afresh = chains.iter().any(|found| !wanted.iter().any(|chain| found.is(chain)));
        let old = if afresh { Vec::new() } else { self.counters()? };

        let mut batch = Batch::new();
        batch.push(message::NEWTABLE, flag::CREATE, &table(), step("add the table"));
        if afresh {
            batch.push(message::DELTABLE, 0, &table(), step("delete the table of another version"));
            batch.push(message::NEWTABLE, flag::CREATE, &table(), step("add the table"));
        }
        for name in &counters {
            let attributes = Attributes::default()
                .string(attribute::OBJECT_TABLE, TABLE)
                .string(attribute::OBJECT_NAME, name)
                .u32(attribute::OBJECT_TYPE, OBJECT_COUNTER)
                .nested(attribute::OBJECT_DATA, &Attributes::default());
            let step = step(format!("add counter {name}"));
            batch.push(message::NEWOBJ, flag::CREATE, &attributes, step);
        }
        for chain in &wanted {
            let mut attributes = Attributes::default()
                .string(attribute::CHAIN_TABLE, TABLE)
                .string(attribute::CHAIN_NAME, chain.name);
            if let Some((number, priority)) = chain.hook {
                let hook = Attributes::default()
                    .u32(attribute::HOOK_NUMBER, number)
                    .u32(attribute::HOOK_PRIORITY, priority.cast_unsigned());
                attributes = attributes
                    .nested(attribute::CHAIN_HOOK, &hook)
                    .u32(attribute::CHAIN_POLICY, NF_ACCEPT)
                    .string(attribute::CHAIN_TYPE, chain.kind());
            }
            let step = step(format!("add chain {}", chain.name));
            batch.push(message::NEWCHAIN, flag::CREATE, &attributes, step);
        }
        let all_rules = Attributes::default().string(attribute::RULE_TABLE, TABLE);
        batch.push(message::DELRULE, 0, &all_rules, step("flush the rules"));
        // After their rules: a counter in use cannot be deleted.
        for counter in old.iter().filter(|counter| !counters.contains(&counter.name)) {
            let attributes = Attributes::default()
                .string(attribute::OBJECT_TABLE, TABLE)
                .string(attribute::OBJECT_NAME, &counter.name)
                .u32(attribute::OBJECT_TYPE, OBJECT_COUNTER);
            batch.push(message::DELOBJ, 0, &attributes, step(format!("delete counter {}", counter.name)));
        }
        for rule in &rules {
            rule.push(&mut batch, TABLE);
        }
        self.netlink.commit(batch)?;
        self.applied = Some(rules.len());
        self.wanted = wanted;
        Ok(())
    }

    /// All counters, in the order in which the kernel has them. Empty when there is no table.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn counters(&mut self) -> Result<Vec<Counter>, Error> {
        let attributes = Attributes::default()
            .string(attribute::OBJECT_TABLE, TABLE)
            .u32(attribute::OBJECT_TYPE, OBJECT_COUNTER);
        let objects = self.netlink.dump(message::GETOBJ, &attributes, "read the counters")?;
        Ok(objects.iter().filter_map(counter).collect())
    }

    /// Looks whether table, chains and rules are still there as last applied; something else on this machine
    /// may have flushed them.
    ///
    /// # Errors
    /// [`Error::Gone`] names what is missing; otherwise what the kernel says.
    pub fn verify(&mut self) -> Result<(), Error> {
        let found = self.chains()?;
        if found.is_empty() {
            return Err(Error::Gone { what: format!("table inet {TABLE}") });
        }
        for chain in &self.wanted {
            if !found.iter().any(|found| found.is(chain)) {
                return Err(Error::Gone { what: format!("chain {} of table inet {TABLE}", chain.name) });
            }
        }
        let attributes = Attributes::default().string(attribute::RULE_TABLE, TABLE);
        let rules = self.netlink.dump(message::GETRULE, &attributes, "read the rules")?;
        let there =
            rules.iter().filter(|rule| rule.string(attribute::RULE_TABLE).as_deref() == Some(TABLE)).count();
        match self.applied {
            Some(applied) if applied != there => Err(Error::Gone {
                what: format!("a rule of table inet {TABLE} ({there} of {applied} are there)"),
            }),
            _ => Ok(()),
        }
    }

    /// Deletes our table with everything in it. None there is fine.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn remove(&mut self) -> Result<(), Error> {
        let mut batch = Batch::new();
        // Adding first makes the deletion right in either case, without a look that could be out of date.
        batch.push(message::NEWTABLE, flag::CREATE, &table(), step("add the table"));
        batch.push(message::DELTABLE, 0, &table(), step("delete the table"));
        self.netlink.commit(batch)?;
        self.applied = None;
        Ok(())
    }

    /// The chains of our table.
    fn chains(&mut self) -> Result<Vec<Found>, Error> {
        let attributes = Attributes::default().string(attribute::CHAIN_TABLE, TABLE);
        let chains = self.netlink.dump(message::GETCHAIN, &attributes, "read the chains")?;
        // Older kernels know no filter for chains and send those of every table.
        Ok(chains
            .iter()
            .filter(|chain| chain.string(attribute::CHAIN_TABLE).as_deref() == Some(TABLE))
            .map(|chain| {
                let hook = chain.nested(attribute::CHAIN_HOOK);
                let number = hook.as_ref().and_then(|hook| hook.u32(attribute::HOOK_NUMBER));
                let priority = hook.as_ref().and_then(|hook| hook.u32(attribute::HOOK_PRIORITY));
                Found {
                    name: chain.string(attribute::CHAIN_NAME).unwrap_or_default(),
                    hook: number.zip(priority.map(u32::cast_signed)),
                }
            })
            .collect())
    }
}

/// A chain as the kernel has it.
struct Found {
    name: String,
    hook: Option<(u32, i32)>,
}

impl Found {
    fn is(&self, chain: &rules::Chain) -> bool {
        self.name == chain.name && self.hook == chain.hook
    }
}

fn table() -> Attributes {
    Attributes::default().string(attribute::TABLE_NAME, TABLE)
}

fn step(name: impl Into<String>) -> Step {
    Step { name: name.into(), modules: Vec::new() }
}

fn counter(object: &Reply) -> Option<Counter> {
    // Older kernels know no filter for objects.
    if object.string(attribute::OBJECT_TABLE)? != TABLE
        || object.u32(attribute::OBJECT_TYPE)? != OBJECT_COUNTER
    {
        return None;
    }
    let data = object.nested(attribute::OBJECT_DATA)?;
    Some(Counter {
        name: object.string(attribute::OBJECT_NAME)?,
        packets: data.u64(attribute::COUNTER_PACKETS)?,
        bytes: data.u64(attribute::COUNTER_BYTES)?,
    })
}

/// Names must be ones that an interface can have, and each plays one part only.
fn check(config: &FirewallConfig) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for name in config.uplink.iter().chain(config.lans.iter().map(|lan| &lan.interface)) {
        check_interface(name)?;
        if !seen.insert(name) {
            return Err(Error::Interface { name: name.clone(), reason: "it is named twice" });
        }
    }
    Ok(())
}

/// A name that an interface can have.
pub(super) fn check_interface(name: &str) -> Result<(), Error> {
    let reason = if name.is_empty() {
        "it is empty"
    } else if name.len() > INTERFACE_NAME {
        "it is longer than 15 bytes"
    } else if name.bytes().any(|byte| byte == 0 || byte == b'/' || byte.is_ascii_whitespace()) {
        "it has a character that interface names cannot have"
    } else {
        return Ok(());
    };
    Err(Error::Interface { name: name.to_owned(), reason })
}
