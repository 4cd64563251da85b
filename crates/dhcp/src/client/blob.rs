//! The durable form of a [`Binding`].
//!
//! One octet of version, then the fields in order: numbers big-endian, lists and octets behind a 16-bit count, an
//! optional value behind an octet of 0 or 1. A reader of a later version must go on reading version 1.

use super::binding::{Binding, BoundAddress, BoundPrefix, ReconfigureKey};
use ipnet::Ipv6Net;
use sixgate_wire::dhcpv6::Duid;
use std::net::Ipv6Addr;
use std::time::Duration;

const VERSION: u8 = 1;

/// Why octets are not a saved binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BindingError {
    /// Written by a version that is not known here.
    #[error(
        "the saved DHCPv6 client binding has version {0}, and this program reads version 1: remove it, and the client asks anew"
    )]
    Version(u8),
    /// Cut short, too long, or holding what cannot be.
    #[error("the saved DHCPv6 client binding is damaged at octet {0}: remove it, and the client asks anew")]
    Damaged(usize),
}

impl Binding {
    /// The form to keep across restarts. It holds the Reconfigure key: keep it from other users.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer(vec![VERSION]);
        out.octets(self.server.as_bytes());
        out.option(self.server_address, |out, address| out.put(&address.octets()));
        out.list(&self.addresses, |out, a| {
            out.u32(a.iaid);
            out.put(&a.address.octets());
            out.time(a.preferred_until);
            out.time(a.valid_until);
        });
        out.list(&self.prefixes, |out, p| {
            out.u32(p.iaid);
            out.net(p.prefix);
            out.option(p.excluded, Writer::net);
            out.time(p.preferred_until);
            out.time(p.valid_until);
        });
        out.time(self.t1);
        out.time(self.t2);
        out.list(&self.dns_servers, |out, address| out.put(&address.octets()));
        out.list(&self.domains, |out, name| out.octets(name.as_bytes()));
        out.list(&self.options, |out, (code, data)| {
            out.put(&code.to_be_bytes());
            out.octets(data);
        });
        out.time(self.refresh_at);
        out.option(self.sol_max_rt, Writer::u32);
        out.option(self.inf_max_rt, Writer::u32);
        out.option(self.reconfigure, |out, key| {
            out.put(&key.key);
            out.put(&key.replay.to_be_bytes());
        });
        out.0
    }

    /// Reads what [`Binding::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`BindingError`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BindingError> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => {
                let mut reader = Reader { rest };
                let damaged = |reader: &Reader<'_>| BindingError::Damaged(bytes.len() - reader.rest.len());
                let Some(binding) = reader.binding() else { return Err(damaged(&reader)) };
                if reader.rest.is_empty() { Ok(binding) } else { Err(damaged(&reader)) }
            }
            Some((&version, _)) => Err(BindingError::Version(version)),
            None => Err(BindingError::Damaged(0)),
        }
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn put(&mut self, octets: &[u8]) {
        self.0.extend_from_slice(octets);
    }

    fn u32(&mut self, value: u32) {
        self.put(&value.to_be_bytes());
    }

    fn time(&mut self, time: Duration) {
        self.put(&time.as_secs().to_be_bytes());
        self.u32(time.subsec_nanos());
    }

    fn net(&mut self, net: Ipv6Net) {
        self.put(&[net.prefix_len()]);
        self.put(&net.addr().octets());
    }

    fn octets(&mut self, octets: &[u8]) {
        // What a binding holds came in options of at most 65,535 octets.
        let octets = octets.get(..usize::from(u16::MAX)).unwrap_or(octets);
        self.put(&u16::try_from(octets.len()).unwrap_or(u16::MAX).to_be_bytes());
        self.put(octets);
    }

    fn list<T>(&mut self, items: &[T], mut each: impl FnMut(&mut Self, &T)) {
        let items = items.get(..usize::from(u16::MAX)).unwrap_or(items);
        self.put(&u16::try_from(items.len()).unwrap_or(u16::MAX).to_be_bytes());
        for item in items {
            each(self, item);
        }
    }

    fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.put(&[u8::from(value.is_some())]);
        if let Some(value) = value {
            write(self, value);
        }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn binding(&mut self) -> Option<Binding> {
        Some(Binding {
            server: Duid::new(self.octets()?).ok()?,
            server_address: self.option(Self::address)?,
            addresses: self.list(|r| {
                Some(BoundAddress {
                    iaid: r.u32()?,
                    address: r.address()?,
                    preferred_until: r.time()?,
                    valid_until: r.time()?,
                })
            })?,
            prefixes: self.list(|r| {
                Some(BoundPrefix {
                    iaid: r.u32()?,
                    prefix: r.net()?,
                    excluded: r.option(Self::net)?,
                    preferred_until: r.time()?,
                    valid_until: r.time()?,
                })
            })?,
            t1: self.time()?,
            t2: self.time()?,
            dns_servers: self.list(Self::address)?,
            domains: self.list(|r| String::from_utf8(r.octets()?.to_vec()).ok())?,
            options: self.list(|r| Some((u16::from_be_bytes(r.take()?), r.octets()?.to_vec())))?,
            refresh_at: self.time()?,
            sol_max_rt: self.option(Self::u32)?,
            inf_max_rt: self.option(Self::u32)?,
            reconfigure: self
                .option(|r| Some(ReconfigureKey { key: r.take()?, replay: u64::from_be_bytes(r.take()?) }))?,
        })
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn time(&mut self) -> Option<Duration> {
        let seconds = self.take().map(u64::from_be_bytes)?;
        // More nanoseconds than a second has would carry, and could overflow.
        self.u32().filter(|&nanos| nanos < 1_000_000_000).map(|nanos| Duration::new(seconds, nanos))
    }

    fn address(&mut self) -> Option<Ipv6Addr> {
        self.take::<16>().map(Ipv6Addr::from)
    }

    fn net(&mut self) -> Option<Ipv6Net> {
        let [length] = self.take()?;
        Ipv6Net::new(self.address()?, length).ok()
    }

    fn octets(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.take().map(u16::from_be_bytes)?);
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn list<T>(&mut self, mut each: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.take().map(u16::from_be_bytes)?;
        // Not reserved in advance: the count is not to be trusted before the items are there.
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(each(self)?);
        }
        Some(items)
    }

    /// Outside: whether it could be read. Inside: whether it is there.
    #[expect(clippy::option_option, reason = "the two mean different things")]
    fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.take()? {
            [0] => Some(None),
            [1] => read(self).map(Some),
            _ => None,
        }
    }
}
