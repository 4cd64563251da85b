//! The kernel's own queue, configured by netlink: CAKE, or FQ-CoDel under HTB where there is no CAKE.
//!
//! What leaves is queued at the interface's root. What arrives is led into an `ifb`, queued at the root of that, and goes back to where
//! it was. It goes with [`Kernel`]; after `kill -9` it stays, and the next start takes it away first.

use super::{Direction, Error, Facing, Setup};
use sixgate_aqm::Rate;
use sixgate_aqm::shape::{Cells, Config, Fairness, Framing, Tins};
use sixgate_linux::route::{
    Cake, Class, FqCodel, Hosts, Link, LinkLayer, Netlink, Packets, Qdisc, Redirect, TinStats,
};
use sixgate_linux::tun::{self, Offloads};
use std::time::Duration;

/// The number of our queues; the FQ-CoDel under HTB has the next.
const HANDLE: u16 = 0x6516;
/// Octets of an Ethernet header, which HTB counts and CAKE does not.
const ETHERNET: i32 = 14;

/// Which of the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Cake,
    FqCodel,
}

impl Kind {
    /// Its name in views.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cake => "cake",
            Self::FqCodel => "fq_codel",
        }
    }
}

/// One direction's queue.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) direction: Direction,
    /// The interface at whose root it is.
    index: u32,
    pub(super) config: Config,
}

/// Queues of the kernel's at work. When this is dropped, what was there before is there again.
#[derive(Debug)]
pub(super) struct Kernel {
    netlink: Netlink,
    pub(super) kind: Kind,
    interface: u32,
    facing: Facing,
    pub(super) sides: Vec<Side>,
    /// What the interface's root had.
    before: Option<Qdisc>,
    ifb: Option<u32>,
}

/// What the kernel has for this setup: or why not, in words.
pub(super) fn offers(setup: &Setup, link: &Link) -> Result<Kind, String> {
    let mut netlink = Netlink::new().map_err(|error| error.to_string())?;
    let Some((_, config)) = setup.directions().next() else { return Ok(Kind::Cake) };
    // Tried on a device of our own, so that nothing is lost where it fails. It goes with the end of this.
    let name = format!("sixp{}", link.index);
    let device = tun::create_ethernet(&name, Offloads::None).map_err(|error| error.to_string())?;
    let index = netlink.index_of(&name).map_err(|error| error.to_string())?;
    let tried = [Kind::Cake, Kind::FqCodel]
        .into_iter()
        .find(|kind| set(&mut netlink, *kind, index, &config, setup).is_ok());
    drop(device);
    let Some(kind) = tried else {
        return Err("this kernel has neither sch_cake nor sch_fq_codel with sch_htb".to_owned());
    };
    if setup.directions().any(|(direction, _)| !setup.plan.leaves(direction)) {
        let ifb = netlink.add_ifb(&name).and_then(|()| netlink.index_of(&name));
        let gone = ifb.and_then(|ifb| netlink.delete_link(ifb));
        gone.map_err(|error| format!("this kernel has no ifb for what arrives: {error}"))?;
    }
    Ok(kind)
}

impl Kernel {
    /// Configures, and reads back.
    pub(super) fn start(setup: &Setup, link: &Link, kind: Kind) -> Result<Self, Error> {
        let mut netlink = Netlink::new()?;
        sweep(&mut netlink, link)?;
        let before = netlink.root_queue(link.index)?.filter(|queue| queue.handle != 0);
        let leaves = setup.directions().any(|(direction, _)| setup.plan.leaves(direction));
        if let Some(queue) = before.as_ref().filter(|queue| leaves && !queue.can_be_put_back()) {
            return Err(Error::Taken { interface: link.name.clone(), kind: queue.kind.clone() });
        }
        let mut kernel = Self {
            netlink,
            kind,
            interface: link.index,
            facing: setup.plan.facing,
            sides: Vec::new(),
            before,
            ifb: None,
        };
        for (direction, config) in setup.directions() {
            let leaves = setup.plan.leaves(direction);
            let index = if leaves {
                link.index
            } else {
                let name = ifb_name(link);
                kernel.netlink.add_ifb(&name)?;
                let ifb = kernel.netlink.index_of(&name)?;
                kernel.ifb = Some(ifb);
                kernel.netlink.set_up(ifb, true)?;
                ifb
            };
            kernel.sides.push(Side { direction, index, config });
            set(&mut kernel.netlink, kind, index, &config, setup)?;
            verify(&mut kernel.netlink, kind, index, &config)?;
            if !leaves {
                kernel.netlink.redirect(link.index, Packets::Arriving, index, Redirect::Leaving)?;
            }
        }
        Ok(kernel)
    }

    /// From now on this rate; what waits stays.
    pub(super) fn set_rate(&mut self, direction: Direction, rate: Rate) -> Result<(), Error> {
        let Self { netlink, kind, sides, facing, .. } = self;
        for side in sides.iter_mut().filter(|side| side.direction == direction && side.config.rate != rate) {
            side.config.rate = rate;
            match *kind {
                Kind::Cake => netlink.set_cake(side.index, HANDLE, &cake(&side.config, *facing))?,
                Kind::FqCodel => netlink.set_class(side.index, HANDLE, &class(&side.config))?,
            }
        }
        Ok(())
    }

    /// What the queue of a direction has counted, by tin.
    pub(super) fn tins(&mut self, direction: Direction) -> Vec<TinStats> {
        let Some(side) = self.sides.iter().find(|side| side.direction == direction) else {
            return Vec::new();
        };
        let queues = self.netlink.queues(side.index).unwrap_or_default();
        let ours = queues.into_iter().find(|(_, queue)| queue.kind == self.kind.name());
        ours.map_or_else(Vec::new, |(_, queue)| queue.tins())
    }

    /// Why it does not work, if something else took it away.
    pub(super) fn failed(&mut self) -> Option<String> {
        let Self { netlink, kind, sides, .. } = self;
        let mut checked = sides.iter().map(|side| verify(netlink, *kind, side.index, &side.config));
        checked.find_map(Result::err).map(|error| error.to_string())
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        let Self { netlink, interface, sides, before, ifb, .. } = self;
        // Whatever is gone already needs no taking away.
        if let Some(ifb) = ifb {
            let _ = netlink.release(*interface);
            let _ = netlink.delete_link(*ifb);
        }
        if sides.iter().any(|side| side.index == *interface) {
            let _ = netlink.delete_root_queue(*interface);
            let back = before.as_ref().map(|queue| netlink.put_queue_back(*interface, queue));
            if let Some(Err(error)) = back {
                tracing::error!(%error, "the queue that was there before is not put back");
            }
        }
    }
}

fn ifb_name(link: &Link) -> String {
    format!("sixd{}", link.index)
}

/// Takes away what an earlier run left that was killed.
fn sweep(netlink: &mut Netlink, link: &Link) -> Result<(), Error> {
    let ifb = netlink.link_by_name(&ifb_name(link))?.filter(|ifb| ifb.kind.as_deref() == Some("ifb"));
    if let Some(ifb) = ifb {
        netlink.release(link.index)?;
        netlink.delete_link(ifb.index)?;
    }
    if netlink.root_queue(link.index)?.is_some_and(|queue| queue.handle == HANDLE) {
        netlink.delete_root_queue(link.index)?;
    }
    Ok(())
}

fn set(netlink: &mut Netlink, kind: Kind, index: u32, config: &Config, setup: &Setup) -> Result<(), Error> {
    match kind {
        Kind::Cake => netlink.set_cake(index, HANDLE, &cake(config, setup.plan.facing))?,
        Kind::FqCodel => netlink.set_htb(index, HANDLE, &class(config), Some(&leaf(config)))?,
    }
    Ok(())
}

/// Rule 4 of the house: what was asked for is there.
fn verify(netlink: &mut Netlink, kind: Kind, index: u32, config: &Config) -> Result<(), Error> {
    let root = netlink.root_queue(index)?;
    let found = root.as_ref().map_or("none", |queue| queue.kind.as_str()).to_owned();
    let right = root.is_some_and(|queue| match kind {
        Kind::Cake => queue.cake_rate().is_some_and(|rate| rate / 8 == config.rate.as_bits() / 8),
        Kind::FqCodel => queue.kind == "htb" && queue.handle == HANDLE,
    });
    if right { Ok(()) } else { Err(Error::NotThere { kind: kind.name(), found }) }
}

fn layer(framing: Framing) -> LinkLayer {
    match framing.cells {
        Cells::None => LinkLayer::Plain,
        Cells::Atm => LinkLayer::Atm,
        Cells::Ptm => LinkLayer::Ptm,
    }
}

fn microseconds(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

fn cake(config: &Config, facing: Facing) -> Cake {
    let Config { rate, framing, .. } = *config;
    Cake {
        rate: rate.as_bits(),
        diffserv4: config.tins == Tins::Diffserv4,
        hosts: match config.fairness {
            Fairness::Flows => Hosts::Flows,
            Fairness::Sources => Hosts::Sources,
            Fairness::Destinations => Hosts::Destinations,
            Fairness::Both => Hosts::Both,
        },
        // IPv4 hosts of ours are behind the uplink's address, where CAKE can look. On a LAN it would take all of them for that one.
        nat: facing == Facing::Internet,
        overhead: framing.overhead,
        mpu: framing.mpu,
        layer: layer(framing),
        rtt: microseconds(config.round_trip),
        ingress: config.ingress,
        ack_filter: config.ack_filter,
        split: rate < Rate::mbit(1000),
    }
}

fn class(config: &Config) -> Class {
    let Config { rate, framing, .. } = *config;
    Class {
        // HTB does not know PTM: one octet in 65 less.
        rate: if framing.cells == Cells::Ptm { rate.as_bits() / 65 * 64 } else { rate.as_bits() },
        // A millisecond, and a full frame at least.
        burst: u32::try_from(rate.as_bits() / 8 / 1000).unwrap_or(u32::MAX).max(1600),
        overhead: u16::try_from((framing.overhead - ETHERNET).max(0)).unwrap_or(u16::MAX),
        mpu: u16::try_from(framing.mpu).unwrap_or(u16::MAX),
        atm: framing.cells == Cells::Atm,
    }
}

fn leaf(config: &Config) -> FqCodel {
    let packet = config.rate.time_for(1514);
    let target = (config.round_trip / 20).max(packet + packet / 2);
    FqCodel {
        target: microseconds(target),
        interval: microseconds(config.round_trip.max(target * 2)),
        ecn: config.ecn,
        // Below this rate, small packets get ahead of full ones.
        quantum: if config.rate < Rate::mbit(40) { 300 } else { 1514 },
        memory: 4 << 20,
    }
}
