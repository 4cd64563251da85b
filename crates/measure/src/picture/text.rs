//! Pictures for a terminal: braille dots, four rows and two columns of them in each character.

use super::{Panel, round_up};
use std::fmt::Write as _;

/// A line of values as dots in one row of characters, the newest at the right: what fits in `width` characters.
pub fn spark(values: &[f64], width: usize, top: f64) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let shown = values.get(values.len().saturating_sub(width)..).unwrap_or_default();
    let bar = |value: &f64| {
        #[allow(clippy::cast_sign_loss)]
        let height = (value / top.max(1e-9) * 8.0).ceil().clamp(1.0, 8.0) as usize;
        BARS.get(height - 1).copied().unwrap_or('█')
    };
    shown.iter().map(bar).collect()
}

/// A panel, its greatest values, and the times below it. All lines together, so that what stands out is seen.
pub fn draw(panel: &Panel, seconds: f64, width: usize, height: usize) -> String {
    let (width, height) = (width.clamp(10, 400), height.clamp(2, 60));
    let top = panel.top();
    let (columns, rows) = (width * 2, height * 4);
    let mut cells = vec![0_u8; width * height];
    for (at, value) in panel.lines.iter().flat_map(|line| &line.points) {
        let (column, row) = (place(at / seconds.max(1e-9), columns), place(value / top, rows));
        let down = rows - 1 - row;
        if let Some(cell) = cells.get_mut(down / 4 * width + column / 2) {
            *cell |= dot(column % 2, down % 4);
        }
    }
    let mut out = format!("{}\n", panel.title);
    for (index, row) in cells.chunks(width).enumerate() {
        let label = match index {
            0 => format!("{top:>6.0}"),
            last if last == height - 1 => "     0".to_owned(),
            _ => "      ".to_owned(),
        };
        let dots: String =
            row.iter().map(|cell| char::from_u32(0x2800 + u32::from(*cell)).unwrap_or(' ')).collect();
        let _ = writeln!(out, "{label} ┤{}", dots.trim_end_matches('\u{2800}'));
    }
    let _ = writeln!(out, "       └{:─<width$}", "");
    let _ = writeln!(out, "        0 s{:>1$}", format!("{seconds:.0} s"), width.saturating_sub(3));
    out
}

/// Which of so many places a share has.
#[allow(clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn place(share: f64, places: usize) -> usize {
    ((share.clamp(0.0, 1.0) * places as f64) as usize).min(places.saturating_sub(1))
}

/// The bit of a dot of a braille pattern (Unicode chapter 21.1).
fn dot(column: usize, row: usize) -> u8 {
    match (column, row) {
        (0, 3) => 0x40,
        (_, 3) => 0x80,
        (0, row) => 1 << row,
        (_, row) => 8 << row,
    }
}

/// The top of the axis for these values.
pub fn top(values: &[f64]) -> f64 {
    round_up(values.iter().copied().fold(1.0, f64::max))
}

#[cfg(test)]
mod tests {
    use super::super::Line;
    use super::*;

    #[test]
    fn a_rising_line_rises() {
        let points = (0..100).map(|n| (f64::from(n), f64::from(n))).collect();
        let panel = Panel { title: "ms".to_owned(), lines: vec![Line { name: "a".to_owned(), points }] };
        let text = draw(&panel, 100.0, 20, 5);
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(rows.len(), 8, "{text}");
        assert!(rows[1].trim_start().starts_with("100"), "{text}");
        // The top row has its dots at the right, the bottom row at the left.
        let blanks = |row: &str| row.chars().skip(8).take_while(|c| *c == '\u{2800}').count();
        assert!(blanks(rows[1]) > 10 && blanks(rows[5]) == 0, "{text}");
    }

    #[test]
    fn sparks_show_the_newest() {
        assert_eq!(spark(&[0.0, 50.0, 100.0], 2, 100.0), "▄█");
        assert_eq!(spark(&[], 10, 1.0), "");
        assert_eq!(spark(&[f64::NAN.max(0.0), 1e30], 5, 1.0), "▁█");
        assert!((top(&[]) - 1.0).abs() < 1e-9 && (top(&[130.0]) - 200.0).abs() < 1e-9);
    }
}
