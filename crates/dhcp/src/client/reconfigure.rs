//! Authentication of Reconfigure messages by the key that the server gave (RKAP, RFC 9915 section 20.4).

use super::binding::ReconfigureKey;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sixgate_wire::dhcpv6::{Authentication, DhcpOption, Message, OptionCode};

/// Octets of an option before its content.
const OPTION_HEADER: usize = 4;
/// Octets of a message before its options.
const MESSAGE_HEADER: usize = 4;
/// Octets of the Authentication option before its authentication information, and the type octet of that.
const BEFORE_HMAC: usize = 12;
/// Octets of an HMAC-MD5.
const HMAC: usize = 16;

/// Whether `message`, whose octets are `bytes`, was made by the holder of `key` and is no replay. If so, its replay
/// detection value.
pub(super) fn verify(key: &ReconfigureKey, message: &Message<'_>, bytes: &[u8]) -> Option<u64> {
    let mut found = None;
    let mut at = MESSAGE_HEADER;
    for (code, data) in message.options().raw() {
        if code == OptionCode::AUTH {
            if found.is_some() {
                return None;
            }
            found = Some((at + OPTION_HEADER, data));
        }
        at += OPTION_HEADER + data.len();
    }
    let (at, data) = found?;
    let DhcpOption::Authentication(auth) = DhcpOption::decode(OptionCode::AUTH, data) else { return None };
    let known = auth.protocol() == Authentication::RECONFIGURE_KEY
        && auth.algorithm() == 1
        && auth.replay_method() == 0;
    let (&kind, given) = auth.information().split_first()?;
    if !known || kind != 2 || given.len() != HMAC || auth.replay() <= key.replay {
        return None;
    }
    // The HMAC is over the whole message, with zeros where the HMAC stands.
    let start = at + BEFORE_HMAC;
    let mut mac = <Hmac<Md5> as KeyInit>::new_from_slice(&key.key).ok()?;
    mac.update(bytes.get(..start)?);
    mac.update(&[0; HMAC]);
    mac.update(bytes.get(start + HMAC..)?);
    mac.verify_slice(given).ok()?;
    Some(auth.replay())
}
