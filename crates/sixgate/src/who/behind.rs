//! Ports of a shared address: the translator knows the IPv6 address behind them, and the rest of the history knows whose that was.

use super::row::Row;
use ipnet::IpNet;
use sixgate_store::{How, Question, Reader, StoreError, Subject, Trace};

/// Most holders of one IPv6 address that are looked through.
const MOST: u32 = 16;

/// The row of an answer, with who was behind the ports where it is about ports.
///
/// # Errors
/// Where the history cannot be read.
pub(super) fn row(reader: &Reader, question: &Question, trace: &Trace) -> Result<Row, StoreError> {
    let mut row = Row::new(trace);
    let Some((_, _, holder)) = trace.ports else { return Ok(row) };
    let asked = Question {
        subject: Subject::Net(IpNet::from(holder)),
        from: question.from.max(trace.began_at),
        until: question.until.min(trace.until),
        port: None,
        limit: MOST,
    };
    let mut best: Option<Trace> = None;
    reader.who_too(&asked, &mut |found| {
        // What was leased is worth more than what was seen, and a prefix says less than its address; the latest comes first.
        if best.as_ref().is_none_or(|best| worth(&found) > worth(best)) {
            best = Some(found);
        }
        true
    })?;
    if let Some(best) = best.filter(|best| best.how != How::Translated) {
        row.belongs_to(&best);
    }
    Ok(row)
}

fn worth(trace: &Trace) -> u8 {
    match trace.how {
        How::Leased | How::Registered => 3,
        How::Seen => 2,
        How::Delegated => 1,
        How::Translated => 0,
    }
}
