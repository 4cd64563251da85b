//! Every system call of sixgate: netlink, nftables, sockets, namespaces. The only crate with `unsafe`.

pub mod allocations;
pub mod clock;
pub mod listeners;
pub mod lock;
pub mod monitor;
pub mod namespace;
pub mod nft;
pub mod priority;
pub mod process;
pub mod route;
pub mod sandbox;
pub mod socket;
pub mod sysctl;
pub mod tap;
pub mod trace;
pub mod tun;
