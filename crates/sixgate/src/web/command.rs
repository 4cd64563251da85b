//! `sixgate web`: where the dashboard is, and the token.

use super::auth;
use crate::{Outcome, cli, control, control_socket, fail, not_running, places, print, view};

pub(crate) fn command(arguments: &cli::Web) -> Outcome {
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

fn show_token(arguments: &cli::Web) -> Outcome {
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
