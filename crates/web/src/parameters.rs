//! Parameters of a request: known names only, each with its bounds, and a sentence where one is wrong.

use std::borrow::Cow;

/// Bytes of a query at most.
const QUERY_BYTES_MOST: usize = 16_384;
/// Bytes of a name at most.
const NAME_BYTES_MOST: usize = 512;

/// The parameters of a request, in order.
pub(crate) struct Parameters<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Parameters<'a> {
    /// Reads a query that may have these names.
    ///
    /// # Errors
    ///
    /// A sentence that names what is wrong.
    pub(crate) fn read(query: Option<&'a str>, known: &[&str]) -> Result<Parameters<'a>, String> {
        let query = query.unwrap_or_default();
        if query.len() > QUERY_BYTES_MOST {
            return Err(format!("the query has {} bytes: give at most {QUERY_BYTES_MOST}", query.len()));
        }
        let pairs: Vec<(Cow<'a, str>, Cow<'a, str>)> = form_urlencoded::parse(query.as_bytes()).collect();
        for (name, value) in &pairs {
            if !known.contains(&&**name) {
                let known = if known.is_empty() { "it takes none".to_owned() } else { format!("give {}", known.join(", ")) };
                return Err(format!("{name:?} is no parameter: {known}"));
            }
            if value.len() > NAME_BYTES_MOST || value.contains('\0') {
                return Err(format!("{name} is too long or has a zero byte: give at most {NAME_BYTES_MOST} bytes of text"));
            }
        }
        Ok(Parameters(pairs))
    }

    /// All values of a name.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| &**value)
    }

    /// The one value of a name; `None` if it is not given.
    ///
    /// # Errors
    ///
    /// If it is given twice.
    pub(crate) fn one(&self, name: &str) -> Result<Option<&str>, String> {
        let mut values = self.all(name);
        let value = values.next();
        match values.next() {
            Some(_) => Err(format!("{name} is given twice: give one")),
            None => Ok(value),
        }
    }

    /// As [`Parameters::one`], of what must be given.
    ///
    /// # Errors
    ///
    /// If it is not, or twice.
    pub(crate) fn required(&self, name: &str) -> Result<&str, String> {
        self.one(name)?.filter(|value| !value.is_empty()).ok_or_else(|| format!("{name} is missing"))
    }

    /// A time in milliseconds since 1970.
    ///
    /// # Errors
    ///
    /// If it is no whole number, or out of all bounds.
    pub(crate) fn time_us(&self, name: &str) -> Result<Option<i64>, String> {
        const MS_MOST: i64 = 4_102_444_800_000;
        let Some(value) = self.one(name)? else { return Ok(None) };
        let ms: Option<i64> = value.parse().ok().filter(|ms| (0..=MS_MOST).contains(ms));
        let ms = ms.ok_or_else(|| format!("{name} is no time: give milliseconds since 1970, 0 to {MS_MOST}"))?;
        Ok(Some(ms * 1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said() {
        let error = |query: &str, read: fn(&Parameters<'_>) -> Result<(), String>| {
            let read = |parameters: Parameters<'_>| read(&parameters);
            Parameters::read(Some(query), &["name", "from_ms"]).and_then(read).unwrap_err()
        };
        assert_eq!(error("nme=a", |_| Ok(())), "\"nme\" is no parameter: give name, from_ms");
        assert_eq!(error("from_ms=1", |given| given.required("name").map(drop)), "name is missing");
        assert_eq!(error("name=a&name=b", |given| given.one("name").map(drop)), "name is given twice: give one");
        assert!(error("from_ms=-5", |given| given.time_us("from_ms").map(drop)).contains("milliseconds"));
        assert!(error(&format!("name={}", "a".repeat(600)), |_| Ok(())).contains("too long"));
        assert!(error(&"&".repeat(20_000), |_| Ok(())).contains("20000 bytes"));
    }

    #[test]
    fn names_may_hold_anything_else() {
        let given = Parameters::read(Some("name=192.0.2.1%2F7&name=%3Cb%3E"), &["name"]).unwrap();
        assert_eq!(given.all("name").collect::<Vec<_>>(), ["192.0.2.1/7", "<b>"]);
    }
}
