//! How things were before `up` changed them, as settings in the store: after a `kill -9` or a power failure the next run still
//! knows what to put back when it stops.

use super::kernel::AddressKey;
use sixgate_linux::sysctl::Key;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Setting that holds [`Before`].
pub(crate) const SETTING: &str = "before";
/// Setting that holds the resolv.conf.
pub(crate) const RESOLV_CONF: &str = "before.resolv-conf";

/// Setting that holds the addresses that `up` added.
pub(crate) const ADDRESSES: &str = "before.addresses";

/// Settings that `up` changes.
const KEYS: [Key; 5] =
    [Key::AcceptRa, Key::DisableIpv6, Key::Forwarding, Key::ForwardingV4, Key::AcceptRedirectsV4];

/// What holds until the machine boots anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Before {
    /// Interface, setting, value; the first was changed first.
    pub(crate) sysctls: Vec<(String, Key, i32)>,
    /// Links that were down, by number and name.
    pub(crate) raised: Vec<(u32, String)>,
}

impl Before {
    /// `epoch` is [`epoch`]'s.
    pub(crate) fn encode(&self, epoch: &str) -> Vec<u8> {
        let mut text = format!("{epoch}\n");
        for (interface, key, value) in &self.sysctls {
            let _ = writeln!(text, "sysctl {interface} {} {value}", word(*key));
        }
        for (index, name) in &self.raised {
            let _ = writeln!(text, "raised {index} {name}");
        }
        text.into_bytes()
    }

    /// What [`Before::encode`] wrote, if it was in this epoch: a machine that booted since has other settings of its own.
    pub(crate) fn decode(record: &[u8], epoch: &str) -> Self {
        let text = String::from_utf8_lossy(record);
        let mut lines = text.lines();
        let mut before = Self::default();
        if lines.next() != Some(epoch) {
            return before;
        }
        for line in lines {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["sysctl", interface, key, value] => {
                    let key = KEYS.into_iter().find(|known| word(*known) == key);
                    if let (Some(key), Ok(value)) = (key, value.parse()) {
                        before.sysctls.push((interface.to_owned(), key, value));
                    }
                }
                ["raised", index, name] => {
                    before.raised.extend(index.parse().ok().map(|index| (index, name.to_owned())));
                }
                _ => {}
            }
        }
        before
    }
}

/// The word for a setting; the kernel's names say nothing of the family.
fn word(key: Key) -> &'static str {
    match key {
        Key::ForwardingV4 => "forwarding-ipv4",
        Key::AcceptRedirectsV4 => "accept-redirects-ipv4",
        key => key.name(),
    }
}

/// Addresses that are ours, to be taken away by the next run if this one cannot.
pub(crate) fn encode_addresses(addresses: impl Iterator<Item = (AddressKey, u8)>, epoch: &str) -> Vec<u8> {
    let mut text = format!("{epoch}\n");
    for (key, length) in addresses {
        let _ = writeln!(text, "{} {} {length}", key.interface, key.address);
    }
    text.into_bytes()
}

/// What [`encode_addresses`] wrote, if it was in this epoch.
pub(crate) fn decode_addresses(record: &[u8], epoch: &str) -> Vec<(AddressKey, u8)> {
    let text = String::from_utf8_lossy(record);
    let mut lines = text.lines();
    if lines.next() != Some(epoch) {
        return Vec::new();
    }
    let address = |line: &str| match line.split(' ').collect::<Vec<_>>()[..] {
        [interface, address, length] => {
            let key = AddressKey { interface: interface.parse().ok()?, address: address.parse().ok()? };
            Some((key, length.parse().ok().filter(|length| *length <= 128)?))
        }
        _ => None,
    };
    lines.filter_map(address).collect()
}

/// This boot of the machine and this network namespace, as one line: what the kernel holds lives as long.
pub(crate) fn epoch() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let network = std::fs::read_link("/proc/thread-self/ns/net").unwrap_or_default();
    format!("{} {}", boot.trim(), network.display())
}

/// A resolv.conf as it was; `None` where there was none.
pub(crate) fn encode_resolv_conf(path: &Path, text: Option<&[u8]>) -> Vec<u8> {
    let mut record = path.as_os_str().as_encoded_bytes().to_vec();
    record.push(0);
    if let Some(text) = text {
        record.push(1);
        record.extend_from_slice(text);
    }
    record
}

/// What [`encode_resolv_conf`] wrote.
pub(crate) fn decode_resolv_conf(record: &[u8]) -> Option<(PathBuf, Option<Vec<u8>>)> {
    use std::os::unix::ffi::OsStrExt as _;
    let end = record.iter().position(|octet| *octet == 0)?;
    let (path, rest) = record.split_at(end);
    let text = match rest.get(1..) {
        Some([1, text @ ..]) => Some(text.to_vec()),
        _ => None,
    };
    Some((Path::new(std::ffi::OsStr::from_bytes(path)).to_owned(), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_within_one_boot_only() {
        let before = Before {
            sysctls: vec![
                ("all".into(), Key::Forwarding, 0),
                ("all".into(), Key::ForwardingV4, 0),
                ("eth0".into(), Key::AcceptRa, 1),
            ],
            raised: vec![(3, "lan0".into())],
        };
        let record = before.encode("boot-1 net:[1]");
        assert_eq!(Before::decode(&record, "boot-1 net:[1]"), before);
        assert_eq!(Before::decode(&record, "boot-2 net:[1]"), Before::default());
        assert_eq!(
            Before::decode(b"boot-1\nsysctl all mtu 1\nraised x y\nsysctl\n\xff", "boot-1"),
            Before::default()
        );
    }

    #[test]
    fn addresses_come_back_within_one_boot_only() {
        let key = AddressKey { interface: 3, address: "2001:db8::1".parse().unwrap() };
        let record = encode_addresses([(key, 64)].into_iter(), "boot-1");
        assert_eq!(decode_addresses(&record, "boot-1"), [(key, 64)]);
        assert!(decode_addresses(&record, "boot-2").is_empty());
        assert!(decode_addresses(b"boot-1\n3 x 64\n3 ::1 129\n3 ::1\n", "boot-1").is_empty());
    }

    #[test]
    fn a_resolv_conf_comes_back_and_so_does_its_absence() {
        let path = Path::new("/etc/resolv.conf");
        for text in [None, Some(&b""[..]), Some(b"nameserver ::1\n\0")] {
            let decoded = decode_resolv_conf(&encode_resolv_conf(path, text)).unwrap();
            assert_eq!((decoded.0.as_path(), decoded.1.as_deref()), (path, text));
        }
        assert_eq!(decode_resolv_conf(b"garbage"), None);
    }
}
