//! The census as one page that needs nothing else: readable on a phone, in light and in darkness.

use super::table::{name, share};
use super::view::{Census, Client, Day};
use super::{need, percent, stands};
use crate::when::date;
use sixgate_measure::markup::escaped;
use std::fmt::Write as _;

const STYLE: &str = "\
:root{color-scheme:light dark;--fg:#1b1f23;--bg:#fff;--soft:#57606a;--line:#d0d7de;--good:#1a7f37;--bad:#b35900}\
@media(prefers-color-scheme:dark){:root{--fg:#e6edf3;--bg:#0d1117;--soft:#9198a1;--line:#30363d;--good:#3fb950;--bad:#db8b3f}}\
*{box-sizing:border-box}body{margin:0 auto;max-width:60rem;padding:1rem;background:var(--bg);color:var(--fg);\
font:1rem/1.5 system-ui,sans-serif}h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}p.soft,small,figcaption{color:var(--soft)}\
.big{font-size:1.8rem;font-weight:600}ul{padding-left:1.2rem}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;padding:.3rem .5rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}\
th{color:var(--soft);font-weight:600}figure{margin:0;max-width:36rem}svg{width:100%;height:auto}svg text{fill:var(--soft);font-size:11px}\
.bar{position:relative;height:.6rem;min-width:6rem;border:1px solid var(--line);border-radius:.3rem;overflow:hidden}\
.bar i{position:absolute;top:0;bottom:0;background:var(--soft);opacity:.45}.bar b{position:absolute;top:0;bottom:0;width:2px;background:var(--fg)}\
.ready{color:var(--good)}\
@media(max-width:40rem){table.clients thead{display:none}table.clients tr{display:block;padding:.6rem 0;border-bottom:1px solid var(--line)}\
table.clients td{display:block;border:0;padding:.1rem 0}table.clients td[data-l]:before{content:attr(data-l) ': ';color:var(--soft)}}";

/// The page.
pub(super) fn page(census: &Census) -> String {
    let report = &census.report;
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>Who could live without IPv4</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>Who could live without IPv4</h1>\n"
    );
    let _ = writeln!(
        out,
        "<p><span class=\"big\">{} of {}</span> clients could live without IPv4 today: {}.</p>",
        report.ready.count,
        report.ready.of,
        escaped(&share(&report.ready))
    );
    out += "<ul>\n";
    let _ = writeln!(
        out,
        "<li>with a hardware address that is not made up: {}</li>",
        share(&report.ready_stable)
    );
    let _ = writeln!(out, "<li>live without it now: {}</li>", share(&report.without));
    let _ = writeln!(out, "<li>ask for option 108: {}</li>", share(&report.asking));
    out += "</ul>\n<h2>Lines</h2>\n<ul>\n";
    for line in &report.lines {
        let _ = writeln!(out, "<li>{}</li>", escaped(&stands(line)));
    }
    out += "</ul>\n<h2>Readiness over time</h2>\n";
    out += &curve(&census.days);
    out += "<h2>Ready by family</h2>\n<table>\n<tbody>\n";
    for (family, of) in &report.families {
        let _ = writeln!(out, "<tr><td>{}</td><td>{}</td></tr>", escaped(family), escaped(&share(of)));
    }
    out += "</tbody>\n</table>\n<h2>What most needed IPv4 for</h2>\n";
    if census.needs.is_empty() {
        out += "<p class=\"soft\">Nothing that may be shown.</p>\n";
    } else {
        out += "<table>\n<thead><tr><th>What</th><th>Kind</th><th>Clients</th></tr></thead>\n<tbody>\n";
        for common in census.needs.iter().take(50) {
            let many = if common.clients == 64 { " or more" } else { "" };
            let _ = writeln!(
                out,
                "<tr><td>{}</td><td>{}</td><td>{}{many}</td></tr>",
                escaped(&common.what),
                escaped(need(&common.kind)),
                common.clients
            );
        }
        out += "</tbody>\n</table>\n";
    }
    out += "<h2>Clients</h2>\n<table class=\"clients\">\n<thead><tr><th>Client</th><th>Family</th><th>Stage</th>\
            <th>Score</th><th>Hours</th><th>ARP an hour</th><th>Needed IPv4 for</th></tr></thead>\n<tbody>\n";
    for client in &census.clients {
        out += &row(client);
    }
    out += "</tbody>\n</table>\n";
    let _ = writeln!(
        out,
        "<p class=\"soft\">A score is the chance that an hour goes well without IPv4, with its interval of 95 %; ready is who \
         reaches {} with its lower end. It rests on what passed by: more than 90 % is only said of who was seen to live \
         without. An asterisk marks a hardware address that is made up: such a client may be counted twice.</p>\n</body>\n</html>",
        percent(census.ready_from)
    );
    out
}

fn row(client: &Client) -> String {
    let class = if client.ready { " class=\"ready\"" } else { "" };
    let needs: Vec<String> = (client.needs.iter())
        .map(|one| match &one.what {
            Some(what) => escaped(what),
            None => format!("{} ({})", escaped(need(&one.kind)), one.count),
        })
        .collect();
    let score = &client.score;
    let place = |share: f64| format!("{:.1}%", (share * 100.0).clamp(0.0, 100.0));
    format!(
        "<tr><td>{}{}</td><td data-l=\"Family\">{}</td><td data-l=\"Stage\"{class}>{}</td>\
         <td data-l=\"Score\">{} <small>({} to {})</small>\
         <div class=\"bar\"><i style=\"left:{};width:{}\"></i><b style=\"left:{}\"></b></div></td>\
         <td data-l=\"Hours\">{}</td><td data-l=\"ARP an hour\">{}</td><td data-l=\"Needed IPv4 for\">{}</td></tr>\n",
        escaped(&name(client)),
        if client.randomised { " *" } else { "" },
        escaped(&client.family),
        escaped(&client.stage),
        percent(score.best),
        percent(score.low),
        percent(score.high),
        place(score.low),
        place(score.high - score.low),
        place(score.best),
        score.hours,
        client.arp.last_hour.max(if client.score.hours == 0 { client.arp.this_hour } else { 0 }),
        if needs.is_empty() { "-".to_owned() } else { needs.join("<br>") },
    )
}

/// Size of the picture, and what is left of it for the curve.
const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 180.0;
const LEFT: f64 = 34.0;
const BOTTOM: f64 = 22.0;
const TOP: f64 = 8.0;

/// The share of clients that were ready on each day, with the lines at 1, 2, 5 and 10 %.
#[allow(clippy::cast_precision_loss, reason = "days and clients are far below 2^52")]
fn curve(days: &[Day]) -> String {
    let days: Vec<&Day> = days.iter().filter(|day| day.clients > 0).collect();
    let (Some(first), Some(last)) = (days.first(), days.last()) else {
        return "<p class=\"soft\">No day has been counted yet.</p>\n".to_owned();
    };
    let of = |count: u64, day: &Day| count.min(day.clients) as f64 / day.clients as f64;
    let most = days.iter().map(|day| of(day.ready, day).max(of(day.without, day))).fold(0.0, f64::max);
    // Up to the next line, so that something can be told from nothing.
    let top = [0.1, 0.25, 0.5, 1.0].into_iter().find(|top| most <= *top).unwrap_or(1.0);
    let span = (last.from.saturating_sub(first.from) as f64).max(86_400.0);
    let x = |day: &Day| LEFT + (day.from.saturating_sub(first.from) as f64 / span) * (WIDTH - LEFT - 8.0);
    let y = |share: f64| TOP + (1.0 - share / top) * (HEIGHT - TOP - BOTTOM);
    let path = |pick: &dyn Fn(&Day) -> u64| {
        let points: Vec<String> =
            days.iter().map(|day| format!("{:.1},{:.1}", x(day), y(of(pick(day), day)))).collect();
        points.join(" ")
    };
    let mut out = format!(
        "<figure>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"Share of clients that were ready, by day\">\n"
    );
    for line in [0.0, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0] {
        // Lines that would lie on each other say nothing.
        if line <= top && (line == 0.0 || line >= top / 10.0) {
            let at = y(line);
            let _ = writeln!(
                out,
                "<line x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"var(--line)\"/>\
                 <text x=\"0\" y=\"{:.1}\">{:.0} %</text>",
                at + 4.0,
                line * 100.0
            );
        }
    }
    for (pick, colour) in [
        (&(|day: &Day| day.without) as &dyn Fn(&Day) -> u64, "var(--bad)"),
        (&(|day: &Day| day.ready), "var(--good)"),
    ] {
        let points = path(pick);
        let _ = writeln!(
            out,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        );
    }
    for day in &days {
        let _ = writeln!(
            out,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.5\" fill=\"var(--good)\"><title>{}: {} of {} ready, {} without IPv4</title></circle>",
            x(day),
            y(of(day.ready, day)),
            date(day.from),
            day.ready,
            day.clients,
            day.without
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{LEFT}\" y=\"{HEIGHT}\">{}</text><text x=\"{WIDTH}\" y=\"{HEIGHT}\" text-anchor=\"end\">{}</text>\n</svg>\n\
         <figcaption>Clients seen on a day (UTC) that were ready (green), and that lived without IPv4 (orange).</figcaption>\n</figure>",
        date(first.from),
        date(last.from)
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::census::table::tests::census;

    #[test]
    fn the_page_stands_alone_and_trusts_no_name() {
        let page = page(&census());
        for words in [
            "&lt;b&gt;printer&lt;/b&gt;",
            "2026-11-19",
            "polyline",
            "old.example",
            "prefers-color-scheme:dark",
        ] {
            assert!(page.contains(words), "{words} is missing in:\n{page}");
        }
        for words in ["<b>printer", "http://", "https://", "<script", "src=\"", "url("] {
            assert!(!page.contains(words), "{words} is in:\n{page}");
        }
    }
}
