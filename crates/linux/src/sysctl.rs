//! The kernel's settings of interfaces below `/proc/sys/net/ipv6/conf`, typed, and put back when we leave; of IPv4 the one
//! that a translator needs.
//!
//! The files are those of the network namespace of the calling thread.

use std::path::PathBuf;
use std::{fmt, fs, io};

/// Root of the settings.
const ROOT: &str = "/proc/sys/net/ipv6/conf";
/// Root of those of IPv4.
const ROOT_V4: &str = "/proc/sys/net/ipv4/conf";

/// A setting of one interface, or of `all`, or of `default`. Meanings: the kernel's `ip-sysctl` document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Key {
    /// Accept router advertisements: 0 no, 1 unless forwarding, 2 always.
    AcceptRa,
    /// Learn default routers from advertisements.
    AcceptRaDefaultRouter,
    /// Learn prefixes from advertisements.
    AcceptRaPrefixInformation,
    /// Learn the link's MTU from advertisements.
    AcceptRaMtu,
    /// Longest prefix accepted in a Route Information Option (RFC 4191); 0 accepts only the default.
    AcceptRaRtInfoMaxPlen,
    /// Make addresses from advertised prefixes (SLAAC, RFC 4862).
    Autoconf,
    /// Forward packets, be a router. On `all`: see [`Saved::set`].
    Forwarding,
    /// Forward IPv4 packets. On `all`: see [`Saved::set`].
    ForwardingV4,
    /// Accept redirects over IPv4. Forwarding switches it.
    AcceptRedirectsV4,
    /// No IPv6 on this interface.
    DisableIpv6,
    /// Duplicate address detection: 0 off, 1 on, 2 on and disable IPv6 when the link-local address is taken.
    AcceptDad,
    /// How many Neighbor Solicitations duplicate address detection sends.
    DadTransmits,
    /// How interface identifiers are made: 0 EUI-64, 1 none, 2 stable privacy, 3 random (RFC 7217).
    AddrGenMode,
    /// Temporary addresses (RFC 8981): 0 no, 1 yes, 2 yes and preferred.
    UseTempaddr,
    /// Accept redirects.
    AcceptRedirects,
    /// Hop limit of what the host sends.
    HopLimit,
    /// IPv6's own MTU on the interface.
    Mtu,
    /// Keep addresses when the interface goes down.
    KeepAddrOnDown,
    /// Answer for addresses in the proxy table.
    ProxyNdp,
}

impl Key {
    /// The file's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::AcceptRa => "accept_ra",
            Self::AcceptRaDefaultRouter => "accept_ra_defrtr",
            Self::AcceptRaPrefixInformation => "accept_ra_pinfo",
            Self::AcceptRaMtu => "accept_ra_mtu",
            Self::AcceptRaRtInfoMaxPlen => "accept_ra_rt_info_max_plen",
            Self::Autoconf => "autoconf",
            Self::Forwarding | Self::ForwardingV4 => "forwarding",
            Self::DisableIpv6 => "disable_ipv6",
            Self::AcceptDad => "accept_dad",
            Self::DadTransmits => "dad_transmits",
            Self::AddrGenMode => "addr_gen_mode",
            Self::UseTempaddr => "use_tempaddr",
            Self::AcceptRedirects | Self::AcceptRedirectsV4 => "accept_redirects",
            Self::HopLimit => "hop_limit",
            Self::Mtu => "mtu",
            Self::KeepAddrOnDown => "keep_addr_on_down",
            Self::ProxyNdp => "proxy_ndp",
        }
    }
}

impl Key {
    /// Where the settings of all interfaces are.
    fn root(self) -> &'static str {
        if self.is_v4() { ROOT_V4 } else { ROOT }
    }

    fn is_v4(self) -> bool {
        matches!(self, Self::ForwardingV4 | Self::AcceptRedirectsV4)
    }
}

/// The setting as `sysctl` names it.
fn dotted(interface: &str, key: Key) -> String {
    let family = if key.is_v4() { "ipv4" } else { "ipv6" };
    format!("net.{family}.conf.{interface}.{key}")
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a setting cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a name that an interface can have.
    #[error("{0:?} is not the name of an interface: 1 to 15 bytes without '/' or white space")]
    Name(String),
    /// No such interface, or IPv6 is not compiled in or was disabled at boot.
    #[error(
        "{} does not exist: no interface {interface}, or a kernel without IPv6 (ipv6.disable=1)",
        dotted(interface, *key)
    )]
    Missing {
        /// The interface, `all` or `default`.
        interface: String,
        /// The setting.
        key: Key,
    },
    /// `/proc/sys` cannot be written here.
    #[error(
        "cannot set {0} to {value}: /proc/sys is read-only here, as in an unprivileged container; set it from outside \
         (docker run --sysctl {0}={value}) or run with --privileged",
        dotted(interface, *key)
    )]
    ReadOnly {
        /// The interface, `all` or `default`.
        interface: String,
        /// The setting.
        key: Key,
        /// What it should have become.
        value: i32,
    },
    /// The user may not.
    #[error("cannot set {} to {value}: {source}; run as root (CAP_NET_ADMIN)", dotted(interface, *key))]
    Refused {
        /// The interface, `all` or `default`.
        interface: String,
        /// The setting.
        key: Key,
        /// What it should have become.
        value: i32,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Anything else.
    #[error("cannot {action} {}: {source}", dotted(interface, *key))]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The interface, `all` or `default`.
        interface: String,
        /// The setting.
        key: Key,
        /// The kernel's answer.
        source: io::Error,
    },
}

fn path(interface: &str, key: Key) -> Result<PathBuf, Error> {
    let bad = |c: char| c == '/' || c.is_whitespace();
    if interface.is_empty()
        || interface.len() > 15
        || matches!(interface, "." | "..")
        || interface.contains(bad)
    {
        return Err(Error::Name(interface.to_owned()));
    }
    Ok(PathBuf::from(key.root()).join(interface).join(key.name()))
}

/// Reads a setting of an interface (or of `all`, or `default`).
pub fn get(interface: &str, key: Key) -> Result<i32, Error> {
    let text = fs::read_to_string(path(interface, key)?).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Error::Missing { interface: interface.to_owned(), key },
        _ => Error::Io { action: "read", interface: interface.to_owned(), key, source },
    })?;
    text.trim().parse().map_err(|_| Error::Io {
        action: "read",
        interface: interface.to_owned(),
        key,
        source: io::Error::other(format!("{text:?} is not a number")),
    })
}

/// Writes a setting for good; [`Saved::set`] is the one that puts it back.
pub fn set(interface: &str, key: Key, value: i32) -> Result<(), Error> {
    let name = || interface.to_owned();
    fs::write(path(interface, key)?, format!("{value}\n")).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Error::Missing { interface: name(), key },
        io::ErrorKind::ReadOnlyFilesystem => Error::ReadOnly { interface: name(), key, value },
        io::ErrorKind::PermissionDenied => Error::Refused { interface: name(), key, value, source },
        _ => Error::Io { action: "write", interface: name(), key, source },
    })
}

/// Remembers what settings were before it changed them, and puts them back, last first.
///
/// Put back by [`Saved::restore`], which tells errors, or on drop, which cannot. Both act on the network
/// namespace of the thread that calls.
#[derive(Debug, Default)]
pub struct Saved {
    /// Interface, setting, value before.
    before: Vec<(String, Key, i32)>,
}

impl Saved {
    /// Nothing changed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a value unless it is so already, and remembers the one before.
    ///
    /// Writing `all.forwarding` rewrites `forwarding` of `default` and of every interface, so these are remembered
    /// too; that of IPv4 rewrites `all.accept_redirects` besides. Turning forwarding on also makes interfaces with `accept_ra` 1 deaf to router advertisements (an
    /// uplink needs 2), and the kernel forgets the default routers that it had learnt from them.
    pub fn set(&mut self, interface: &str, key: Key, value: i32) -> Result<(), Error> {
        let before = get(interface, key)?;
        if before == value {
            return Ok(());
        }
        let mut remember = Vec::new();
        if interface == "all" && key == Key::ForwardingV4 {
            let redirects = get(interface, Key::AcceptRedirectsV4)?;
            remember.push((interface.to_owned(), Key::AcceptRedirectsV4, redirects));
        }
        if interface == "all" && matches!(key, Key::Forwarding | Key::ForwardingV4) {
            let entries = fs::read_dir(key.root()).map_err(|source| Error::Io {
                action: "read",
                interface: interface.to_owned(),
                key,
                source,
            })?;
            for name in
                entries.filter_map(Result::ok).filter_map(|entry| entry.file_name().into_string().ok())
            {
                if name != "all" {
                    match get(&name, key) {
                        Ok(old) => remember.push((name, key, old)),
                        // An interface that left meanwhile.
                        Err(Error::Missing { .. }) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        // Put back last first: first `all`, then each interface by its own value.
        remember.push((interface.to_owned(), key, before));
        set(interface, key, value)?;
        self.before.append(&mut remember);
        Ok(())
    }

    /// What was remembered: interface, setting and value before, the first change first.
    pub fn remembered(&self) -> &[(String, Key, i32)] {
        &self.before
    }

    /// Remembers, before everything else, what an earlier run that was killed had remembered: it is put back last.
    pub fn adopt(&mut self, mut earlier: Vec<(String, Key, i32)>) {
        earlier.append(&mut self.before);
        self.before = earlier;
    }

    /// Puts everything back. An interface that is gone is no error; of several errors the first is told, after
    /// all were tried.
    pub fn restore(mut self) -> Result<(), Error> {
        self.put_back()
    }

    fn put_back(&mut self) -> Result<(), Error> {
        let mut first = Ok(());
        while let Some((interface, key, before)) = self.before.pop() {
            let outcome = match get(&interface, key) {
                Ok(now) if now == before => Ok(()),
                Ok(_) => set(&interface, key, before),
                Err(error) => Err(error),
            };
            match outcome {
                Ok(()) | Err(Error::Missing { .. }) => {}
                Err(error) => first = first.and(Err(error)),
            }
        }
        first
    }
}

impl Drop for Saved {
    fn drop(&mut self) {
        // Nobody is left to tell; `restore` is for those who ask.
        let _ = self.put_back();
    }
}
