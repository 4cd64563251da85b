//! Shaping a link: a queue of ours, slower than the link by a little, in front of it in both directions, so that packets wait where
//! their waiting is governed and not in a modem.
//!
//! Where the kernel has a queue that does (CAKE, else FQ-CoDel under HTB), it is configured (`kernel`). Else `sixgate-aqm` does it,
//! in the way of the packets (`own`, `path`, `frame`). `plan` is what is wanted; `view` what is shown.

mod frame;
mod own;
mod path;
mod plan;
mod view;

pub(crate) use plan::{Direction, LinkKind, Plan, Shares, Speed, Which, rate, speed};
pub(crate) use view::ShapeView;

use crate::{Outcome, cli, fail, print, say};
use own::Own;
use sixgate_aqm::shape::Config;
use sixgate_linux::nft;
use sixgate_linux::route::{self, Netlink};
use sixgate_linux::sandbox;
use sixgate_linux::socket;
use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What is to be shaped, and how.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Setup {
    pub(crate) interface: String,
    pub(crate) plan: Plan,
}

impl Setup {
    /// How the shaper of each direction is made.
    fn directions(&self) -> impl Iterator<Item = (Direction, Config)> + '_ {
        Direction::BOTH.into_iter().filter_map(|direction| Some((direction, self.plan.config(direction)?)))
    }
}

/// Why a link is not shaped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "cannot shape {0}: its packets have no Ethernet header, and this kernel has no queue of its own for it (sch_cake, sch_fq_codel)"
    )]
    NotEthernet(String),
    #[error(
        "cannot make the TAP device {device}: {source}; a name that is taken becomes free by `ip link del {device}`"
    )]
    Device { device: String, source: io::Error },
    #[error("cannot start a thread for the queue: {0}")]
    Thread(io::Error),
    #[error(transparent)]
    Route(#[from] route::Error),
    #[error(transparent)]
    Rules(#[from] nft::Error),
    #[error(transparent)]
    Socket(#[from] socket::Error),
    #[error(transparent)]
    Sandbox(#[from] sandbox::Error),
}

/// A link that is shaped. When this is dropped it is not any more.
pub(crate) struct Shaping {
    setup: Setup,
    /// Why this queue.
    reason: String,
    own: Own,
}

impl Shaping {
    /// Begins.
    ///
    /// # Errors
    /// What the kernel refuses; nothing is left then.
    pub(crate) fn start(netlink: &mut Netlink, setup: Setup) -> Result<Self, Error> {
        let own = Own::start(netlink, &setup)?;
        let reason = "this kernel has neither sch_cake nor sch_fq_codel".to_owned();
        Ok(Self { setup, reason, own })
    }

    /// Why it does not go on, if it does not.
    pub(crate) fn failed(&self) -> Option<String> {
        self.own.failed()
    }
}

/// `sixgate shape`: shapes one interface until told to stop.
pub(crate) fn command(arguments: &cli::Shape) -> Outcome {
    let stopped = match crate::demo::stop_on_signal() {
        Ok(stopped) => stopped,
        Err(error) => return fail(&format!("cannot listen for Ctrl-C: {error}")),
    };
    let setup = Setup { interface: arguments.interface.clone(), plan: arguments.plan() };
    let started = Netlink::new().map_err(Error::from).and_then(|mut netlink| {
        let shaping = Shaping::start(&mut netlink, setup)?;
        Ok((netlink, shaping))
    });
    let (_netlink, shaping) = match started {
        Ok(started) => started,
        Err(error) => {
            say(&format!("sixgate: {error}\n"));
            return Outcome::Refused;
        }
    };
    let show = |shaping: &Shaping| {
        let view = shaping.view();
        if arguments.json {
            match serde_json::to_string(&view) {
                Ok(json) => print(&format!("{json}\n")),
                Err(error) => fail(&error.to_string()),
            }
        } else {
            print(&view.table())
        }
    };
    let told = if arguments.json {
        show(&shaping)
    } else {
        print(&format!("on: {}; until Ctrl-C\n", shaping.view().line()))
    };
    if told != Outcome::Done {
        return told;
    }
    while !stopped.load(Ordering::Relaxed) {
        if let Some(why) = shaping.failed() {
            return fail(&format!("shaping has ended: {why}"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    show(&shaping)
}
