//! [`Peer`]: what can be counted.

use super::level::Key;
use crate::{Endpoint, Family};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Whoever sends: an address of any of the types that hold one. Ports and zones do not count, and a mapped
/// address is its IPv4 address.
///
/// Programs do not implement it.
pub trait Peer: sealed::Sealed + Copy {}

pub(super) mod sealed {
    use super::{Family, Key};

    /// What counts of a peer.
    pub trait Sealed {
        #[doc(hidden)]
        #[allow(private_interfaces)]
        fn key(self) -> (Family, Key);
    }
}

macro_rules! peer {
    ($type:ty, $this:ident => $key:expr) => {
        impl Peer for $type {}
        #[allow(private_interfaces)]
        impl sealed::Sealed for $type {
            #[inline]
            fn key(self) -> (Family, Key) {
                let $this = self;
                $key
            }
        }
    };
}

peer!(Ipv4Addr, this => (Family::V4, Key { net: u64::from(this.to_bits()) << 32, rest: 0 }));
peer!(Ipv6Addr, this => v6(this));
peer!(IpAddr, this => match this {
    IpAddr::V6(address) => address.key(),
    IpAddr::V4(address) => address.key(),
});
peer!(SocketAddr, this => this.ip().key());
peer!(Endpoint, this => this.address().key());

#[inline]
fn v6(address: Ipv6Addr) -> (Family, Key) {
    let bits = address.to_bits();
    let (net, rest) = ((bits >> 64) as u64, bits as u64);
    if net == 0 && rest >> 32 == 0xffff {
        // RFC 4291 section 2.5.5.2.
        return (Family::V4, Key { net: rest << 32, rest: 0 });
    }
    (Family::V6, Key { net, rest })
}
