//! Links: network devices.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;

use super::{Error, Netlink};

/// A network device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its Ethernet address, where it has one.
    pub mac: Option<[u8; 6]>,
    /// Switched on (`IFF_UP`).
    pub up: bool,
    /// Able to carry packets (`IFF_RUNNING`): up, and the other end too.
    pub running: bool,
    /// The loopback device.
    pub loopback: bool,
    /// Largest packet, in bytes.
    pub mtu: u32,
    /// Bridge (or other device) that it is part of.
    pub master: Option<u32>,
    /// Kind of a virtual device: `veth`, `bridge`, `tun`...
    pub kind: Option<String>,
}

/// Reads a link. `None` for messages about a link in another role, as those of `AF_BRIDGE` for a port.
pub(crate) fn link_of(message: &LinkMessage) -> Option<Link> {
    if message.header.interface_family != AddressFamily::Unspec {
        return None;
    }
    let flags = message.header.flags;
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        mac: None,
        up: flags.contains(LinkFlags::Up),
        running: flags.contains(LinkFlags::Running),
        loopback: flags.contains(LinkFlags::Loopback),
        mtu: 0,
        master: None,
        kind: None,
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Address(bytes) => link.mac = bytes.as_slice().try_into().ok(),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Controller(index) => link.master = Some(*index).filter(|index| *index != 0),
            LinkAttribute::LinkInfo(infos) => {
                link.kind = infos.iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind.to_string()),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    Some(link)
}

fn message(index: u32, attributes: Vec<LinkAttribute>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes = attributes;
    message
}

fn links(answers: &[RouteNetlinkMessage]) -> impl Iterator<Item = Link> {
    answers.iter().filter_map(|answer| match answer {
        RouteNetlinkMessage::NewLink(message) => link_of(message),
        _ => None,
    })
}

impl Netlink {
    /// All links.
    pub fn links(&mut self) -> Result<Vec<Link>, Error> {
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        Ok(links(&self.dump(&request, &|| "list interfaces".to_owned())?).collect())
    }

    /// The link of this name.
    pub fn link_by_name(&mut self, name: &str) -> Result<Option<Link>, Error> {
        self.link(message(0, vec![LinkAttribute::IfName(name.to_owned())]), &|| {
            format!("look up interface {name}")
        })
    }

    /// The link of this number.
    pub fn link_by_index(&mut self, index: u32) -> Result<Option<Link>, Error> {
        self.link(message(index, Vec::new()), &|| format!("look up interface {index}"))
    }

    /// The number of the link of this name, which must exist.
    pub fn index_of(&mut self, name: &str) -> Result<u32, Error> {
        let link = self.link_by_name(name)?;
        link.map(|link| link.index).ok_or_else(|| Error::NoInterface(name.to_owned()))
    }

    /// Packets that were to leave by a link and were dropped by it or its queue, since it was made; 0 where it is gone.
    pub fn dropped_leaving(&mut self, index: u32) -> Result<u64, Error> {
        let request = RouteNetlinkMessage::GetLink(message(index, Vec::new()));
        let answers = match self.get(request, &|| format!("look up interface {index}")) {
            Err(Error::Refused { source: Errno::ENODEV, .. }) => return Ok(0),
            answers => answers?,
        };
        let attributes = answers.iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(message) => Some(&message.attributes),
            _ => None,
        });
        let dropped = attributes.flatten().find_map(|attribute| match attribute {
            LinkAttribute::Stats64(stats) => Some(stats.tx_dropped),
            _ => None,
        });
        Ok(dropped.unwrap_or_default())
    }

    fn link(&mut self, message: LinkMessage, what: &dyn Fn() -> String) -> Result<Option<Link>, Error> {
        match self.get(RouteNetlinkMessage::GetLink(message), what) {
            Ok(answers) => Ok(links(&answers).next()),
            Err(Error::Refused { source: Errno::ENODEV, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn set_link(&mut self, message: LinkMessage, what: &dyn Fn() -> String) -> Result<(), Error> {
        self.change(RouteNetlinkMessage::SetLink(message), 0, what)
    }

    /// Switches a link on or off.
    pub fn set_up(&mut self, index: u32, up: bool) -> Result<(), Error> {
        let mut message = message(index, Vec::new());
        message.header.change_mask = LinkFlags::Up;
        message.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
        self.set_link(message, &|| format!("switch interface {index} {}", if up { "on" } else { "off" }))
    }

    /// Sets the largest packet, in bytes.
    pub fn set_mtu(&mut self, index: u32, mtu: u32) -> Result<(), Error> {
        let message = message(index, vec![LinkAttribute::Mtu(mtu)]);
        self.set_link(message, &|| format!("set the MTU of interface {index} to {mtu}"))
    }

    /// Sets how many packets wait at most to go out of the link.
    pub fn set_queue_length(&mut self, index: u32, packets: u32) -> Result<(), Error> {
        let message = message(index, vec![LinkAttribute::TxQueueLen(packets)]);
        self.set_link(message, &|| format!("set the queue of interface {index} to {packets} packets"))
    }

    /// Sets the Ethernet address.
    pub fn set_mac(&mut self, index: u32, mac: [u8; 6]) -> Result<(), Error> {
        let message = message(index, vec![LinkAttribute::Address(mac.to_vec())]);
        self.set_link(message, &|| format!("set the MAC of interface {index} to {mac:02x?}"))
    }

    /// Makes a link a port of a bridge, or frees it.
    pub fn set_master(&mut self, index: u32, master: Option<u32>) -> Result<(), Error> {
        let message = message(index, vec![LinkAttribute::Controller(master.unwrap_or(0))]);
        self.set_link(message, &|| format!("put interface {index} into {master:?}"))
    }

    /// Moves a link into the network namespace that `namespace` (of `/proc/PID/ns/net`) refers to.
    pub fn move_to_namespace(&mut self, index: u32, namespace: BorrowedFd<'_>) -> Result<(), Error> {
        let message = message(index, vec![LinkAttribute::NetNsFd(namespace.as_raw_fd())]);
        self.set_link(message, &|| format!("move interface {index} into another namespace"))
    }

    /// Makes two Ethernet devices that are each other's other end; the second goes straight into another
    /// network namespace if one is given.
    pub fn add_veth(
        &mut self,
        name: &str,
        peer: &str,
        peer_namespace: Option<BorrowedFd<'_>>,
    ) -> Result<(), Error> {
        let mut there = vec![LinkAttribute::IfName(peer.to_owned())];
        there.extend(peer_namespace.map(|fd| LinkAttribute::NetNsFd(fd.as_raw_fd())));
        let info = vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(message(0, there)))),
        ];
        self.add_link(name, info)
    }

    /// Makes a bridge (without spanning tree).
    pub fn add_bridge(&mut self, name: &str) -> Result<(), Error> {
        self.add_link(name, vec![LinkInfo::Kind(InfoKind::Bridge)])
    }

    pub(super) fn add_link(&mut self, name: &str, info: Vec<LinkInfo>) -> Result<(), Error> {
        let message = message(0, vec![LinkAttribute::IfName(name.to_owned()), LinkAttribute::LinkInfo(info)]);
        let request = RouteNetlinkMessage::NewLink(message);
        self.change(request, NLM_F_CREATE | NLM_F_EXCL, &|| format!("make interface {name}"))
    }

    /// Removes a virtual link. `false`: there was none.
    pub fn delete_link(&mut self, index: u32) -> Result<bool, Error> {
        let request = RouteNetlinkMessage::DelLink(message(index, Vec::new()));
        self.remove(request, &[Errno::ENODEV], &|| format!("remove interface {index}"))
    }
}
