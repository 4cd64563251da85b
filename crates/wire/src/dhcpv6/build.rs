//! Writing DHCPv6 messages into a caller's buffer.

use super::{Duid, MessageType, OptionCode, StatusCode, TransactionId};
use crate::WireError;
use crate::bytes::Writer;
use std::net::Ipv6Addr;

/// Writes one message, option after option, in the order of the calls.
///
/// Running out of room is remembered and told by [`Builder::finish`], so that no call in between need be checked.
#[derive(Debug)]
pub struct Builder<'b> {
    out: Writer<'b>,
}

impl<'b> Builder<'b> {
    /// Begins a client/server message.
    pub fn message(buffer: &'b mut [u8], kind: MessageType, transaction: TransactionId) -> Self {
        let mut out = Writer::new(buffer);
        out.u8(kind.0);
        out.put(&transaction.0);
        Self { out }
    }

    /// Begins a relay agent's message.
    pub fn relay(
        buffer: &'b mut [u8],
        kind: MessageType,
        hop_count: u8,
        link_address: Ipv6Addr,
        peer_address: Ipv6Addr,
    ) -> Self {
        let mut out = Writer::new(buffer);
        out.u8(kind.0);
        out.u8(hop_count);
        out.put(&link_address.octets());
        out.put(&peer_address.octets());
        Self { out }
    }

    /// Any option, from its octets.
    pub fn option(&mut self, code: OptionCode, data: &[u8]) -> &mut Self {
        self.container(code, |b| b.out.put(data))
    }

    /// An option whose content `content` writes: its length is filled in afterwards.
    pub fn container(&mut self, code: OptionCode, content: impl FnOnce(&mut Self)) -> &mut Self {
        self.out.u16(code.0);
        let length_at = self.out.len();
        self.out.u16(0);
        let start = self.out.len();
        content(self);
        match u16::try_from(self.out.len() - start) {
            Ok(length) => self.out.patch(length_at, &length.to_be_bytes()),
            Err(_) => self.out.fail(),
        }
        self
    }

    /// Octets without an option header, for the fixed part of an option inside [`Builder::container`].
    pub fn octets(&mut self, data: &[u8]) -> &mut Self {
        self.out.put(data);
        self
    }

    /// Client Identifier.
    pub fn client_id(&mut self, duid: &Duid) -> &mut Self {
        self.option(OptionCode::CLIENT_ID, duid.as_bytes())
    }

    /// Server Identifier.
    pub fn server_id(&mut self, duid: &Duid) -> &mut Self {
        self.option(OptionCode::SERVER_ID, duid.as_bytes())
    }

    /// IA_NA with T1 and T2 in seconds; `content` adds addresses and status.
    pub fn ia_na(&mut self, iaid: u32, t1: u32, t2: u32, content: impl FnOnce(&mut Self)) -> &mut Self {
        self.ia(OptionCode::IA_NA, iaid, t1, t2, content)
    }

    /// IA_PD with T1 and T2 in seconds; `content` adds prefixes and status.
    pub fn ia_pd(&mut self, iaid: u32, t1: u32, t2: u32, content: impl FnOnce(&mut Self)) -> &mut Self {
        self.ia(OptionCode::IA_PD, iaid, t1, t2, content)
    }

    fn ia(
        &mut self,
        code: OptionCode,
        iaid: u32,
        t1: u32,
        t2: u32,
        content: impl FnOnce(&mut Self),
    ) -> &mut Self {
        self.container(code, |b| {
            b.out.u32(iaid);
            b.out.u32(t1);
            b.out.u32(t2);
            content(b);
        })
    }

    /// IA Address with lifetimes in seconds; `content` adds options of its own.
    pub fn ia_address(
        &mut self,
        address: Ipv6Addr,
        preferred: u32,
        valid: u32,
        content: impl FnOnce(&mut Self),
    ) -> &mut Self {
        self.container(OptionCode::IA_ADDR, |b| {
            b.out.put(&address.octets());
            b.out.u32(preferred);
            b.out.u32(valid);
            content(b);
        })
    }

    /// IA Prefix with lifetimes in seconds; bits beyond the length are sent as zero.
    pub fn ia_prefix(
        &mut self,
        prefix: ipnet::Ipv6Net,
        preferred: u32,
        valid: u32,
        content: impl FnOnce(&mut Self),
    ) -> &mut Self {
        self.container(OptionCode::IA_PREFIX, |b| {
            b.out.u32(preferred);
            b.out.u32(valid);
            b.out.u8(prefix.prefix_len());
            b.out.put(&prefix.network().octets());
            content(b);
        })
    }

    /// Option Request.
    pub fn oro(&mut self, codes: &[OptionCode]) -> &mut Self {
        self.container(OptionCode::ORO, |b| codes.iter().for_each(|code| b.out.u16(code.0)))
    }

    /// User classes, each behind its length; what is longer than the field can say fails.
    pub fn user_classes(&mut self, classes: &[Vec<u8>]) -> &mut Self {
        self.container(OptionCode::USER_CLASS, |b| {
            for class in classes {
                if let Ok(length) = u16::try_from(class.len()) {
                    b.octets(&length.to_be_bytes()).octets(class);
                } else {
                    b.out.fail();
                }
            }
        })
    }

    /// Preference.
    pub fn preference(&mut self, value: u8) -> &mut Self {
        self.option(OptionCode::PREFERENCE, &[value])
    }

    /// Elapsed Time, in hundredths of a second.
    pub fn elapsed_time(&mut self, hundredths: u16) -> &mut Self {
        self.option(OptionCode::ELAPSED_TIME, &hundredths.to_be_bytes())
    }

    /// Status Code and its words.
    pub fn status(&mut self, code: StatusCode, message: &str) -> &mut Self {
        self.container(OptionCode::STATUS_CODE, |b| {
            b.out.u16(code.0);
            b.out.put(message.as_bytes());
        })
    }

    /// Rapid Commit.
    pub fn rapid_commit(&mut self) -> &mut Self {
        self.option(OptionCode::RAPID_COMMIT, &[])
    }

    /// Reconfigure Accept.
    pub fn reconfigure_accept(&mut self) -> &mut Self {
        self.option(OptionCode::RECONF_ACCEPT, &[])
    }

    /// An option that is a list of addresses, such as DNS Recursive Name Server.
    pub fn addresses(&mut self, code: OptionCode, addresses: &[Ipv6Addr]) -> &mut Self {
        self.container(code, |b| addresses.iter().for_each(|address| b.out.put(&address.octets())))
    }

    /// An option that is a list of domain names. Names that cannot be encoded are left out.
    pub fn domains<S: AsRef<str>>(&mut self, code: OptionCode, names: &[S]) -> &mut Self {
        let mut octets = Vec::new();
        for name in names {
            crate::domain::encode(name.as_ref(), &mut octets);
        }
        self.option(code, &octets)
    }

    /// An option that is one 32-bit number, such as SOL_MAX_RT.
    pub fn number(&mut self, code: OptionCode, value: u32) -> &mut Self {
        self.option(code, &value.to_be_bytes())
    }

    /// Client FQDN with its flags (see [`super::Fqdn`]). A name without a dot is sent as the partial name that it is.
    pub fn client_fqdn(&mut self, flags: u8, name: &str) -> &mut Self {
        let mut octets = vec![flags];
        if crate::domain::encode(name, &mut octets) && !name.contains('.') {
            // RFC 4704 section 4.2: a partial name is not terminated.
            octets.pop();
        }
        self.option(OptionCode::CLIENT_FQDN, &octets)
    }

    /// The packet.
    ///
    /// # Errors
    /// [`WireError::NoRoom`] where the buffer, or an option's 16-bit length, was too small.
    pub fn finish(self) -> Result<&'b [u8], WireError> {
        self.out.finish()
    }
}
