//! `sixgate census`: who on this network could live without IPv4 today.

mod page;
mod table;
pub(crate) mod view;

use crate::{Outcome, cli, control, control_socket, fail, not_running, print, say};
use serde::de::DeserializeOwned;
use std::path::Path;

/// Shows the census of a running sixgate, writes it as a page, or has it forget somebody.
pub(crate) fn command(arguments: &cli::Census) -> Outcome {
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
