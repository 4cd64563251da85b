//! Servers are asked for the prefixes that they delegated through us (bulk leasequery, RFC 5460): each once
//! for each LAN, after the start.

use crate::up::engine::Engine;
use crate::up::event::{Event, Sender};
use sixgate_dhcp::lease::LinkId;
use sixgate_dhcp::relay::recover::{Progress, query};
use sixgate_dhcp::relay::{Actions, Server};
use sixgate_wire::dhcpv6::{Duid, SERVER_PORT, TransactionId};
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::spawn_local;

/// How long a server may take to connect, and for each message.
const PATIENCE: Duration = Duration::from_secs(20);
/// When one that could not be reached is asked again, and how often in all.
const RETRY: Duration = Duration::from_secs(30);
const MOST_TRIES: u32 = 20;

/// Something came of a question.
#[derive(Debug)]
pub(crate) enum Asked {
    /// A message of the answer; whether more must be read.
    Message { server: Server, link: LinkId, bytes: Vec<u8>, more: oneshot::Sender<bool> },
    /// None came, or not all: why.
    Failed { server: Server, link: LinkId, why: String },
}

/// Who was asked about what, and why nothing came of it where nothing did.
#[derive(Debug, Default)]
pub(super) struct Asking(BTreeMap<(Server, LinkId), Option<String>>);

impl Asking {
    /// Why routes are not recovered, as sentences.
    pub(super) fn problems(&self) -> impl Iterator<Item = String> {
        let failed = self.0.iter().filter_map(|((server, link), why)| Some((server, link, why.as_ref()?)));
        failed.map(|(server, link, why)| {
            format!(
                "the DHCPv6 server {} does not tell which prefixes are delegated on LAN {link}: {why}; let it answer bulk leasequery \
                 from this machine, or set relay-agent.recover = false",
                server.address
            )
        })
    }
}

impl Engine {
    /// Asks whoever was not asked yet, where that is wanted.
    pub(super) fn ask_servers(&mut self) {
        let events = self.upstreams.events();
        let Some(agent) = &mut self.relay else { return };
        let recover = self.config.relay.recover;
        // What is asked for no longer is no problem any more.
        let links = &agent.config.links;
        let asks = |(server, link): &(Server, LinkId)| {
            recover && links.iter().any(|told| told.name == *link && told.servers.contains(server))
        };
        agent.asking.0.retain(|key, _| asks(key));
        if !recover {
            return;
        }
        let askable: Vec<(LinkId, Ipv6Addr)> =
            agent.core.askable().map(|(link, address)| (LinkId::clone(link), address)).collect();
        for (link, address) in askable {
            let told = agent.config.links.iter().find(|told| told.name == link);
            for server in told.map_or(&[][..], |told| &told.servers) {
                // A group cannot be connected to.
                let key = (*server, LinkId::clone(&link));
                if server.address.is_multicast() || agent.asking.0.contains_key(&key) {
                    continue;
                }
                agent.asking.0.insert(key, None);
                spawn_local(ask(*server, LinkId::clone(&link), address, self.duid.clone(), events.clone()));
            }
        }
    }

    /// Something came of it.
    pub(crate) fn relay_asked(&mut self, asked: Asked) {
        let now = self.now();
        let Some(agent) = &mut self.relay else { return };
        let mut actions = Actions::new();
        match asked {
            Asked::Message { server, link, bytes, more } => {
                let progress = agent.core.recover(now, &link, &bytes, &mut actions);
                let why = match &progress {
                    Ok(Progress::More | Progress::Done) => None,
                    Ok(Progress::Refused(status, words)) => Some(format!("it says {status} ({words})")),
                    Err(error) => Some(error.to_string()),
                };
                if progress == Ok(Progress::Done) {
                    tracing::info!(server = %server.address, lan = %link, "delegated prefixes recovered");
                }
                agent.asking.0.insert((server, link), why);
                let _ = more.send(progress == Ok(Progress::More));
            }
            Asked::Failed { server, link, why } => {
                tracing::debug!(server = %server.address, lan = %link, why, "no answer to bulk leasequery");
                agent.asking.0.insert((server, link), Some(why));
            }
        }
        self.relay_actions(actions);
    }
}

async fn ask(server: Server, link: LinkId, address: Ipv6Addr, duid: Duid, events: Sender) {
    for _ in 0..MOST_TRIES {
        let Err(error) = once(server, &link, address, &duid, &events).await else { return };
        let why = error.to_string();
        let failed = Asked::Failed { server, link: LinkId::clone(&link), why };
        if events.send(Event::RelayAsked(failed)).await.is_err() {
            return;
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Asks, and hands over the answer message by message, for as long as there is more.
async fn once(
    server: Server,
    link: &LinkId,
    address: Ipv6Addr,
    duid: &Duid,
    events: &Sender,
) -> io::Result<()> {
    let to = SocketAddrV6::new(server.address, SERVER_PORT, 0, server.interface.unwrap_or(0));
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    let mut stream = tokio::time::timeout(PATIENCE, TcpStream::connect(to)).await.map_err(late)??;
    let transaction = TransactionId(std::array::from_fn(|_| fastrand::u8(..)));
    let message = query(duid, transaction, address).map_err(io::Error::other)?;
    let framed = sixgate_wire::dhcpv6::leasequery::framed(&message).map_err(io::Error::other)?;
    stream.write_all(&framed).await?;
    loop {
        let mut length = [0; 2];
        tokio::time::timeout(PATIENCE, stream.read_exact(&mut length)).await.map_err(late)??;
        let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
        tokio::time::timeout(PATIENCE, stream.read_exact(&mut bytes)).await.map_err(late)??;
        let (more, answer) = oneshot::channel();
        let asked = Asked::Message { server, link: LinkId::clone(link), bytes, more };
        if events.send(Event::RelayAsked(asked)).await.is_err() || !answer.await.unwrap_or(false) {
            return Ok(());
        }
    }
}
