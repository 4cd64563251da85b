//! Every system call of sixgate: netlink, nftables, sockets, namespaces. The only crate with `unsafe`.

pub mod nft;
