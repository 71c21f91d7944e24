//! The importable interface table: which index and speed an interface has, by exporter and name.
//!
//! A CSV file with the header `exporter,ifIndex,ifName,speed_bps`, as any poller can write it. When
//! a device renumbers, a new table binds the ports that are configured by name anew.

use model::Address;

/// One interface of one exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableInterface {
    /// Address of the exporter.
    pub exporter: Address,
    /// ifIndex.
    pub index: u32,
    /// ifName.
    pub name: String,
    /// bit/s; `None` where the table leaves it out.
    pub speed_bps: Option<u64>,
}

/// Errors told of one table.
const ERRORS_MAX: usize = 20;

/// Reads an interface table. Empty lines and lines that start with `#` are passed over; an exporter
/// is an address, or a name that `named` knows.
///
/// # Errors
///
/// Every wrong line at once (at most 20), a sentence each with its number.
pub fn parse(text: &str, named: impl Fn(&str) -> Option<Address>) -> Result<Vec<TableInterface>, Vec<String>> {
    let mut rows = Vec::new();
    let mut errors = Vec::new();
    let mut lines = text
        .trim_start_matches('\u{feff}')
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    let Some(columns) = lines.next().map(|(_, line)| split(line)) else {
        return Err(vec!["the interface table is empty; its first line is exporter,ifIndex,ifName,speed_bps".to_owned()]);
    };
    let at = |wanted: &str| columns.iter().position(|column| column.eq_ignore_ascii_case(wanted));
    let (Some(exporter), Some(index), Some(name)) = (at("exporter"), at("ifIndex"), at("ifName")) else {
        return Err(vec![
            "line 1 of the interface table names no columns exporter, ifIndex and ifName (speed_bps is optional)".to_owned(),
        ]);
    };
    let columns_at = Columns { exporter, index, name, speed_bps: at("speed_bps") };
    for (number, line) in lines {
        match columns_at.read(&split(line), &named) {
            Ok(row) => rows.push(row),
            Err(sentence) => errors.push(format!("line {} of the interface table: {sentence}", number + 1)),
        }
        if errors.len() == ERRORS_MAX {
            break;
        }
    }
    if errors.is_empty() { Ok(rows) } else { Err(errors) }
}

/// Where the columns stand.
struct Columns {
    exporter: usize,
    index: usize,
    name: usize,
    speed_bps: Option<usize>,
}

impl Columns {
    fn read(&self, cells: &[String], named: &impl Fn(&str) -> Option<Address>) -> Result<TableInterface, String> {
        let cell = |at: usize| cells.get(at).map_or("", String::as_str);
        let exporter = cell(self.exporter);
        let unknown = || format!("\"{exporter}\" is neither an address nor the name of an [[exporter]]");
        let exporter = exporter.parse().ok().or_else(|| named(exporter)).ok_or_else(unknown)?;
        let index = cell(self.index).parse().map_err(|_| format!("\"{}\" is not an ifIndex", cell(self.index)))?;
        let name = crate::azure::clean(cell(self.name));
        if name.is_empty() {
            return Err("the ifName is empty".to_owned());
        }
        let speed_bps = match self.speed_bps.map_or("", cell) {
            "" | "0" => None,
            text => Some(text.parse().map_err(|_| format!("\"{text}\" is not a speed in bit/s"))?),
        };
        Ok(TableInterface { exporter, index, name, speed_bps })
    }
}

/// The cells of a line; a cell in quotes may hold commas, and quotes written twice.
fn split(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut is_quoted = false;
    let mut characters = line.trim().chars().peekable();
    while let Some(character) = characters.next() {
        let cell = cells.last_mut();
        match (character, cell) {
            ('"', Some(cell)) if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            ('"', _) => is_quoted = !is_quoted,
            (',', _) if !is_quoted => cells.push(String::new()),
            (other, Some(cell)) => cell.push(other),
            (_, None) => {}
        }
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_in_any_order_of_columns() {
        let rows = parse(
            "ifName,exporter,speed_bps,ifIndex\n# core\n\"et-0/0/1, left\",192.0.2.1,100000000000,501\nae10.0,edge,,7\n",
            |name| (name == "edge").then(|| "2001:db8::1".parse().unwrap()),
        );
        let row = |exporter: &str, index, name: &str, speed_bps| TableInterface {
            exporter: exporter.parse().unwrap(),
            index,
            name: name.into(),
            speed_bps,
        };
        assert_eq!(
            rows.unwrap(),
            [row("192.0.2.1", 501, "et-0/0/1, left", Some(100_000_000_000)), row("2001:db8::1", 7, "ae10.0", None)]
        );
    }

    #[test]
    fn every_wrong_line_is_told() {
        let errors =
            parse("exporter,ifIndex,ifName,speed_bps\nx,1,a,1\n192.0.2.1,-1,a,1\n192.0.2.1,1,,1\n192.0.2.1,1,a,10G\n", |_| None)
                .unwrap_err();
        let expected = ["line 2 of", "\"-1\" is not an ifIndex", "ifName is empty", "\"10G\" is not a speed"];
        assert_eq!(errors.len(), expected.len());
        for (error, expected) in errors.iter().zip(expected) {
            assert!(error.contains(expected), "{error}");
        }
        assert!(parse("", |_| None).unwrap_err()[0].contains("empty"));
        assert!(parse("a,b\n", |_| None).unwrap_err()[0].contains("names no columns"));
    }
}
