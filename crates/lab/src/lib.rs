//! Networks declared in Rust and run in namespaces.
//!
//! A [`Lab`] holds hosts, links between them, and segments (one Ethernet for several hosts). All of it lives in
//! namespaces that only threads and children of this process hold: nothing has a name outside, any number of
//! labs run at once, and when the process ends, even by `kill -9`, the kernel takes everything away. The
//! network of the machine itself is never touched.
//!
//! ```no_run
//! use std::time::Duration;
//! use sixgate_lab::{Command, Impairment, Lab, Link};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let lab = Lab::new("home")?;
//! let (isp, gw, laptop) = (lab.router("isp")?, lab.host("gw")?, lab.host("laptop")?);
//! let wan = Link::between((&isp, "cust0"), (&gw, "wan0")).rate(100_000_000).delay(Duration::from_millis(10));
//! lab.link(wan)?;
//! let kitchen = lab.segment("kitchen")?;
//! kitchen.attach(&gw, "lan0")?;
//! kitchen.attach(&laptop, "eth0")?;
//! gw.add_address("lan0", "2001:db8:1::1/64".parse::<ipnet::IpNet>()?)?;
//! let capture = gw.capture("lan0")?;
//! let ping = laptop.spawn(&Command::new("ping").args(["-c", "1", "ff02::1%eth0"]))?;
//! ping.wait(Duration::from_secs(5))?;
//! capture.wait_fields("icmpv6.type == 128", &["ipv6.src"], 1, Duration::from_secs(5))?;
//! capture.assert_clean("")?;
//! # Ok(())
//! # }
//! ```
//!
//! It needs root, or a user namespace: see [`become_root`] and [`root_for_tests`].

mod capture;
pub mod emulate;
mod error;
mod folder;
mod host;
mod netlink;
mod network;
mod pump;
mod wait;

pub use capture::{Capture, Problem, read_fields};
pub use emulate::{Buffer, Counters, Impairment};
pub use error::Error;
pub use host::{AcceptRa, Address, Host, Route, Transport};
pub use network::{Lab, Link, LinkHandle, Segment, root_for_tests};
pub use nix::sys::signal::Signal;
pub use sixgate_linux::namespace::{become_root, enter};
pub use sixgate_linux::process::{Command, Log, Process, Stream};
pub use wait::{wait_for, wait_some};
