//! What goes in and out of the forwarder besides bytes.

use sixgate_endpoint::Endpoint;

/// How a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// One message per datagram (RFC 1035 section 4.2.1).
    Udp,
    /// A stream in which the owner puts, and from which it takes, the two octets of length before each
    /// message (RFC 7766 section 8). The bytes given to and by the forwarder never hold them.
    Tcp,
}

/// Who asked, as far as the forwarder needs to know.
///
/// `P` is the owner's own notion of a peer: whatever it needs to send the reply (an address and the interface
/// it came by, or the key of a connection). Two queries with equal peers and equal message IDs are one query
/// sent twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client<P> {
    /// Where the reply goes.
    pub peer: P,
    /// How the query came, and how the reply goes.
    pub transport: Transport,
    /// The largest UDP payload, in octets, to send to this client, whatever its EDNS asks for (RFC 6891
    /// section 6.2.5). Values below 512 count as 512. Without meaning for TCP.
    pub udp_limit: u16,
    /// Whose part of the room for questions under way it uses, such as its LAN's number: see
    /// [`Config::max_lookups_per_share`](crate::Config::max_lookups_per_share).
    pub share: u32,
}

/// Names one query to an upstream, and the one socket that the owner opened for it.
///
/// A token is never used twice, so that an answer that comes late cannot be taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub(crate) u64);

/// What the owner of the forwarder has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action<P> {
    /// Send `bytes` to this client.
    Reply {
        /// The client, as it was given with the query.
        client: Client<P>,
        /// The whole message, without the length that TCP puts before it.
        bytes: Vec<u8>,
    },
    /// Open a socket for `token`, send `bytes` to `upstream`, and hand what comes back to
    /// [`Forwarder::handle_answer`](crate::Forwarder::handle_answer).
    ///
    /// UDP: a fresh socket with a random port (RFC 5452 section 9.2), connected so that only the upstream is
    /// heard. TCP: a connection. If that fails, call
    /// [`Forwarder::handle_failure`](crate::Forwarder::handle_failure).
    Query {
        /// Names the socket from now on.
        token: Token,
        /// The resolver to ask.
        upstream: Endpoint,
        /// How to ask.
        transport: Transport,
        /// The whole message, without the length that TCP puts before it.
        bytes: Vec<u8>,
    },
    /// Close the socket of `token`: nothing it could still receive matters.
    Done {
        /// The socket to close.
        token: Token,
    },
}
