//! `[objects]`: whether, where to and how tables are copied.

use serde::Deserialize;

use crate::names::is_name;
use crate::place::check_url;

model::settings! {
    /// How tables are copied to an object store.
    pub struct ObjectsLimits in "objects.limits" {
        /// How often what was published since is copied.
        every_seconds: i64 = 300, "s", 1..=86_400;
        /// How long objects that were replaced stay for readers that are at work.
        grace_seconds: i64 = 3_600, "s", 60..=604_800;
        /// From when on it is trouble that something published is not in the store.
        behind_seconds: i64 = 3_600, "s", 10..=604_800;
        /// How long a request may take before it is given up and tried again.
        timeout_seconds: i64 = 120, "s", 1..=3_600;
    }
}

/// `[objects]` as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectsConfig {
    /// `az://ACCOUNT/CONTAINER/PREFIX` or `s3://BUCKET/PREFIX`.
    url: Option<String>,
    /// The name that this collector's objects are under.
    collector: Option<String>,
    limits: ObjectsLimits,
}

/// Where tables are copied to, checked.
#[derive(Clone, Debug)]
pub struct ObjectsSettings {
    /// The address.
    pub url: String,
    /// The collector's name there.
    pub collector: String,
    /// How.
    pub limits: ObjectsLimits,
}

impl ObjectsConfig {
    /// As it is where an address and a name are given.
    pub fn of(url: &str, collector: &str) -> ObjectsConfig {
        let (url, collector) = (Some(url.to_owned()), Some(collector.to_owned()));
        ObjectsConfig { url, collector, limits: ObjectsLimits::default() }
    }

    /// Checks it; what is wrong is added to `errors`. `None` where nothing is to be copied.
    pub fn check(&self, errors: &mut Vec<String>) -> Option<ObjectsSettings> {
        errors.extend(self.limits.check().err());
        let (url, collector) = match (&self.url, &self.collector) {
            (None, None) => return None,
            (Some(url), Some(collector)) => (url, collector),
            (Some(_), None) => {
                errors.push("[objects] url needs collector: the name that this collector's tables are under".to_owned());
                return None;
            }
            (None, Some(_)) => {
                errors.push("[objects] collector needs url: where its tables are copied to".to_owned());
                return None;
            }
        };
        let before = errors.len();
        errors.extend(check_url(url).err().map(|error| format!("[objects] url = {error}")));
        if !is_name(collector) {
            errors.push(format!("[objects] collector = \"{collector}\": give 1 to 64 letters, digits, - or _"));
        }
        let settings = ObjectsSettings { url: url.clone(), collector: collector.clone(), limits: self.limits.clone() };
        (errors.len() == before).then_some(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_with_the_key() {
        for (url, collector, expected) in [
            (None, None, None),
            (Some("az://account/tables/peerscope"), Some("fra-1"), None),
            (Some("s3://bucket"), Some("fra_1"), None),
            (Some("s3://bucket"), None, Some("[objects] url needs collector")),
            (None, Some("fra-1"), Some("[objects] collector needs url")),
            (Some("s3://bucket"), Some("fra/1"), Some("[objects] collector = \"fra/1\": give 1 to 64")),
            (Some("https://account"), Some("fra-1"), Some("[objects] url = \"https://account\": give az://")),
        ] {
            let mut errors = Vec::new();
            let text = |text: Option<&str>| text.map(str::to_owned);
            let config = ObjectsConfig { url: text(url), collector: text(collector), limits: ObjectsLimits::default() };
            let settings = config.check(&mut errors);
            match expected {
                None => assert!(errors.is_empty() && settings.is_some() == url.is_some(), "{url:?} {collector:?}: {errors:?}"),
                Some(expected) => {
                    assert!(settings.is_none() && errors.len() == 1 && errors[0].starts_with(expected), "{errors:?}");
                }
            }
        }
    }
}
