//! `sixgate reconfigure`.

use crate::control::{self, ReconfigureCommand};
use crate::{Outcome, cli, fail, print, view};
use clap::{Args, ValueEnum};

/// Ask DHCPv6 clients to come back now, instead of when they would anyway.
#[derive(Debug, Args)]
#[command(long_about = "\
Ask DHCPv6 clients of the running sixgate to come back now (Reconfigure, RFC 9915 section 18.3.11): after a change of prefixes,
resolvers or whatever else they are told. It takes a [reconfigure] section in the configuration, and clients that agreed to be
asked when they were bound; stock clients do so only where they are told to. Each message is authenticated by a key that its
client was given; it is repeated until the client comes, eight times at most. A hundred clients are asked within a second.

  sixgate reconfigure --all                       everybody who agreed
  sixgate reconfigure --link lan0                 those on one LAN or subnet
  sixgate reconfigure 2001:db8::7                 whoever holds that address or prefix; a DUID does too
  sixgate reconfigure --all --ask information-request     for configuration alone

Behind relay agents, clients are reached by the way of the message that last bound them or extended what they hold, as long as
each agent in it is still named in [relays]. Clients without such a way are told as out of reach: they hear of changes when
they renew.

Exit code 1 where the client that was named cannot be asked.")]
#[command(group = clap::ArgGroup::new("whom").args(["client", "all", "link"]).required(true))]
pub(crate) struct Arguments {
    /// An address or a prefix that the client holds, or its DUID.
    #[arg(value_name = "CLIENT")]
    pub(crate) client: Option<String>,
    /// Everybody who agreed.
    #[arg(long)]
    pub(crate) all: bool,
    /// Those on this LAN or subnet.
    #[arg(long, value_name = "NAME")]
    pub(crate) link: Option<String>,
    /// With which message they should come back.
    #[arg(long, value_enum, default_value_t = ComeBack::Renew)]
    pub(crate) ask: ComeBack,
    #[command(flatten)]
    pub(crate) view: cli::View,
}

/// The messages that a Reconfigure can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ComeBack {
    /// Extend what is held, at this server.
    Renew,
    /// Extend what is held, at any server.
    Rebind,
    /// Ask for configuration alone.
    InformationRequest,
}

impl ComeBack {
    /// On the wire.
    pub(crate) fn message(self) -> sixgate_wire::dhcpv6::MessageType {
        use sixgate_wire::dhcpv6::MessageType;
        match self {
            Self::Renew => MessageType::RENEW,
            Self::Rebind => MessageType::REBIND,
            Self::InformationRequest => MessageType::INFORMATION_REQUEST,
        }
    }
}

/// Asks clients of a running sixgate to come back.
pub(crate) fn command(arguments: &Arguments) -> Outcome {
    let command = ReconfigureCommand {
        client: arguments.client.clone(),
        lan: arguments.link.clone(),
        ask: arguments.ask,
    };
    let answer = control::give(&arguments.view, "reconfigure", &command);
    let answer = answer.and_then(|answer| Ok((answer.read::<view::Reconfigured>()?, answer)));
    let (done, answer) = match answer {
        Ok(answer) => answer,
        Err(outcome) => return outcome,
    };
    let outcome = if arguments.view.json {
        print(answer.json())
    } else {
        let never = match done.never_agreed {
            0 => String::new(),
            count => format!("; {count} never agreed to be asked, and hear of it when they renew"),
        };
        let out = match done.out_of_reach {
            0 => String::new(),
            count => format!(
                "; {count} cannot be reached now: no way is known through the relay agents before them, or [relays] names \
                 not all of those; they hear of it when they renew"
            ),
        };
        print(&format!("{} clients are being asked{never}{out}\n", done.asked))
    };
    // Whoever names one client wants that one.
    if done.asked == 0 && arguments.client.is_some() {
        return fail(if done.out_of_reach > 0 {
            "that client cannot be asked: it is out of reach behind its relay agents"
        } else {
            "that client cannot be asked: it holds nothing, or never agreed"
        });
    }
    outcome
}
