//! `[[measure.plugin]]`: programs of the user's that measure.

use super::{Reader, file};
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;

/// Most of them: they are run one after the other.
const MOST: usize = 32;
/// What one may say where the file does not say, and at most, in octets.
const OCTETS: u32 = 64 * 1024;
const MOST_OCTETS: u32 = 1 << 20;
/// What it may take with all that it starts, in MiB, where the file does not say; and the least and the most.
const MEMORY: u32 = 512;
const LEAST_MEMORY: u32 = 16;
const MOST_MEMORY: u32 = 65_536;
/// Who runs it where the file does not say: one who may do nothing.
const NOBODY: u32 = 65_534;

/// A program that measures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plugin {
    pub(crate) name: String,
    /// The program, by its whole path, and its arguments.
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// From one start to the next.
    pub(crate) every: Duration,
    /// The longest that it may run.
    pub(crate) time: Duration,
    /// Octets that it may say.
    pub(crate) octets: usize,
    /// Octets of memory that it may take with all that it starts.
    pub(crate) memory: u64,
    /// Octets that it may send and receive in a day, as it tells them; none: it need not tell.
    pub(crate) budget: Option<u64>,
    /// The number of the user that runs it, and of the group.
    pub(crate) user: u32,
}

impl Reader<'_> {
    pub(super) fn measure(&mut self, measure: file::Measure) -> Vec<Plugin> {
        let mut plugins: Vec<Plugin> = Vec::new();
        for plugin in measure.plugin {
            let span = plugin.span();
            let Some(plugin) = self.plugin(plugin.into_inner()) else { continue };
            if plugins.iter().any(|other| other.name == plugin.name) {
                let message = format!("two plug-ins are called `{}`", plugin.name);
                self.error(span, "measure.plugin.name", message, "give each a name of its own");
            } else if plugins.len() == MOST {
                self.error(
                    span,
                    "measure.plugin",
                    format!("more than {MOST} plug-ins"),
                    "have one program measure several things",
                );
            } else {
                plugins.push(plugin);
            }
        }
        plugins
    }

    fn plugin(&mut self, plugin: file::Plugin) -> Option<Plugin> {
        let name = plugin.name.get_ref().clone();
        let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet);
        if name.is_empty() || name.len() > 40 || !name.bytes().all(plain) {
            let remedy = "write at most 40 letters, digits, - _ and .";
            self.error(
                plugin.name.span(),
                "measure.plugin.name",
                format!("`{}` is no name", name.escape_debug()),
                remedy,
            );
        }
        if plugin.user == Some(0) {
            let remedy =
                "write the number of a user who may do nothing, or leave it out: then it is 65534, nobody";
            self.error(
                plugin.command.span(),
                "measure.plugin.user",
                "0 is root, whom nothing bounds",
                remedy,
            );
        }
        let span = plugin.command.span();
        let mut words = plugin.command.into_inner().into_iter();
        let program = words.next().unwrap_or_default();
        if !program.starts_with('/') || program.contains('\0') {
            let remedy = "write the whole path and then the arguments, such as [\"/usr/local/lib/sixgate/web-time\", \"www.example.com\"]; no shell looks at it";
            self.error(
                span,
                "measure.plugin.command",
                format!("`{}` is no whole path", program.escape_debug()),
                remedy,
            );
            return None;
        }
        let every = self.seconds(plugin.every, "measure.plugin.every", 300, 5, 86_400);
        let most = every.as_secs().min(600);
        let time = self.seconds(plugin.time, "measure.plugin.time", most.min(30), 1, most);
        let octets = self.amount(plugin.octets, "measure.plugin.octets", OCTETS, (64, MOST_OCTETS));
        let memory = (LEAST_MEMORY, MOST_MEMORY);
        let memory = self.amount(plugin.memory, "measure.plugin.memory", MEMORY, memory);
        Some(Plugin {
            name,
            program: program.into(),
            arguments: words.collect(),
            every,
            time,
            octets: octets as usize,
            memory: u64::from(memory) << 20,
            budget: plugin.octets_a_day.map(Spanned::into_inner),
            user: plugin.user.unwrap_or(NOBODY),
        })
    }

    /// A number between two, or what holds where the file does not say.
    fn amount(
        &mut self,
        told: Option<Spanned<u32>>,
        key: &'static str,
        usual: u32,
        (least, most): (u32, u32),
    ) -> u32 {
        let Some(told) = told else { return usual };
        let value = *told.get_ref();
        if !(least..=most).contains(&value) {
            self.error(
                told.span(),
                key,
                format!("{value} is out of range"),
                format!("choose {least} to {most}"),
            );
        }
        value
    }
}
