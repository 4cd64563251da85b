//! How measurements are shown: tables, progress, pictures on a terminal.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

/// A line of progress on standard error: one that is written over on a terminal, one for each word elsewhere.
pub(crate) struct Progress {
    live: bool,
    quiet: bool,
    last: String,
}

impl Progress {
    pub(crate) fn new(quiet: bool) -> Self {
        Self { live: std::io::stderr().is_terminal(), quiet, last: String::new() }
    }

    /// What happens now. Without a terminal it is said when `step` is another than before.
    pub(crate) fn show(&mut self, step: &str, detail: &str) {
        if self.live {
            let _ = write!(std::io::stderr(), "\r\x1b[K{step}  {detail}");
        } else if !self.quiet && self.last != step {
            crate::say(&format!("{step}\n"));
        }
        step.clone_into(&mut self.last);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.live {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// Whether a picture may be drawn.
pub(super) fn draws() -> bool {
    std::io::stdout().is_terminal()
}

/// Columns of the terminal for a picture.
pub(crate) fn width() -> usize {
    let told = std::env::var("COLUMNS").ok().and_then(|text| text.parse::<usize>().ok());
    told.unwrap_or(80).clamp(30, 200).saturating_sub(10)
}

/// Writes a file, or says why not.
pub(super) fn write(path: &Path, text: &str) -> Result<(), crate::Outcome> {
    std::fs::write(path, text)
        .map_err(|error| crate::fail(&format!("cannot write {}: {error}", path.display())))
}

/// Milliseconds for people: as many digits as the error allows to believe.
pub(crate) fn ms(value: f64) -> String {
    if value < 10.0 { format!("{value:.2}") } else { format!("{value:.1}") }
}

/// A table: columns as wide as what is in them, the first to the left, others to the right.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let wide = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(wide).collect();
    let mut out = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, width))| {
                let width = *width;
                if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            })
            .collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        assert_eq!(table(&[row(["a", "1"]), row(["bcd", "10"])]), "a     1\nbcd  10\n");
        assert_eq!(table(&[]), "");
    }
}
