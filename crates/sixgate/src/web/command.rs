//! `sixgate web`: where the dashboard is, and the token.

use super::auth;
use crate::{Outcome, cli, control, control_socket, fail, not_running, places, print, view};
use clap::Args;

/// Say where the dashboard is, and with --token the token that it asks for.
#[derive(Debug, Args)]
#[command(long_about = "\
Say where the dashboard is: one address for each LAN. Everybody there sees whether all is well; who is connected, and every
change, takes the token, which --token prints. It is off until the configuration says [web] enabled = true.

The page is served by plain HTTP: on a LAN where others can listen, reach it through ssh -L 6464:[::1]:6464 GATEWAY, and
open http://localhost:6464/.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) view: cli::View,
    /// Print the token, and nothing else; reads it from the state folder.
    #[arg(long, conflicts_with_all = ["json", "control"])]
    pub(crate) token: bool,
}

pub(crate) fn command(arguments: &Arguments) -> Outcome {
    if arguments.token {
        return show_token(arguments);
    }
    let path = match control_socket(&arguments.view) {
        Ok(path) => path,
        Err(outcome) => return outcome,
    };
    let json = match control::ask(&path, "web") {
        Ok(json) => json,
        Err(error) => return not_running(&path, &error),
    };
    let Ok(web) = serde_json::from_str::<view::Web>(&json) else {
        return fail(&format!("{} answered something else", path.display()));
    };
    if arguments.view.json {
        return print(&json);
    }
    if !web.enabled {
        return fail(
            "the dashboard is off\n  = help: write [web] with enabled = true into the configuration, and restart sixgate",
        );
    }
    print(&web.table())
}

fn show_token(arguments: &Arguments) -> Outcome {
    let folder = match places(arguments.view.config.as_deref()) {
        Ok(places) => places.state,
        Err(outcome) => return outcome,
    };
    match auth::read(&folder) {
        Ok(Some(token)) => print(&format!("{token}\n")),
        Ok(None) => fail(&format!(
            "there is no token in {}: it is made when sixgate first starts with [web] enabled = true",
            folder.display()
        )),
        Err(error) => fail(&format!("{error}\n  = help: run as root, or as who runs sixgate")),
    }
}
