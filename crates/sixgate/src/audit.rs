//! `sixgate audit` and `sixgate checklist`: the edge around `sixgate_audit`, which does no I/O.

mod baseline;
mod report;
mod sarif;
mod walk;

use crate::{Outcome, fail, print, say};
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use sixgate_audit::checklist::ITEMS;
use sixgate_audit::{Language, RULES, Rule, Severity};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Read a program's source for the places that assume IPv4, without building it.
#[derive(Debug, Args)]
#[command(
    long_about = "\
Read a program's source for the places that assume IPv4, without building it: C, C++, Go, Rust, Python, Java,
JavaScript and TypeScript, shell, SQL, configuration files.

What is found is ranked by how bad it is and how sure the rule is: one line for each rule and file, on one
screen. --all prints every place, with why it matters and how to mend it. Test code is read and counted, and
shown with --tests. Symbolic links are not followed. Not entered, unless with --vendored: .git, .hg,
.svn, target, node_modules, vendor, third_party, __pycache__, .venv. What was not read is counted, and named with --json.

A comment allows what is meant, with a reason:

    listen = 127.0.0.1    # ipv6-audit: allow config-listen because the proxy before it connects there

on its own line or on the line before; `allow-file` allows a rule in the whole file.",
    after_help = "\
Examples:
  sixgate audit                               the source in this folder
  sixgate audit src --all                     every place
  sixgate audit --explain colon-split         why a rule exists, and how to mend it in each language
  sixgate audit --rules                       every rule
  sixgate audit --write-baseline known.json   remember what is there today ...
  sixgate audit --baseline known.json         ... and fail only on what is new
  sixgate audit --sarif audit.sarif           for a code host's review page

Exit codes: 0 nothing at or above --fail-on; 1 something is, or the report can't be written;
2 the command line is wrong."
)]
pub(crate) struct Arguments {
    /// A folder, or one file.
    #[arg(value_name = "DIR", default_value = ".")]
    path: PathBuf,
    /// Print every place, with why it matters and how to mend it.
    #[arg(long)]
    all: bool,
    /// Show what is in test code too.
    #[arg(long)]
    tests: bool,
    /// Enter folders of other people's code and of builds too.
    #[arg(long)]
    vendored: bool,
    /// Only this rule; may be given again.
    #[arg(long = "rule", value_name = "RULE", value_parser = identifiers(), hide_possible_values = true)]
    only: Vec<String>,
    /// From which severity on findings fail the command.
    #[arg(long, value_name = "SEVERITY", value_enum, default_value_t = FailOn::Error)]
    fail_on: FailOn,
    /// Only what is not in this file counts; --write-baseline makes it.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write what was found, for --baseline, and succeed.
    #[arg(long, value_name = "FILE", conflicts_with = "baseline")]
    write_baseline: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Also write SARIF 2.1.0.
    #[arg(long, value_name = "FILE")]
    sarif: Option<PathBuf>,
    /// Say why a rule exists and how to mend what it finds.
    #[arg(long, value_name = "RULE", exclusive = true, value_parser = identifiers(), hide_possible_values = true)]
    explain: Option<String>,
    /// List every rule.
    #[arg(long, exclusive = true)]
    rules: bool,
}

fn identifiers() -> PossibleValuesParser {
    PossibleValuesParser::new(RULES.iter().map(|rule| rule.id))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Error,
    Warning,
    Note,
    Never,
}

impl FailOn {
    fn fails(self, severity: Severity) -> bool {
        match self {
            Self::Error => severity >= Severity::Error,
            Self::Warning => severity >= Severity::Warning,
            Self::Note => true,
            Self::Never => false,
        }
    }
}

/// Show what has to hold before a program is ready for IPv6, and what tests each item.
#[derive(Debug, Args)]
#[command(long_about = "\
Show what has to hold before a program may be called ready for IPv6, each item with its id and with what tests
it today: rules of `sixgate audit`, findings of `sixgate wrap`. What nothing tests yet says so: it has to be
looked at by hand.")]
pub(crate) struct ChecklistArguments {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `sixgate audit`.
pub(crate) fn command(arguments: &Arguments) -> Outcome {
    if arguments.rules {
        return print(&rules());
    }
    if let Some(rule) = arguments.explain.as_deref().and_then(Rule::by_id) {
        return print(&explain(rule));
    }
    let known = match arguments.baseline.as_deref().map(baseline::Baseline::load).transpose() {
        Ok(known) => known,
        Err(message) => return usage(&message),
    };
    let mut audit = match walk::audit(&arguments.path, arguments.vendored) {
        Ok(audit) => audit,
        Err(message) => return usage(&message),
    };
    if !arguments.only.is_empty() {
        audit.found.retain(|place| arguments.only.iter().any(|id| id == place.finding.rule.id));
    }
    if !arguments.tests {
        let before = audit.found.len();
        audit.found.retain(|place| !place.finding.test);
        audit.in_tests = before - audit.found.len();
    }
    if let Some(mut known) = known {
        let before = audit.found.len();
        audit.found.retain(|place| !known.takes(place));
        audit.known = before - audit.found.len();
    }
    audit.found.sort_by(|a, b| {
        (b.finding.rank().cmp(&a.finding.rank())).then_with(|| {
            (&a.path, a.finding.line, a.finding.column).cmp(&(&b.path, b.finding.line, b.finding.column))
        })
    });
    if let Some(path) = &arguments.sarif
        && let Err(error) = std::fs::write(path, sarif::sarif(&audit))
    {
        return fail(&format!("cannot write {}: {error}", path.display()));
    }
    if let Some(path) = &arguments.write_baseline {
        return match std::fs::write(path, baseline::write(&audit.found)) {
            Ok(()) => {
                print(&format!("{} findings are known from now on: {}\n", audit.found.len(), path.display()))
            }
            Err(error) => fail(&format!("cannot write {}: {error}", path.display())),
        };
    }
    let shown = if arguments.json {
        print(&report::json(&audit))
    } else {
        print(&report::text(&audit, arguments.all, report::colour()))
    };
    let fails = audit.found.iter().any(|place| arguments.fail_on.fails(place.finding.rule.severity));
    match shown {
        Outcome::Done if fails => Outcome::Failed,
        shown => shown,
    }
}

/// Runs `sixgate checklist`.
pub(crate) fn checklist(arguments: &ChecklistArguments) -> Outcome {
    if arguments.json {
        let items: Vec<_> = ITEMS
            .iter()
            .map(|item| {
                let wrap = serde_json::json!({ "finds": item.wrap, "built": item.is_wrapped() });
                serde_json::json!({
                    "id": item.id(),
                    "text": item.text,
                    "tested": item.is_tested(),
                    "audit": item.rules().collect::<Vec<_>>(),
                    "wrap": (!item.wrap.is_empty()).then_some(wrap),
                })
            })
            .collect();
        return print(&(serde_json::Value::from(items).to_string() + "\n"));
    }
    let mut out = String::new();
    for item in ITEMS {
        let _ = writeln!(out, "{:<4} {}", item.id(), item.text);
        let rules: Vec<_> = item.rules().collect();
        if !rules.is_empty() {
            let _ = writeln!(out, "       audit: {}", rules.join(", "));
        }
        if !item.wrap.is_empty() {
            let built = if item.is_wrapped() { "" } else { " (not yet built)" };
            let _ = writeln!(out, "       wrap: {}{built}", item.wrap);
        }
        if rules.is_empty() && item.wrap.is_empty() {
            let _ = writeln!(out, "       by hand");
        }
    }
    let tested = ITEMS.iter().filter(|item| item.is_tested()).count();
    let _ = writeln!(
        out,
        "\n{} items; {tested} have a rule or a finding today, the rest is to be looked at by hand.\n\
         A rule sees source, not behaviour: nothing found is no proof.",
        ITEMS.len()
    );
    print(&out)
}

fn usage(message: &str) -> Outcome {
    say(&format!("sixgate: {message}\n"));
    Outcome::Usage
}

fn rules() -> String {
    let mut out = String::new();
    for rule in RULES {
        let _ = writeln!(out, "{:<8} {:<20} {}", rule.severity.name(), rule.id, rule.title);
    }
    out + "\nWhy one exists and how to mend what it finds: sixgate audit --explain RULE\n"
}

fn explain(rule: &Rule) -> String {
    let rows: Vec<String> = rule.rows.iter().map(|row| format!("R{row}")).collect();
    let mut out = format!("{} ({}; checklist {})\n", rule.id, rule.severity.name(), rows.join(", "));
    let _ = writeln!(out, "  what:  {}", rule.title);
    let _ = writeln!(out, "  why:   {}", rule.why);
    let _ = writeln!(out, "  mend:  {}", rule.mend);
    for language in Language::ALL {
        if let Some((_, mend)) = rule.mends.iter().find(|(of, _)| *of == language) {
            let _ = writeln!(out, "         {}: {mend}", language.name());
        }
    }
    let _ = writeln!(out, "  allow: ipv6-audit: allow {} because REASON      (in a comment)", rule.id);
    out
}
