//! An answer as one HTML file: nothing is fetched, it prints, and it is dark where the reader's screen is.

use std::fmt::Write as _;

use jiff::tz::TimeZone;

use crate::answer::{Answer, Cell, Column, Section, Unit};

/// Rows of a section that a page shows; CSV and JSON have all.
const ROWS_MOST: usize = 60;

const STYLE: &str = include_str!("page.css");

/// Text without anything that HTML reads as its own.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// The page of an answer; instants are shown in `zone`, the range in UTC too.
pub fn page(answer: &Answer, zone: &TimeZone) -> String {
    let at = |at_us: i64, zone: &TimeZone| Cell::Time(at_us).text(Unit::Time, zone).unwrap_or_default();
    let (from_us, to_us) = (answer.range.from_us, answer.range.to_us);
    let local = format!("{} to {}", at(from_us, zone), at(to_us, zone));
    let utc = format!("{} to {} UTC", at(from_us, &TimeZone::UTC), at(to_us, &TimeZone::UTC));
    let zone_name = zone.iana_name().unwrap_or("local time");
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\
         <link rel=\"icon\" href=\"data:,\"><title>peerscope: {report}</title><style>{STYLE}</style></head><body>\
         <header><h1>Microsoft peering: {report}</h1><p>{local} ({}) · {utc}</p></header><main>",
        escaped(zone_name),
        report = escaped(answer.report),
    );
    let class = if answer.is_alarming { "verdict alarming" } else { "verdict" };
    _ = write!(page, "<section class=\"{class}\"><h2>Verdict</h2><ul>");
    for sentence in &answer.verdict {
        _ = write!(page, "<li>{}</li>", escaped(sentence));
    }
    page.push_str("</ul></section>");
    if !answer.facts.is_empty() {
        page.push_str("<dl class=\"facts\">");
        for (name, value) in &answer.facts {
            _ = write!(page, "<div><dt>{}</dt><dd>{}</dd></div>", escaped(name), escaped(value));
        }
        page.push_str("</dl>");
    }
    if !answer.charts.is_empty() {
        page.push_str("<section><h2>Utilisation over time</h2><p class=\"legend\">");
        for (number, (name, _)) in answer.charts[0].lines.iter().enumerate() {
            _ = write!(page, "<span class=\"key key{number}\">{}</span> ", escaped(name));
        }
        page.push_str(
            "<span class=\"key keyhalf\">50 % line</span> <span class=\"key keyfull\">capacity</span></p><div class=\"charts\">",
        );
        for chart in &answer.charts {
            _ = write!(
                page,
                "<figure><figcaption>{} <small>{}</small></figcaption>{}</figure>",
                escaped(&chart.title),
                escaped(&chart.caption),
                chart.svg(answer.range, zone)
            );
        }
        page.push_str("</div></section>");
    }
    answer.matrices.iter().for_each(|matrix| page.push_str(&matrix.html()));
    answer.sections.iter().for_each(|section| table(&mut page, section, zone));
    if !answer.notes.is_empty() {
        page.push_str("<section><h2>To be known</h2><ul>");
        for note in &answer.notes {
            _ = write!(page, "<li>{}</li>", escaped(note));
        }
        page.push_str("</ul></section>");
    }
    page.push_str("</main></body></html>\n");
    page
}

fn table(page: &mut String, section: &Section, zone: &TimeZone) {
    let shown: Vec<usize> = (0..section.columns.len()).filter(|place| !section.columns[*place].is_detail).collect();
    _ = write!(page, "<section><h2>{}</h2><div class=\"scroll\"><table><thead><tr>", escaped(&section.title));
    for place in &shown {
        let column = &section.columns[*place];
        let unit = match column.unit.name() {
            "" | "count" | "ratio" | "time" | "date" | "bytes" => String::new(),
            unit => format!(" <small>{unit}</small>"),
        };
        let class = if column.unit.is_number() { " class=\"number\"" } else { "" };
        _ = write!(page, "<th{class}>{}{unit}</th>", escaped(&heading(column.name)));
    }
    page.push_str("</tr></thead><tbody>");
    for row in section.rows.iter().take(ROWS_MOST) {
        page.push_str("<tr>");
        shown.iter().for_each(|place| cell(page, section.columns[*place], &row[*place], zone));
        page.push_str("</tr>");
    }
    page.push_str("</tbody></table></div>");
    if section.rows.len() > ROWS_MOST {
        _ = write!(page, "<p>{} rows more: --format csv has all.</p>", section.rows.len() - ROWS_MOST);
    }
    page.push_str("</section>");
}

/// A column's name as a person writes it.
fn heading(name: &str) -> String {
    let name = name.replace("microsoft", "Microsoft").replace('_', " ");
    name.strip_prefix("n1 ").map_or_else(|| name.clone(), |rest| format!("N-1 {rest}"))
}

/// Columns whose numbers are shown as bars too, and from which share on they are too much.
const BARS: [(&str, f64); 4] = [("utilisation_peak", 0.5), ("utilisation_p95", 0.5), ("n1_utilisation", 0.95), ("share", 1.1)];

fn cell(page: &mut String, column: Column, cell: &Cell, zone: &TimeZone) {
    let text = cell.text(column.unit, zone).unwrap_or_else(|| "–".to_owned());
    let text = if column.name == "direction" { text.replace("_m", " M") } else { text };
    let bar = BARS.iter().find(|(name, _)| *name == column.name);
    let class = if column.unit.is_number() { "number" } else { "" };
    _ = match (bar, cell) {
        (Some((_, most)), Cell::Number(ratio)) => {
            let (part, over) = (ratio.clamp(0.0, 1.0), if ratio > most { " over" } else { "" });
            write!(page, "<td class=\"number bar{over}\" style=\"--part:{part:.3}\">{}</td>", escaped(&text))
        }
        (_, Cell::Flag(_)) => write!(page, "<td class=\"flag\">{}</td>", escaped(&text)),
        _ if class.is_empty() => write!(page, "<td>{}</td>", escaped(&text)),
        _ => write!(page, "<td class=\"{class}\">{}</td>", escaped(&text)),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Chart, Range};

    #[test]
    fn names_of_others_are_text_and_nothing_is_fetched() {
        let range = Range::new(0, 3_600_000_000).unwrap();
        let mut answer = Answer::new("overview", range);
        answer.verdict.push("<script>alert(1)</script>".to_owned());
        let mut section = Section::new("A & B", &[Column::new("connection", Unit::Text), Column::detail("hidden", Unit::Count)]);
        section.rows = vec![vec!["\"><img src=x>".into(), 7_i64.into()]];
        answer.sections.push(section);
        answer.charts.push(Chart {
            title: "a'b".to_owned(),
            caption: String::new(),
            lines: vec![("to".to_owned(), vec![0.5; 12])],
        });
        let page = page(&answer, &TimeZone::UTC);
        for absent in ["<script", "<img", "http://", "https://", "hidden", "a'b"] {
            assert!(!page.contains(absent), "{absent}");
        }
        assert!(page.contains("A &amp; B") && page.contains("<polyline") && page.contains("1970-01-01 00:00"));
    }
}
