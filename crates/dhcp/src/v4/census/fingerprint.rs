//! What kind of client it is, by how it asks rather than by who made its network card.

use sixgate_wire::dhcpv4::{Message, OptionCode};
use std::fmt;

/// Codes of a Parameter Request List that are kept.
const MAX_CODES: usize = 48;
/// Characters of a vendor class that are kept.
const MAX_VENDOR: usize = 32;

/// Parts of names that systems give themselves, and nobody else: what is left of a name says what, not whose.
const NAMES: [&str; 14] = [
    "android",
    "iphone",
    "ipad",
    "macbook",
    "imac",
    "apple-watch",
    "appletv",
    "desktop-",
    "laptop-",
    "galaxy",
    "pixel",
    "chromebook",
    "printer",
    "esp",
];

/// How a client asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Fingerprint {
    /// The Parameter Request List, in the client's order.
    pub requested: Vec<u8>,
    /// The vendor class up to its first colon: behind it, some clients tell the machine they run on.
    pub vendor: Option<String>,
    /// Which of the names that systems give themselves the host name has in it.
    pub name: Option<&'static str>,
}

/// The families of systems that can be told apart well enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// iOS, macOS and their like.
    Apple,
    /// Android and ChromeOS.
    Android,
    /// Windows.
    Windows,
    /// Linux with one of its usual clients.
    Linux,
    /// A small system: a printer, a camera, a thing.
    Embedded,
    /// None of those.
    Unknown,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Apple, Self::Android, Self::Windows, Self::Linux, Self::Embedded, Self::Unknown];

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Apple => "Apple",
            Self::Android => "Android",
            Self::Windows => "Windows",
            Self::Linux => "Linux",
            Self::Embedded => "embedded",
            Self::Unknown => "unknown",
        }
    }
}

impl Fingerprint {
    /// What a client's message tells.
    pub fn read(message: &Message<'_>) -> Self {
        let options = message.options();
        let requested: Vec<u8> = options.requested().iter().map(|code| code.0).take(MAX_CODES).collect();
        let vendor = options.text(OptionCode::VENDOR_CLASS).and_then(|text| {
            let family: String = masked(text.split(':').next()?).chars().take(MAX_VENDOR).collect();
            (!family.is_empty()).then_some(family)
        });
        let host = options.text(OptionCode::HOST_NAME).unwrap_or_default().to_ascii_lowercase();
        Self { requested, vendor, name: NAMES.into_iter().find(|name| host.contains(name)) }
    }

    /// What `Display` wrote.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let (codes, rest) = text.split_once('|')?;
        let (vendor, name) = rest.rsplit_once('|')?;
        let codes: Option<Vec<u8>> =
            codes.split(',').filter(|code| !code.is_empty()).map(|code| code.parse().ok()).collect();
        let mut requested = codes?;
        requested.truncate(MAX_CODES);
        let vendor: String = vendor.chars().take(MAX_VENDOR).collect();
        let name = NAMES.into_iter().find(|known| *known == name);
        Some(Self { requested, vendor: (!vendor.is_empty()).then_some(vendor), name })
    }

    /// Whether it says that it can live without IPv4.
    pub fn asks_v6only(&self) -> bool {
        self.requested.contains(&OptionCode::IPV6_ONLY_PREFERRED.0)
    }

    /// The family, by the vendor class first, which is said on purpose; then by the order of what is asked
    /// for.
    pub fn family(&self) -> Family {
        let vendor = self.vendor.as_deref().unwrap_or_default();
        for (prefix, family) in [
            ("MSFT", Family::Windows),
            ("android-dhcp", Family::Android),
            ("dhcpcd", Family::Linux),
            ("systemd", Family::Linux),
            ("udhcp", Family::Embedded),
        ] {
            if vendor.starts_with(prefix) {
                return family;
            }
        }
        match &self.requested[..] {
            // iOS and macOS, since and before they ask for 108 and 114.
            [1, 121, 3, 6, 15, 108 | 114 | 119, ..] => Family::Apple,
            // NetworkManager, and dhclient as Debian configures it.
            [1, 28, 2, ..] | [1, 2, 6, 12, 15, 26, 28, 121, ..] => Family::Linux,
            _ => match self.name {
                Some("iphone" | "ipad" | "macbook" | "imac" | "apple-watch" | "appletv") => Family::Apple,
                Some("android" | "galaxy" | "pixel" | "chromebook") => Family::Android,
                Some("desktop-" | "laptop-") => Family::Windows,
                Some("printer" | "esp") => Family::Embedded,
                _ => Family::Unknown,
            },
        }
    }
}

/// Text without what may be a serial number or a hardware address: six or more hexadecimal digits in a row, one of
/// them from 0 to 9.
fn masked(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
        let (run, after) = rest.split_at(if end == 0 { first.len_utf8() } else { end });
        let number = end >= 6 && run.bytes().any(|octet| octet.is_ascii_digit());
        out.push_str(if number { "#" } else { run });
        rest = after;
    }
    out
}

impl fmt::Display for Fingerprint {
    /// The codes with commas, then the vendor class and the name where there are such, with bars between.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, code) in self.requested.iter().enumerate() {
            write!(f, "{}{code}", if i > 0 { "," } else { "" })?;
        }
        write!(f, "|{}|{}", self.vendor.as_deref().unwrap_or_default(), self.name.unwrap_or_default())
    }
}
