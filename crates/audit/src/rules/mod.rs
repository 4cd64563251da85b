//! What is looked for. Each module has one theme; each rule looks at a bounded number of tokens around one,
//! so that all of them together take time linear in the size of the source.

mod access;
mod config;
mod family;
mod fields;
mod join;
mod listen;
mod literals;
mod patterns;
mod perl;
mod resolver;
mod shell;
mod split;

use crate::Language;
use crate::finding::Collector;
use crate::lexer::Kind;
use crate::source::Source;

/// Runs every rule over a source.
pub(crate) fn run(source: &Source<'_>, out: &mut Collector<'_, '_>) {
    match source.language {
        Language::Config => return config::run(source, out),
        Language::Shell => return shell::run(source, out),
        Language::Sql => {
            for at in 0..source.len() {
                if source.kind(at) == Some(Kind::Word) {
                    fields::sql(source, at, out);
                }
            }
            return;
        }
        _ => {}
    }
    for at in 0..source.len() {
        match source.kind(at) {
            Some(Kind::Word) => {
                family::word(source, at, out);
                resolver::word(source, at, out);
                fields::word(source, at, out);
                split::word(source, at, out);
                access::word(source, at, out);
                listen::word(source, at, out);
                if source.language == Language::Perl {
                    perl::word(source, at, out);
                }
            }
            Some(Kind::Text) => {
                family::text(source, at, out);
                literals::text(source, at, out);
                patterns::text(source, at, out);
                join::text(source, at, out);
                fields::text(source, at, out);
                split::pattern(source, at, out);
            }
            Some(Kind::Pattern) => {
                patterns::text(source, at, out);
                access::pattern(source, at, out);
                split::pattern(source, at, out);
            }
            Some(Kind::Mark) => access::mark(source, at, out),
            _ => {}
        }
    }
}
