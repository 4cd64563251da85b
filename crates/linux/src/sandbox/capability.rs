//! The capabilities of the calling thread (capabilities(7)).

use super::Error;
use std::{fmt, io};

/// A capability that sixgate has a use for; the numbers are those of linux/capability.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Capability {
    /// Give files to other users and groups.
    Chown = 0,
    /// Read and write files whatever their permissions.
    DacOverride = 1,
    /// Do to files what only their owners may.
    Fowner = 3,
    /// Send signals to processes of other users.
    Kill = 5,
    /// Take another group, and leave supplementary ones.
    Setgid = 6,
    /// Become another user.
    Setuid = 7,
    /// Bind ports below 1024.
    NetBindService = 10,
    /// Change interfaces, routes, and nftables.
    NetAdmin = 12,
    /// Open raw and packet sockets.
    NetRaw = 13,
    /// Look into processes that have more capabilities, such as for whose a socket is.
    SysPtrace = 19,
    /// Run threads before those of others.
    SysNice = 23,
}

/// Names of all capabilities of linux/capability.h, by number.
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// A set of capabilities. Printed as their names, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities(u64);

impl Capabilities {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// From a mask as in `/proc/PID/status`.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// As a mask, as in `/proc/PID/status`.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `capability` is one of them.
    pub const fn contains(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u8) != 0
    }

    /// The set with `capability`.
    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | (1 << capability as u8))
    }
}

impl<const N: usize> From<[Capability; N]> for Capabilities {
    fn from(capabilities: [Capability; N]) -> Self {
        capabilities.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for number in (0..u64::BITS).filter(|number| self.0 & (1 << number) != 0) {
            match NAMES.get(number as usize) {
                Some(name) => write!(f, "{separator}{name}")?,
                None => write!(f, "{separator}{number}")?,
            }
            separator = ",";
        }
        if self.is_empty() { f.write_str("none") } else { Ok(()) }
    }
}

/// `struct __user_cap_header_struct` of linux/capability.h.
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct` of linux/capability.h.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`: 64 capabilities, in two halves.
const VERSION: u32 = 0x2008_0522;
/// Number of the capability without which the bounding set cannot shrink.
const SETPCAP: u8 = 8;

/// Has the calling thread, and those it starts from now on, give up all capabilities but `kept`, and all ways to gain any:
/// inheritable, ambient and bounding sets are emptied and executing a program grants nothing (`PR_SET_NO_NEW_PRIVS`).
///
/// What the thread does not have is not granted, and no error: a container may have taken it away before. Hands back what
/// it has now.
///
/// # Errors
/// When the kernel refuses, which it has no reason to.
pub fn keep(kept: Capabilities) -> Result<Capabilities, Error> {
    let held = get().map_err(failed("read the capabilities of this thread"))?;
    // SAFETY: the call takes numbers alone.
    succeeded(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1_u64, 0_u64, 0_u64, 0_u64) })
        .map_err(failed("forbid new privileges"))?;
    // SAFETY: the call takes numbers alone.
    match succeeded(unsafe {
        libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as u64, 0_u64, 0_u64, 0_u64)
    }) {
        Ok(()) => {}
        // Before Linux 4.3 there is no such set.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
        Err(source) => return Err(Error::Capabilities { action: "empty the ambient capabilities", source }),
    }
    // Without CAP_SETPCAP the bounding set stays: with no new privileges and nothing inheritable nothing comes of it.
    if held.bits() & (1 << SETPCAP) != 0 {
        for number in 0..u64::from(u64::BITS) {
            // SAFETY: the call takes numbers alone.
            match succeeded(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0_u64, 0_u64, 0_u64) }) {
                Ok(()) => {}
                // The first number that this kernel does not know.
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => break,
                Err(source) => {
                    return Err(Error::Capabilities {
                        action: "shrink the bounding set of capabilities",
                        source,
                    });
                }
            }
        }
    }
    let left = Capabilities(held.0 & kept.0);
    set(left).map_err(failed("give up capabilities"))?;
    Ok(left)
}

fn failed(action: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Capabilities { action, source }
}

fn succeeded(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The permitted capabilities of the calling thread.
fn get() -> io::Result<Capabilities> {
    let mut header = Header { version: VERSION, pid: 0 };
    let mut data = [Data::default(); 2];
    // SAFETY: the kernel reads one header and, for this version, writes two data structures; both live until it returns.
    if unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let [low, high] = data;
    Ok(Capabilities(u64::from(low.permitted) | u64::from(high.permitted) << 32))
}

/// Sets permitted and effective capabilities of the calling thread; no others are inheritable.
fn set(capabilities: Capabilities) -> io::Result<()> {
    let mut header = Header { version: VERSION, pid: 0 };
    let half = |bits: u64| {
        let bits = (bits & 0xffff_ffff) as u32;
        Data { effective: bits, permitted: bits, inheritable: 0 }
    };
    let data = [half(capabilities.0), half(capabilities.0 >> 32)];
    // SAFETY: the kernel reads one header and, for this version, two data structures; both live until it returns.
    if unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let set = Capabilities::from([Capability::NetAdmin, Capability::Chown]);
        assert_eq!(set.to_string(), "chown,net_admin");
        assert_eq!(Capabilities::NONE.to_string(), "none");
        assert_eq!(Capabilities::from_bits(1 << 40 | 1 << 50).to_string(), "checkpoint_restore,50");
        assert!(set.contains(Capability::Chown) && !set.contains(Capability::NetRaw));
    }
}
