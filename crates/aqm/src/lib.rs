//! Flat latency.

pub mod autorate;
pub mod classify;
pub mod codel;
pub mod fq;
mod ip;
mod packet;
pub mod pie;
mod queues;
mod rate;
pub mod request;
pub mod shape;
mod time;

pub use ip::IpPacket;
pub use packet::{Packet, Secret};
pub use rate::Rate;
pub use time::Stamp;
