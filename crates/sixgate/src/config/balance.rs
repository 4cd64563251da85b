//! `buckets` in `[dhcp]`: which clients are ours, where several servers share them.

use super::{Reader, file};
use crate::buckets::Map;
use sixgate_dhcp::balance::{Balance, Buckets, Coverage};
use std::path::Path;
use std::time::Duration;
use toml::Spanned;

/// The longest wait that both protocols can tell of: DHCPv6 counts to 655 s.
const LONGEST_DELAY: u64 = 600;

impl Reader<'_> {
    /// None where all clients are ours, as they are until somebody says otherwise.
    pub(super) fn balance(
        &mut self,
        buckets: Option<Spanned<String>>,
        name: Option<Spanned<String>>,
        delay: Option<Spanned<file::Seconds>>,
    ) -> Option<Balance> {
        let Some(text) = buckets else {
            let alone = name.map(|n| ("dhcp.server-name", n.span()));
            if let Some((key, span)) = alone.or(delay.map(|d| ("dhcp.service-delay", d.span()))) {
                let remedy = "add buckets = \"0-127\" to [dhcp], or take the key away";
                self.error(span, key, "it says something of buckets, and there are none", remedy);
            }
            return None;
        };
        let service_delay = delay.is_some().then(|| {
            let delay = self.seconds(delay, "dhcp.service-delay", 0, 1, LONGEST_DELAY);
            Duration::from_secs(delay.as_secs())
        });
        let buckets = if text.get_ref().contains('/') {
            self.mapped(&text, name.as_ref())?
        } else {
            match text.get_ref().parse::<Buckets>() {
                Ok(buckets) => buckets,
                Err(error) => {
                    let remedy = "write numbers from 0 to 255 and ranges of them, such as \"0-127,200\"; a path has a `/`";
                    self.error(text.span(), "dhcp.buckets", error.to_string(), remedy);
                    return None;
                }
            }
        };
        let others = buckets.others();
        if !others.is_empty() {
            let told = format!(
                "clients of the buckets {others} are left to other servers; nobody answers them when those are gone{}",
                if service_delay.is_some() { ", until they have waited for service-delay" } else { "" }
            );
            let remedy = "buckets alone keep no lease and replace no server: give each server pools of its own, and prove the \
                          maps of all with `sixgate buckets check`";
            self.warn(text.span(), "dhcp.buckets", told, remedy);
        }
        Some(Balance { buckets, service_delay })
    }

    /// Our buckets by the map that all servers share.
    fn mapped(&mut self, path: &Spanned<String>, name: Option<&Spanned<String>>) -> Option<Buckets> {
        // From where the configuration lies, wherever `up` was called.
        let beside = self.path.parent().unwrap_or(Path::new("")).join(path.get_ref());
        let map = match Map::read(&beside) {
            Ok(map) => map,
            Err(error) => {
                let remedy =
                    "make one with `sixgate buckets split 50/30/20 > FILE`, and give it to every server";
                self.error(path.span(), "dhcp.buckets", error.to_string(), remedy);
                return None;
            }
        };
        let coverage = Coverage::of(map.servers().map(|(_, buckets)| buckets));
        for (buckets, told) in
            [(coverage.missing, "no server's"), (coverage.shared, "those of more than one server")]
        {
            if !buckets.is_empty() {
                let message = format!("by {}, the buckets {buckets} are {told}", beside.display());
                self.warn(path.span(), "dhcp.buckets", message, "see `sixgate buckets check`");
            }
        }
        let names = map.servers().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        let Some(name) = name else {
            let message = format!("which of the servers in {} is this one?", beside.display());
            self.error(
                path.span(),
                "dhcp.server-name",
                message,
                format!("add server-name = one of: {names}"),
            );
            return None;
        };
        let ours = map.servers().find(|(known, _)| *known == name.get_ref()).map(|(_, buckets)| *buckets);
        if ours.is_none() {
            let message = format!("{} has no server `{}`", beside.display(), name.get_ref());
            self.error(name.span(), "dhcp.server-name", message, format!("it has: {names}"));
        }
        ours
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{HOME, finding, parse};
    use super::*;

    #[test]
    fn everybody_is_ours_unless_somebody_says_otherwise() {
        let with = |dhcp: &str| parse(&format!("{HOME}[dhcp]\n{dhcp}")).expect("a good configuration");
        assert_eq!(with("").config.dhcp.balance, None);
        let half = with("buckets = \"0-127\"\nservice-delay = \"30s\"\n");
        let balance = half.config.dhcp.balance.expect("a balance");
        assert_eq!(balance.service_delay, Some(Duration::from_secs(30)));
        assert_eq!(balance.buckets.to_string(), "0-127");
        assert!(
            half.warnings[0].message.contains("clients of the buckets 128-255 are left to other servers")
        );
        assert!(half.warnings[0].remedy.contains("keep no lease and replace no server"));
        assert!(with("buckets = \"0-255\"\n").warnings.is_empty());
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (dhcp, told) in [
            (
                "buckets = \"0-256\"\n",
                "10:11 `0-256` is neither a bucket nor a range of buckets / write numbers",
            ),
            ("server-name = \"a\"\n", "10:15 it says something of buckets, and there are none / add buckets"),
            ("service-delay = 5\n", "10:17 it says something of buckets, and there are none / add buckets"),
            (
                "buckets = \"/none\"\n",
                "10:11 cannot read /none: No such file or directory (os error 2) / make one",
            ),
        ] {
            let found = finding(&format!("{HOME}[dhcp]\n{dhcp}"));
            assert!(found.starts_with(told), "{found}");
        }
        let long = finding(&format!("{HOME}[dhcp]\nbuckets = \"0-255\"\nservice-delay = \"11m\"\n"));
        assert!(long.contains("660 s is out of range / choose 1 to 600 seconds"), "{long}");
    }

    #[test]
    fn a_map_is_for_all_servers_and_each_names_itself() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("map.toml");
        std::fs::write(&file, "a = \"0-99\"\nb = \"90-254\"\n").expect("a file");
        let with = |name: &str| {
            parse(&format!("{HOME}[dhcp]\nbuckets = \"{}\"\n{name}", file.display())).map(|checked| {
                let warnings: Vec<String> = checked.warnings.into_iter().map(|found| found.message).collect();
                (checked.config.dhcp.balance.expect("a balance").buckets.to_string(), warnings.join("\n"))
            })
        };
        let (buckets, warnings) = with("server-name = \"b\"\n").expect("a good configuration");
        assert_eq!(buckets, "90-254");
        assert!(warnings.contains("the buckets 255 are no server's"), "{warnings}");
        assert!(warnings.contains("the buckets 90-99 are those of more than one server"), "{warnings}");
        for (name, told) in
            [("", "add server-name = one of: a, b"), ("server-name = \"c\"\n", "it has: a, b")]
        {
            let found = with(name).expect_err("no such server");
            assert!(found.iter().any(|finding| finding.remedy == told), "{found:?}");
        }
    }
}
