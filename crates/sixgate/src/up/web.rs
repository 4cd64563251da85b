//! The dashboard's sockets: one for each LAN and one for this machine itself, and none towards the uplink.

use super::engine::Engine;
use super::event::{Event, Sender};
use super::sockets::SocketsError;
use super::start::StartError;
use crate::config::Config;
use crate::web::{self, On, Site};
use crate::{control, view};
use sixgate_linux::listeners::{self, Protocol};
use sixgate_linux::socket::tcp_listener;
use std::net::{Ipv6Addr, SocketAddrV6, TcpListener};
use std::rc::Rc;
use tokio::sync::mpsc;
use tokio::task::spawn_local;

/// Views that may be waited for at one time.
const QUEUE: usize = 16;
/// Where this machine itself asks, or somebody through a tunnel that encrypts.
const LOOPBACK: &str = "lo";

/// A socket bound to the device takes what came in by it, whatever the address: nothing from the uplink, with or without the
/// firewall. Of either family.
fn listen(device: &str, port: u16) -> Result<TcpListener, SocketsError> {
    let any = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0);
    Ok(tcp_listener(any, Some(device), true)?)
}

fn devices(config: &Config) -> impl Iterator<Item = (On, &str)> {
    let lans = config.lans.iter().enumerate();
    lans.map(|(index, lan)| (On::Lan(index), lan.interface.value.as_str())).chain([(On::Here, LOOPBACK)])
}

/// Opens every port and closes it again: says who has one of them, before anything is changed.
pub(crate) fn require_ports(config: &Config) -> Result<(), SocketsError> {
    if let Some(port) = config.web {
        devices(config).try_for_each(|(_, device)| listen(device, port).map(drop))?;
    }
    Ok(())
}

/// Opens the dashboard, where it is asked for.
pub(crate) fn open(config: &Config, events: &Sender) -> Result<Option<Opened>, StartError> {
    let Some(port) = config.web else { return Ok(None) };
    let token = web::token(&config.state)?;
    let (asked, mut waiting) = mpsc::channel::<control::Request>(QUEUE);
    let events = events.clone();
    spawn_local(async move {
        while let Some(request) = waiting.recv().await {
            let _ = events.send(Event::Control(request)).await;
        }
    });
    let site = Rc::new(Site::new(&token, asked).map_err(SocketsError::Register)?);
    let mut found = Vec::new();
    for (on, device) in devices(config) {
        let listener = listen(device, port)?;
        let entry = listeners::verify_socket(&listener, Protocol::Tcp).map_err(SocketsError::Missing)?;
        found.push(format!("TCP [{}]:{} on {device}", entry.address, entry.port));
        let listener = tokio::net::TcpListener::from_std(listener).map_err(SocketsError::Register)?;
        spawn_local(web::serve(listener, on, Rc::clone(&site)));
    }
    Ok(Some(Opened { site, listeners: found }))
}

/// The dashboard's sockets are open.
pub(crate) struct Opened {
    pub(crate) site: Rc<Site>,
    /// As the kernel has them.
    pub(crate) listeners: Vec<String>,
}

impl Engine {
    /// Where the dashboard is.
    pub(crate) fn web_view(&self) -> view::Web {
        let Some(port) = self.config.web else { return view::Web::default() };
        let at = |lan: &str, host: String| view::Place {
            lan: lan.to_owned(),
            // ipv6-audit: allow url-join because a host is a name or comes in brackets
            url: format!("http://{host}:{port}/"),
        };
        let mut places = Vec::new();
        if self.config.dns.enabled {
            places.push(at("any LAN", web::NAMES.first().copied().unwrap_or_default().to_owned()));
        }
        for lan in &self.lans {
            let addresses =
                lan.resolvers().into_iter().map(|address| at(&lan.config.name, format!("[{address}]")));
            places.extend(addresses);
            places.extend(
                lan.config.ipv4.iter().map(|ipv4| at(&lan.config.name, ipv4.address.addr().to_string())),
            );
        }
        places.push(at("this machine", format!("[{}]", Ipv6Addr::LOCALHOST)));
        let token = self.config.state.join(web::TOKEN).display().to_string();
        view::Web { enabled: true, places, token }
    }
}
