//! Transaction signatures (RFC 8945) with HMAC-SHA256.

use super::message::{ANY, HEADER, TSIG, push_record};
use super::name::Name;
use crate::dnssec::anchor;
use ring::hmac;
use std::fmt;

/// Seconds by which the clocks of both sides may differ (RFC 8945 section 10).
const FUDGE: u16 = 300;
/// hmac-sha256 (RFC 8945 section 6), in wire format.
const ALGORITHM: &[u8] = b"\x0bhmac-sha256\0";
/// Octets of its MAC.
const MAC: usize = 32;
/// Octets of the shortest secret that is taken without complaint: shorter ones can be guessed (RFC 8945 section 8).
const SHORTEST: usize = 16;

/// A key that both sides know.
#[derive(Clone)]
pub struct Key {
    name: Name,
    secret: hmac::Key,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.name)
    }
}

impl PartialEq for Key {
    /// Whether they sign alike.
    fn eq(&self, other: &Self) -> bool {
        let sign = |key: &Self| hmac::sign(&key.secret, &[]);
        self.name == other.name && sign(self).as_ref() == sign(other).as_ref()
    }
}

/// Why the text of a key file is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It has another form.
    #[error(
        "it is no key file: write key \"NAME\" {{ algorithm hmac-sha256; secret \"BASE64\"; }}; as tsig-keygen does"
    )]
    Form,
    /// The key's name is none.
    #[error("the key's name is no domain name")]
    Name,
    /// Its algorithm is another one.
    #[error("the key's algorithm is not hmac-sha256")]
    Algorithm,
    /// Its secret is not base64.
    #[error("the key's secret is not base64")]
    Secret,
    /// Its secret is too short to be one.
    #[error("the key's secret has fewer than {SHORTEST} octets and could be guessed")]
    Short,
}

impl Key {
    /// A key by its name and secret.
    pub fn new(name: Name, secret: &[u8]) -> Self {
        Self { name, secret: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }

    /// Reads a key file as `tsig-keygen` writes it and `nsupdate -k` reads it: the first key in it.
    ///
    /// # Errors
    /// [`KeyError`] for what is not as it should be. No error shows the secret.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let without_comments: String = text
            .lines()
            .map(|line| line.split("//").next().unwrap_or_default())
            .map(|line| line.split('#').next().unwrap_or_default())
            .fold(String::new(), |text, line| text + line + "\n");
        let (head, body) = without_comments.split_once('{').ok_or(KeyError::Form)?;
        let name = head.trim().strip_prefix("key").ok_or(KeyError::Form)?;
        let name = name.trim().trim_matches('"').parse().map_err(|_| KeyError::Name)?;
        let (body, _) = body.split_once('}').ok_or(KeyError::Form)?;
        let word = |key: &str| {
            let statement = body.split(';').map(str::trim).find_map(|statement| statement.strip_prefix(key));
            statement.map(|value| value.trim().trim_matches('"').to_owned()).ok_or(KeyError::Form)
        };
        if !word("algorithm")?.trim_end_matches('.').eq_ignore_ascii_case("hmac-sha256") {
            return Err(KeyError::Algorithm);
        }
        let secret = base64(&word("secret")?).ok_or(KeyError::Secret)?;
        if secret.len() < SHORTEST { Err(KeyError::Short) } else { Ok(Self::new(name, &secret)) }
    }

    /// The key's name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Signs a request at `wall`, seconds since the Unix epoch (RFC 8945 section 4.3), and returns the signature, which
    /// its answer is verified with.
    pub(super) fn sign(&self, message: &mut Vec<u8>, wall: u64) -> [u8; MAC] {
        let mut context = hmac::Context::with_key(&self.secret);
        context.update(message);
        context.update(&self.variables(wall, FUDGE, 0, &[]));
        let mut mac = [0; MAC];
        mac.copy_from_slice(context.sign().as_ref());
        let mut data = ALGORITHM.to_vec();
        data.extend(wall.to_be_bytes().get(2..).unwrap_or_default());
        data.extend(FUDGE.to_be_bytes());
        data.extend((MAC as u16).to_be_bytes());
        data.extend(mac);
        // The original ID; no error; no other data.
        data.extend(message.get(..2).unwrap_or_default());
        data.extend([0; 4]);
        push_record(message, self.name.as_bytes(), TSIG, ANY, 0, &data);
        add_to_arcount(message, 1);
        mac
    }

    /// Verifies an answer to the request with the signature `request` (RFC 8945 section 5.3): it is the other side's, and of
    /// now.
    pub(super) fn verify(&self, message: &[u8], request: &[u8; MAC], wall: u64) -> Result<(), Refused> {
        let signed = Signed::find(message).ok_or(Refused::Unsigned)?;
        if signed.key != self.name.as_bytes() || signed.algorithm != ALGORITHM {
            return Err(Refused::OtherKey);
        }
        // BADSIG and BADKEY come without a MAC: nobody can have signed them.
        if signed.mac.is_empty() && signed.error != 0 {
            return Err(Refused::Error(signed.error));
        }
        let mut unsigned = message.get(..signed.start).unwrap_or_default().to_vec();
        add_to_arcount(&mut unsigned, u16::MAX);
        let mut digested = (MAC as u16).to_be_bytes().to_vec();
        digested.extend(request);
        digested.extend(unsigned);
        digested.extend(self.variables(signed.time, signed.fudge, signed.error, signed.other));
        hmac::verify(&self.secret, &digested, signed.mac).map_err(|_| Refused::Signature)?;
        match signed.error {
            0 if wall.abs_diff(signed.time) > u64::from(signed.fudge) => Err(Refused::Time),
            0 => Ok(()),
            error => Err(Refused::Error(error)),
        }
    }

    /// The fields of the record that are signed (RFC 8945 section 4.3.3).
    fn variables(&self, time: u64, fudge: u16, error: u16, other: &[u8]) -> Vec<u8> {
        let mut variables = self.name.as_bytes().to_vec();
        variables.extend(ANY.to_be_bytes());
        variables.extend([0; 4]);
        variables.extend(ALGORITHM);
        variables.extend(time.to_be_bytes().get(2..).unwrap_or_default());
        variables.extend(fudge.to_be_bytes());
        variables.extend(error.to_be_bytes());
        variables.extend((other.len() as u16).to_be_bytes());
        variables.extend(other);
        variables
    }
}

/// Why an answer is not believed, or says that we are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It has no signature, or none that can be read.
    Unsigned,
    /// It is signed by another key, or by another algorithm.
    OtherKey,
    /// The signature is wrong.
    Signature,
    /// It is too old, or one of both clocks is wrong.
    Time,
    /// The other side did not accept our signature (RFC 8945 section 3).
    Error(u16),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsigned => "its answer is not signed",
            Self::OtherKey => "its answer is signed by another key than ours",
            Self::Signature => "the signature of its answer is wrong: is the key the same on both sides?",
            Self::Time => "its answer's time is not ours: set the clock on both sides",
            Self::Error(16) => "it finds our signature wrong (BADSIG): is the key the same on both sides?",
            Self::Error(17) => "it does not know our key (BADKEY): is its name the same on both sides?",
            Self::Error(18) => "its clock is not ours (BADTIME): set the clock on both sides",
            Self::Error(_) => "it does not accept our signature",
        })
    }
}

/// A TSIG record, and where it begins.
struct Signed<'a> {
    start: usize,
    key: Vec<u8>,
    algorithm: Vec<u8>,
    time: u64,
    fudge: u16,
    mac: &'a [u8],
    error: u16,
    other: &'a [u8],
}

impl<'a> Signed<'a> {
    /// The last record of a message, if it is one. Total on any octets: every record is at least 11 of them long, so the counts of
    /// the header cannot make it run for long.
    fn find(message: &'a [u8]) -> Option<Self> {
        let header: &[u8; HEADER] = message.first_chunk()?;
        let count = |at: usize| Some(u16::from_be_bytes([*header.get(at)?, *header.get(at + 1)?]));
        let mut at = HEADER;
        for _ in 0..count(4)? {
            at = skip_name(message, at)?.checked_add(4)?;
        }
        let records = u32::from(count(6)?) + u32::from(count(8)?) + u32::from(count(10)?);
        if count(10)? == 0 {
            return None;
        }
        for _ in 1..records {
            let data = skip_name(message, at)?.checked_add(10)?;
            at = data.checked_add(usize::from(u16_at(message, data.checked_sub(2)?)?))?;
        }
        let start = at;
        let (key, fixed) = read_name(message, at)?;
        let data = fixed.checked_add(10)?;
        let end = data.checked_add(usize::from(u16_at(message, data.checked_sub(2)?)?))?;
        let is_signature = u16_at(message, fixed)? == TSIG && u16_at(message, fixed + 2)? == ANY;
        if !is_signature || message.get(fixed + 4..fixed + 8)? != [0; 4] || end != message.len() {
            return None;
        }
        let (algorithm, at) = read_name(message, data)?;
        let time = message.get(at..at + 6)?.iter().fold(0, |time, octet| time << 8 | u64::from(*octet));
        let fudge = u16_at(message, at + 6)?;
        let mac_end = (at + 10).checked_add(usize::from(u16_at(message, at + 8)?))?;
        let mac = message.get(at + 10..mac_end)?;
        // Nobody stands between us and the server who would have to change the ID.
        if message.get(mac_end..mac_end + 2)? != message.get(..2)? {
            return None;
        }
        let error = u16_at(message, mac_end + 2)?;
        let other_end = (mac_end + 6).checked_add(usize::from(u16_at(message, mac_end + 4)?))?;
        let other = message.get(mac_end + 6..other_end)?;
        (other_end == end).then_some(Self { start, key, algorithm, time, fudge, mac, error, other })
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let field = bytes.get(at..at.checked_add(2)?)?;
    field.try_into().ok().map(u16::from_be_bytes)
}

/// Where a name ends, compressed or not.
fn skip_name(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *bytes.get(at)? {
            0 => return at.checked_add(1),
            length @ 1..=63 => at = at.checked_add(1 + usize::from(length))?,
            192.. => return at.checked_add(2),
            _ => return None,
        }
    }
}

/// A name of a TSIG record, which is never compressed (RFC 8945 section 4.2), in lower case, and where it ends.
fn read_name(bytes: &[u8], at: usize) -> Option<(Vec<u8>, usize)> {
    let end = skip_name(bytes, at)?;
    let name = bytes.get(at..end)?;
    (name.len() <= 255 && name.last() == Some(&0)).then(|| (name.to_ascii_lowercase(), end))
}

/// Adds to the number of additional records; 65535 takes one away.
fn add_to_arcount(message: &mut [u8], more: u16) {
    if let Some(field) = message.get_mut(10..12) {
        let count = u16::from_be_bytes([field[0], field[1]]).wrapping_add(more);
        field.copy_from_slice(&count.to_be_bytes());
    }
}

/// Standard base64 with its padding (RFC 4648 section 4), white space between.
fn base64(text: &str) -> Option<Vec<u8>> {
    let text: String = text.split_ascii_whitespace().collect();
    let padding = text.len() - text.trim_end_matches('=').len();
    (text.len().is_multiple_of(4) && padding <= 2).then(|| anchor::base64(&text))?
}

#[cfg(test)]
#[path = "tsig_tests.rs"]
mod tests;
