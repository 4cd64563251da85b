//! A self-contained SVG: no script, no font, nothing that is fetched.

use super::Panel;
use crate::markup::escaped;
use std::fmt::Write as _;

const WIDTH: f64 = 900.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const PANEL: f64 = 230.0;
const GAP: f64 = 64.0;
const TOP: f64 = 64.0;
/// Colours that people tell apart whatever they see (after Okabe and Ito).
const COLOURS: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8a8a00"];
/// Points of a line; more cannot be told apart.
const MOST_POINTS: usize = 2000;

/// Panels below each other over `seconds`; the time between `loaded` is shaded. `notes` stand below.
pub fn draw(
    title: &str,
    panels: &[Panel],
    seconds: f64,
    loaded: Option<(f64, f64)>,
    notes: &[String],
) -> String {
    let seconds = seconds.max(0.001);
    #[allow(clippy::cast_precision_loss)]
    let height = TOP + panels.len() as f64 * (PANEL + GAP) + notes.len() as f64 * 18.0 + 16.0;
    let mut out = String::new();
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n<text x=\"{LEFT}\" y=\"28\" font-size=\"18\">{}</text>\n",
        escaped(title)
    );
    let x = |at: f64| LEFT + (at / seconds).clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT);
    let mut top = TOP;
    for panel in panels {
        let most = panel.top();
        let y = |value: f64| top + PANEL - (value / most).clamp(0.0, 1.0) * PANEL;
        let _ = writeln!(
            out,
            "<text x=\"{LEFT}\" y=\"{:.0}\" font-weight=\"bold\">{}</text>",
            top - 8.0,
            escaped(&panel.title)
        );
        if let Some((from, to)) = loaded {
            let (from, to) = (x(from), x(to));
            let _ = writeln!(
                out,
                "<rect x=\"{from:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{PANEL}\" fill=\"#f2f2f2\"/>",
                (to - from).max(0.0)
            );
        }
        for part in 0..=4 {
            let value = most * (f64::from(part) / 4.0);
            let _ = writeln!(
                out,
                "<path d=\"M{LEFT} {0:.1}H{1}\" stroke=\"#ccc\"/><text x=\"{2}\" y=\"{3:.1}\" text-anchor=\"end\">{4}</text>",
                y(value),
                WIDTH - RIGHT,
                LEFT - 6.0,
                y(value) + 4.0,
                number(value)
            );
        }
        for part in 0..=5 {
            let at = seconds * f64::from(part) / 5.0;
            let _ = writeln!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{} s</text>",
                x(at),
                top + PANEL + 16.0,
                number(at)
            );
        }
        let mut legend = LEFT;
        for (line, colour) in panel.lines.iter().zip(COLOURS.into_iter().cycle()) {
            let every = line.points.len().div_ceil(MOST_POINTS).max(1);
            let mut path = String::new();
            for (at, value) in line.points.iter().step_by(every) {
                let _ =
                    write!(path, "{}{:.1} {:.1}", if path.is_empty() { "M" } else { "L" }, x(*at), y(*value));
            }
            let _ = writeln!(
                out,
                "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.2\"/>\
                 <text x=\"{legend:.0}\" y=\"{:.1}\" fill=\"{colour}\">{}</text>",
                top + PANEL + 34.0,
                escaped(&line.name)
            );
            #[allow(clippy::cast_precision_loss)]
            {
                legend += 14.0 + line.name.chars().count() as f64 * 7.0;
            }
        }
        top += PANEL + GAP;
    }
    for note in notes {
        let _ = writeln!(out, "<text x=\"{LEFT}\" y=\"{top:.0}\">{}</text>", escaped(note));
        top += 18.0;
    }
    out.push_str("</svg>\n");
    out
}

/// With as many digits as one can read.
fn number(value: f64) -> String {
    if value == 0.0 || value >= 10.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

#[cfg(test)]
mod tests {
    use super::super::Line;
    use super::*;

    #[test]
    fn what_others_named_stays_text() {
        let line = Line { name: "<script>&".to_owned(), points: vec![(0.0, 1.0), (1.0, f64::MAX)] };
        let panel = Panel { title: "a\"b".to_owned(), lines: vec![line] };
        let svg = draw("t", &[panel], 1.0, Some((0.2, 0.8)), &["note\x1b".to_owned()]);
        assert!(!svg.contains("<script") && svg.contains("&lt;script&gt;&amp;"), "{svg}");
        assert!(!svg.contains('\x1b') && !svg.contains("NaN") && !svg.contains("inf"));
        assert_eq!(svg.matches("<svg").count(), 1);
    }

    #[test]
    fn long_lines_are_thinned() {
        let points = (0..100_000).map(|n| (f64::from(n), 1.0)).collect();
        let panel = Panel { title: String::new(), lines: vec![Line { name: String::new(), points }] };
        assert!(draw("", &[panel], 1e5, None, &[]).len() < 100_000);
    }
}
