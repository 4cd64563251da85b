//! `sixgate census`: who on this network could live without IPv4 today.

mod page;
mod table;
pub(crate) mod view;

use crate::{Outcome, cli, control, control_socket, fail, not_running, print, say};
use clap::Args;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

/// Show who on the LANs could live without IPv4 today, how sure that is, and what still needs it.
#[derive(Debug, Args)]
#[command(long_about = "\
Show who on the LANs could live without IPv4 today: for each client its stage, its score, and what it needed IPv4 for;
for the network, whether 1, 2, 5 and 10 % of its clients could. Asks a running sixgate whose configuration has a [census]
section; the census survives restarts.

SCORE is the chance that an hour goes well without IPv4, and beside it the interval in which that chance lies with 95 %
confidence (Wilson's, over the hours in which the client was seen). An hour speaks against a client when it used IPv4 for
something that it could not have had otherwise: an address that no name was asked for here, a name without IPv6 where nothing
translates, a name that it asked for by IPv4 alone, a neighbour on its own LAN. READY is who reaches 80 % with the lower end.

What it cannot show:
- Watching is not trying. However long nothing but IPv6 was needed, no more than 90 % is said of it; only a client that was told
  to do without IPv4 (option 108) and did is believed more, and one that failed is believed less.
- Hours of one client are not independent of each other: what it did not do so far, it may do on Monday. The interval is narrower
  than the truth. It takes 16 hours without a need to be ready.
- Names that are asked of another resolver, encrypted or not, are not seen: what is then reached over IPv4 counts as an
  address by number. Traffic that does not pass this gateway is seen by its ARP alone: where another machine routes IPv4, whoever
  asks for that machine counts as needing a neighbour.
- Of UDP over IPv4 one packet in 16 is looked at, of TCP the first of each connection.
- FAMILY is a guess from how a client asks (DHCP options, vendor class, connectivity checks). It is not proof.
- A hardware address that is made up (*) may be another tomorrow, and its client counted twice: the line for those whose address is
  not made up gives the other count. Anybody on a LAN can pretend to be anybody.

A client is shown by a keyed hash; with privacy = \"named\" by its name or hardware address, and with what it needed. Of names
that were needed, hashed clients show only those that three of them have in common.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) view: cli::View,
    /// Write one page that needs nothing else, with the curve of readiness over time.
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub(crate) html: Option<PathBuf>,
    /// Forget a client, on disk too: by its id, its name or its hardware address; or all.
    #[arg(long, value_name = "CLIENT|all", conflicts_with = "html")]
    pub(crate) forget: Option<String>,
}

/// Shows the census of a running sixgate, writes it as a page, or has it forget somebody.
pub(crate) fn command(arguments: &Arguments) -> Outcome {
    let path = match control_socket(&arguments.view) {
        Ok(path) => path,
        Err(outcome) => return outcome,
    };
    if let Some(who) = &arguments.forget {
        return forget(&path, who, arguments.view.json);
    }
    let census = match ask::<view::Census>(&path, "census") {
        Ok(census) => census,
        Err(outcome) => return outcome,
    };
    if let Some(file) = &arguments.html {
        return match std::fs::write(file, page::page(&census)) {
            Ok(()) => Outcome::Done,
            Err(error) => fail(&format!("cannot write {}: {error}", file.display())),
        };
    }
    if !arguments.view.json {
        return print(&table::table(&census));
    }
    match serde_json::to_string(&census) {
        Ok(text) => print(&(text + "\n")),
        Err(error) => fail(&error.to_string()),
    }
}

fn forget(path: &Path, who: &str, json: bool) -> Outcome {
    // It travels as one line.
    if who.is_empty() || who.chars().any(char::is_control) || who.len() > 200 {
        say("sixgate: name a client as `sixgate census` shows it, by its hardware address, or write `all`\n");
        return Outcome::Usage;
    }
    match ask::<view::Forgotten>(path, &format!("census forget {who}")) {
        Ok(view::Forgotten { forgotten }) if json => print(&format!("{{\"forgotten\":{forgotten}}}\n")),
        Ok(view::Forgotten { forgotten: 0 }) if who == "all" => print("there was nobody to forget\n"),
        Ok(view::Forgotten { forgotten: 0 }) => fail(&format!(
            "the census knows no client `{who}`; name it as `sixgate census` shows it, or by its hardware address"
        )),
        Ok(view::Forgotten { forgotten: 1 }) => print("forgotten: 1 client\n"),
        Ok(view::Forgotten { forgotten }) => print(&format!("forgotten: {forgotten} clients\n")),
        Err(outcome) => outcome,
    }
}

/// Asks for a view; what it answers instead is told.
fn ask<T: DeserializeOwned>(path: &Path, view: &str) -> Result<T, Outcome> {
    let json = control::ask(path, view).map_err(|error| not_running(path, &error))?;
    serde_json::from_str::<T>(&json).map_err(|error| {
        let refused: Option<String> = serde_json::from_str::<serde_json::Value>(&json)
            .ok()
            .and_then(|answer| Some(answer.get("error")?.as_str()?.to_owned()));
        match refused {
            Some(sentence) => fail(&sentence),
            None => fail(&format!("{} answered something else: {error}", path.display())),
        }
    })
}

/// A share of 0 to 1 in percent; what is not quite all or nothing does not look as if it were.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        p if p > 0.0 && p < 1.0 => "<1 %".to_owned(),
        p if p < 100.0 && p > 99.0 => ">99 %".to_owned(),
        p => format!("{p:.0} %"),
    }
}

/// What a kind of need is called.
fn need(kind: &str) -> &str {
    match kind {
        "name" => "name without IPv6",
        "name-asked-by-ipv4" => "name asked for by IPv4 alone",
        "address" => "address by number",
        "neighbour" => "neighbour on the LAN",
        other => other,
    }
}

/// Where a network stands to a line.
fn stands(line: &view::Line) -> String {
    let words = match line.stands.as_str() {
        "reached" => "could, surely",
        "open" => "open: more clients or more time will tell",
        _ => "could not yet",
    };
    format!("{:>2} %: {words}", line.percent)
}
