//! Who is how full if who fails, as a table of a page: a row a failure, a column a survivor.

use std::fmt::Write as _;

use crate::html::escaped;

/// What a survivor comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixCell {
    /// Load of its port over capacity at the worst moment; `None` where it is unknown.
    pub utilisation: Option<f64>,
    /// It is over the line.
    pub is_over: bool,
    /// Letters for where the share comes from, the largest part first: several if it is a mixture.
    pub origins: String,
    /// All of it, for the reader who points at it.
    pub words: String,
}

/// Failures and survivors.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// What it is of.
    pub title: String,
    /// Letters and what they stand for.
    pub legend: Vec<(String, String)>,
    /// Survivors.
    pub columns: Vec<String>,
    /// Failures, and a cell a survivor; `None` where it takes nothing.
    pub rows: Vec<(String, Vec<Option<MatrixCell>>)>,
    /// What of it is not shown.
    pub left_out: Option<String>,
}

impl Matrix {
    /// Its HTML. Letters and a sign tell what colour does, so that it can be read without.
    pub(crate) fn html(&self) -> String {
        let mut html = format!("<section><h2>{}</h2><p class=\"legend\">", escaped(&self.title));
        for (letter, words) in &self.legend {
            _ = write!(html, "<b>{}</b> {} · ", escaped(letter), escaped(words));
        }
        html.push_str("<b>▲</b> does not hold · empty: takes nothing</p><div class=\"scroll\"><table class=\"matrix\"><thead><tr><th>if this fails</th>");
        for column in &self.columns {
            _ = write!(html, "<th>{}</th>", escaped(column));
        }
        html.push_str("</tr></thead><tbody>");
        for (name, cells) in &self.rows {
            _ = write!(html, "<tr><th>{}</th>", escaped(name));
            cells.iter().for_each(|cell| html.push_str(&cell.as_ref().map_or_else(|| "<td></td>".to_owned(), MatrixCell::html)));
            html.push_str("</tr>");
        }
        html.push_str("</tbody></table></div>");
        if let Some(left_out) = &self.left_out {
            _ = write!(html, "<p>{}</p>", escaped(left_out));
        }
        html.push_str("</section>");
        html
    }
}

impl MatrixCell {
    fn html(&self) -> String {
        let level = self.utilisation.map_or(0, |ratio| ((ratio * 5.0) as usize).min(4));
        let (over, sign) = if self.is_over { (" over", "▲ ") } else { ("", "") };
        let ratio = self.utilisation.map_or_else(|| "–".to_owned(), |ratio| format!("{:.0} %", ratio * 100.0));
        let (words, origins) = (escaped(&self.words), escaped(&self.origins));
        format!("<td class=\"level{level}{over}\" title=\"{words}\">{sign}{ratio} <small>{origins}</small></td>")
    }
}
