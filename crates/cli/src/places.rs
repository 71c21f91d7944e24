//! Where in a configuration file an error stands: line and column of what its sentence names.

use toml::de::{DeTable, DeValue};

/// The place of what a sentence begins with, as line and column from 1: a section, in brackets or not, and a key
/// of it, or the number or the name in quotes of one of its tables; of a key of that table where the sentence
/// names one, else of the table.
pub(crate) fn locate(text: &str, sentence: &str) -> Option<(usize, usize)> {
    let document = DeTable::parse(text).ok()?;
    let words = |text| -> Vec<&str> { str::split(text, |letter: char| !letter.is_alphanumeric() && letter != '_').collect() };
    let section = words(sentence.trim_start_matches('[')).first().copied()?;
    let rest = sentence.trim_start_matches('[')[section.len()..].trim_start_matches([']', ' ']);
    let value = document.get_ref().get(section)?;
    let (table, start) = match value.get_ref() {
        DeValue::Table(table) => (table, value.span().start),
        DeValue::Array(tables) => {
            let tables: Vec<_> =
                tables.iter().filter_map(|table| Some((table.get_ref().as_table()?, table.span().start))).collect();
            let number: Option<usize> = words(rest).first().and_then(|number| number.parse().ok());
            // What has no name is told by the connection that it is about.
            let is_named = |table: &DeTable<'_>| {
                let name = table.get("name").or(table.get("connection")).and_then(|name| name.get_ref().as_str());
                name.is_some_and(|name| rest.contains(&format!("\"{name}\"")))
            };
            match number {
                Some(number) => *tables.get(number.checked_sub(1)?)?,
                // Of two of one name the second is one too many.
                None => *tables.iter().rev().find(|(table, _)| is_named(table))?,
            }
        }
        _ => return None,
    };
    let key = words(rest).into_iter().find_map(|word| table.keys().find(|key| key.get_ref() == word).filter(|_| word != "name"));
    Some(position(text, key.map_or(start, |key| key.span().start)))
}

/// Line and column of an offset, from 1.
pub(crate) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    (line, 1 + String::from_utf8_lossy(&before[line_start..]).chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_stands_where_what_it_names_stands() {
        let text = "[measure]\n  active_timeout_seconds = 9\n\n[[port]]\nname = \"a\"\n[[port]]\nname = \"b\"\nexporter = \"r9\"\n[[counters]]\nevery_seconds = 0\n[[tap]]\nconnection = \"fra-1\"\n";
        let check = |sentence: &str, expected: Option<(usize, usize)>| assert_eq!(locate(text, sentence), expected, "{sentence}");
        check("[measure] active_timeout_seconds = 9 is out of range", Some((2, 3)));
        check("[[port]] \"b\": exporter \"r9\" is nobody's", Some((8, 1)));
        check("[[port]] \"a\" is there twice", Some((4, 1)));
        check("[[port]] name \"b\" is odd", Some((6, 1)));
        check("[[counters]] 1: every_seconds = 0: give 1 to 300", Some((10, 1)));
        check("[[counters]] 2: give a file", None);
        check("counters 1 (a): give a file", Some((9, 1)));
        check("[[tap]] of \"fra-1\": there is no such connection", Some((12, 1)));
        check("[[transit]] \"x\": price", None);
        check("something else", None);
        assert_eq!(position("a\nß b", 5), (2, 3));
    }
}
