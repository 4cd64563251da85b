//! `[web]`: the dashboard.

use super::{Reader, file};
use crate::web::PORT;
use toml::Spanned;

impl Reader<'_> {
    /// The dashboard's port; none where it is off, as it is until asked for.
    pub(super) fn web(&mut self, web: file::Web) -> Option<u16> {
        let span = web.port.as_ref().map(Spanned::span);
        let port = web.port.map_or(PORT, Spanned::into_inner);
        if port == 0 || port == 53 {
            self.error(
                span.unwrap_or_default(),
                "web.port",
                format!("the dashboard cannot have port {port}"),
                format!("choose {PORT}, or 80 for addresses without a port"),
            );
        }
        web.enabled.unwrap_or(false).then_some(port)
    }
}
