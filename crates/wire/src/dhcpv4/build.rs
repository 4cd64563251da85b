//! Writing DHCPv4 messages into a caller's buffer.

use super::{ClientId, HEADER, Header, MAGIC_COOKIE, MessageType, OptionCode};
use crate::WireError;
use crate::bytes::Writer;
use std::net::Ipv4Addr;

/// Messages are filled up to this with zeros: some relay agents drop what is shorter (RFC 1542 section 2.1).
pub const MIN_MESSAGE: usize = 300;

/// Writes one message, option after option, in the order of the calls. The buffer's length is the most that
/// the receiver takes.
///
/// Running out of room is remembered and told by [`Builder::finish`], so that no call in between need be
/// checked; what may be left out is asked for with [`Builder::has_room`].
#[derive(Debug)]
pub struct Builder<'b> {
    out: Writer<'b>,
    capacity: usize,
}

impl<'b> Builder<'b> {
    /// Begins a message with its header, the cookie and the message type.
    pub fn new(buffer: &'b mut [u8], header: &Header, kind: MessageType) -> Self {
        let capacity = buffer.len();
        let mut out = Writer::new(buffer);
        let address = header.hardware.address();
        for octet in [header.op, header.hardware.kind(), address.len() as u8, header.hops] {
            out.u8(octet);
        }
        out.u32(header.xid);
        out.u16(header.secs);
        out.u16(header.flags);
        for address in [header.ciaddr, header.yiaddr, header.siaddr, header.giaddr] {
            out.put(&address.octets());
        }
        out.put(address);
        // The rest of chaddr, and sname and file, which are left empty.
        out.put([0; HEADER].get(..HEADER - out.len().min(HEADER)).unwrap_or_default());
        out.put(&MAGIC_COOKIE);
        let mut builder = Self { out, capacity };
        builder.option(OptionCode::MESSAGE_TYPE, &[kind.0]);
        builder
    }

    /// Any option, from its octets. What is longer than 255 octets is cut into pieces (RFC 3396 section 6).
    pub fn option(&mut self, code: OptionCode, data: &[u8]) -> &mut Self {
        let mut rest = data;
        loop {
            let (piece, after) = rest.split_at(rest.len().min(255));
            self.out.u8(code.0);
            self.out.u8(piece.len() as u8);
            self.out.put(piece);
            rest = after;
            if rest.is_empty() {
                return self;
            }
        }
    }

    /// Whether an option with this many octets of content can still be written, and End after it.
    pub fn has_room(&self, length: usize) -> bool {
        let headers = 2 * length.div_ceil(255).max(1);
        self.out.len() + headers + length < self.capacity
    }

    /// An option that is one address.
    pub fn address(&mut self, code: OptionCode, address: Ipv4Addr) -> &mut Self {
        self.option(code, &address.octets())
    }

    /// An option that is a list of addresses.
    pub fn addresses(&mut self, code: OptionCode, addresses: &[Ipv4Addr]) -> &mut Self {
        let octets: Vec<u8> = addresses.iter().flat_map(Ipv4Addr::octets).collect();
        self.option(code, &octets)
    }

    /// An option that is one 32-bit number, such as the lease time.
    pub fn number(&mut self, code: OptionCode, value: u32) -> &mut Self {
        self.option(code, &value.to_be_bytes())
    }

    /// Client Identifier.
    pub fn client_id(&mut self, id: &ClientId) -> &mut Self {
        self.option(OptionCode::CLIENT_ID, id.as_bytes())
    }

    /// Parameter Request List.
    pub fn request(&mut self, codes: &[OptionCode]) -> &mut Self {
        let octets: Vec<u8> = codes.iter().map(|code| code.0).collect();
        self.option(OptionCode::PARAMETER_REQUEST_LIST, &octets)
    }

    /// The message, with End and filled up to [`MIN_MESSAGE`].
    ///
    /// # Errors
    /// [`WireError::NoRoom`] where the buffer was too small.
    pub fn finish(mut self) -> Result<&'b [u8], WireError> {
        self.out.u8(OptionCode::END.0);
        let missing = MIN_MESSAGE.min(self.capacity).saturating_sub(self.out.len());
        self.out.put([0; MIN_MESSAGE].get(..missing).unwrap_or_default());
        self.out.finish()
    }
}
