//! Reservations: as a file has them, as the control socket takes them, and `sixgate reservation`.

mod command;
mod csv;
mod draft;
mod file;

pub(crate) use command::{Arguments, command};
pub(crate) use draft::Draft;
pub(crate) use file::load;
