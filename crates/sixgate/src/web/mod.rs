//! The dashboard: pages and JSON over HTTP, for the LANs and for this machine, off until asked for.
//!
//! `serve` has the connections, `site` decides what is answered, `auth` who may have it; `sixgate_http` reads and writes. What is
//! shown are the views of the control socket, and what can be done are its commands.

pub(crate) mod auth;
mod command;
mod serve;
mod site;

pub(crate) use auth::{TOKEN, TokenError, token};
pub(crate) use command::{Arguments, command};
pub(crate) use serve::{On, Site, serve};
pub(crate) use site::NAMES;

/// Port where the configuration names none. Registered for nothing.
pub(crate) const PORT: u16 = 6464;
