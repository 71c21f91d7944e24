//! Where tables are: an address, and the environment for how it is reached.
//!
//! Credentials, endpoints and regions are those that Azure's and Amazon's own tools read (`AZURE_STORAGE_…`,
//! `AWS_…`); without any, the machine's managed identity or role. Nothing of them is ever shown.

use std::fmt;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::path::Path;
use object_store::{ClientConfigKey, Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload, RetryConfig};

use crate::ObjectsError;
use crate::names::{COLLECTOR, collector_folder, is_name};

/// How an address is written.
const FORMS: &str = "give az://ACCOUNT/CONTAINER/PREFIX or s3://BUCKET/PREFIX";
/// Tries of a request after the first; whoever asks tries again later.
const RETRIES: usize = 2;
/// Largest manifest that is believed: an hour of flows has some 100 files.
const MANIFEST_BYTES_MOST: u64 = 16 << 20;

/// Tables in an object store.
#[derive(Clone)]
pub struct Place {
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
    shown: String,
}

enum Address<'a> {
    Azure { account: &'a str, container: &'a str },
    S3 { bucket: &'a str },
}

/// Whether an address is one, without asking anybody.
///
/// # Errors
///
/// The address and what to give instead.
pub fn check_url(url: &str) -> Result<(), String> {
    split(url).map(|_| ())
}

fn split(url: &str) -> Result<(Address<'_>, Path), String> {
    let refused = || format!("\"{url}\": {FORMS}");
    let is_plain = |name: &&str| {
        (3..=63).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
    };
    let (address, rest) = if let Some(rest) = url.strip_prefix("az://") {
        let mut parts = rest.splitn(3, '/');
        let account = parts.next().filter(is_plain).ok_or_else(refused)?;
        let container = parts.next().filter(is_plain).ok_or_else(refused)?;
        (Address::Azure { account, container }, parts.next().unwrap_or_default())
    } else {
        let rest = url.strip_prefix("s3://").ok_or_else(refused)?;
        let mut parts = rest.splitn(2, '/');
        let bucket = parts.next().filter(is_plain).ok_or_else(refused)?;
        (Address::S3 { bucket }, parts.next().unwrap_or_default())
    };
    let prefix = Path::parse(rest).map_err(|_| format!("\"{url}\": the prefix is none that objects can have; {FORMS}"))?;
    Ok((address, prefix))
}

impl fmt::Debug for Place {
    /// Nothing of how it is reached: a key may be part of that.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Place").field(&self.shown).finish()
    }
}

impl Place {
    /// Takes an address, and all else from the environment; nobody is asked yet.
    ///
    /// # Errors
    ///
    /// If the address is none, or the environment contradicts itself.
    pub fn open(url: &str, timeout_seconds: i64) -> Result<Place, ObjectsError> {
        let wrong = |error: Error| ObjectsError::Place(format!("{url}: {}", plain(&error)));
        let (address, prefix) = split(url).map_err(ObjectsError::Place)?;
        let timeout = format!("{timeout_seconds} seconds");
        let retry = RetryConfig {
            max_retries: RETRIES,
            retry_timeout: std::time::Duration::from_secs(timeout_seconds.unsigned_abs()),
            ..RetryConfig::default()
        };
        let objects: Arc<dyn ObjectStore> = match address {
            Address::Azure { account, container } => {
                let mut builder = MicrosoftAzureBuilder::from_env();
                if let Ok(text) = std::env::var("AZURE_STORAGE_CONNECTION_STRING") {
                    builder = connected(builder, &text, account)?;
                }
                let endpoint = builder.get_config_value(&AzureConfigKey::Endpoint);
                let is_plain = builder.get_config_value(&AzureConfigKey::Client(ClientConfigKey::AllowHttp));
                refuse_plain_http(url, endpoint.as_deref(), is_plain.as_deref(), "AZURE_ALLOW_HTTP")?;
                let builder = builder.with_account(account).with_container_name(container).with_retry(retry);
                let builder = builder.with_config(AzureConfigKey::Client(ClientConfigKey::Timeout), timeout);
                Arc::new(builder.build().map_err(wrong)?)
            }
            Address::S3 { bucket } => {
                let builder = AmazonS3Builder::from_env();
                let endpoint = builder.get_config_value(&AmazonS3ConfigKey::S3Endpoint);
                let endpoint = endpoint.or_else(|| builder.get_config_value(&AmazonS3ConfigKey::Endpoint));
                let is_plain = builder.get_config_value(&AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp));
                refuse_plain_http(url, endpoint.as_deref(), is_plain.as_deref(), "AWS_ALLOW_HTTP")?;
                let builder = builder.with_bucket_name(bucket).with_retry(retry);
                let builder = builder.with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), timeout);
                Arc::new(builder.build().map_err(wrong)?)
            }
        };
        Ok(Place { objects, prefix, shown: url.trim_end_matches('/').to_owned() })
    }

    /// A store that is there already, for tests.
    #[cfg(test)]
    pub(crate) fn of(objects: Arc<dyn ObjectStore>, prefix: &str) -> Place {
        Place { objects, prefix: Path::from(prefix), shown: "test".to_owned() }
    }

    /// The address.
    pub fn url(&self) -> &str {
        &self.shown
    }

    /// The folder of a collector.
    pub(crate) fn collector(&self, collector: &str) -> Path {
        collector_folder(&self.prefix, collector)
    }

    /// The collectors that have something here, in the order of their names.
    pub(crate) async fn collectors(&self) -> Result<Vec<String>, ObjectsError> {
        let mut names: Vec<String> = self.folders(&self.prefix).await?;
        names.retain_mut(|name| {
            *name = name.strip_prefix(COLLECTOR).unwrap_or_default().to_owned();
            is_name(name)
        });
        names.sort();
        Ok(names)
    }

    /// Names of the folders below a folder.
    pub(crate) async fn folders(&self, folder: &Path) -> Result<Vec<String>, ObjectsError> {
        let listed = self.objects.list_with_delimiter(Some(folder)).await;
        let listed = listed.map_err(|error| self.failed("list", folder, &error))?;
        Ok(listed.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned)).collect())
    }

    /// All objects below a folder.
    pub(crate) async fn list(&self, folder: &Path) -> Result<Vec<ObjectMeta>, ObjectsError> {
        let listed = self.objects.list(Some(folder)).try_collect().await;
        listed.map_err(|error| self.failed("list", folder, &error))
    }

    /// Puts an object that is not there yet; gives whether it was not.
    pub(crate) async fn create(&self, object: &Path, bytes: Vec<u8>) -> Result<bool, ObjectsError> {
        match self.objects.put_opts(object, PutPayload::from(bytes), PutMode::Create.into()).await {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(false),
            Err(error) => Err(self.failed("put", object, &error)),
        }
    }

    /// An object's bytes, of a small one; `None` if it is not there.
    pub(crate) async fn read(&self, object: &Path) -> Result<Option<Vec<u8>>, ObjectsError> {
        self.read_most(object, MANIFEST_BYTES_MOST).await
    }

    /// An object's bytes; `None` if it is not there, or has more than so many.
    pub(crate) async fn read_most(&self, object: &Path, bytes_most: u64) -> Result<Option<Vec<u8>>, ObjectsError> {
        let got = match self.objects.get(object).await {
            Err(Error::NotFound { .. }) => return Ok(None),
            got => got.map_err(|error| self.failed("get", object, &error))?,
        };
        if got.meta.size > bytes_most {
            return Ok(None);
        }
        let bytes = got.bytes().await.map_err(|error| self.failed("get", object, &error))?;
        Ok(Some(bytes.into()))
    }

    /// Removes an object; one that is not there is fine.
    pub(crate) async fn remove(&self, object: &Path) -> Result<(), ObjectsError> {
        match self.objects.delete(object).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("delete", object, &error)),
        }
    }

    fn failed(&self, what: &str, object: &Path, error: &Error) -> ObjectsError {
        let what = format!("{what} {object}").trim_end().to_owned();
        ObjectsError::Target { place: self.shown.clone(), what, reason: plain(error) }
    }
}

/// What an error says, on one line and without what a signature may be part of: the queries of addresses, and of the answer all but
/// its code.
fn plain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    if let Some((before, answer)) = text.split_once("<?xml") {
        let code = answer.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
        text = format!("{before}{}", code.map_or("", |(code, _)| code));
    }
    let words = text.split_whitespace().map(|word| match word.split_once('?') {
        Some((address, _)) if word.contains("://") => format!("{address}?…"),
        _ => word.to_owned(),
    });
    let mut short: String = words.collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = short.char_indices().nth(REASON_LETTERS_MOST) {
        short.truncate(end);
        short.push('…');
    }
    short
}

/// What is told of a reason: an answer may be a whole page.
const REASON_LETTERS_MOST: usize = 400;

fn refuse_plain_http(url: &str, endpoint: Option<&str>, allowed: Option<&str>, key: &str) -> Result<(), ObjectsError> {
    let is_plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    if is_plain && allowed != Some("true") {
        return Err(ObjectsError::Place(format!(
            "{url}: its endpoint {} is without TLS; set {key}=true if that is meant",
            endpoint.unwrap_or_default()
        )));
    }
    Ok(())
}

/// What a connection string says, as Azure's own tools read it.
fn connected(mut builder: MicrosoftAzureBuilder, text: &str, account: &str) -> Result<MicrosoftAzureBuilder, ObjectsError> {
    for part in text.split(';').filter(|part| !part.trim().is_empty()) {
        let Some((key, value)) = part.split_once('=') else {
            return Err(ObjectsError::Place("AZURE_STORAGE_CONNECTION_STRING: a part of it has no \"=\"".to_owned()));
        };
        builder = match key.trim() {
            "AccountKey" => builder.with_access_key(value),
            "SharedAccessSignature" => builder.with_config(AzureConfigKey::SasKey, value),
            "BlobEndpoint" => builder.with_endpoint(value.trim_end_matches('/').to_owned()),
            "AccountName" if value != account => {
                return Err(ObjectsError::Place(format!(
                    "AZURE_STORAGE_CONNECTION_STRING is of the account {value}, the address of {account}; give those of one account"
                )));
            }
            _ => builder,
        };
    }
    Ok(builder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_or_refused_in_a_sentence() {
        let shown = |url: &str| match split(url) {
            Ok((Address::Azure { account, container }, prefix)) => format!("azure {account} {container} {prefix}"),
            Ok((Address::S3 { bucket }, prefix)) => format!("s3 {bucket} {prefix}"),
            Err(error) => error,
        };
        assert_eq!(shown("az://account/tables"), "azure account tables ");
        assert_eq!(shown("az://account/tables/a/b/"), "azure account tables a/b");
        assert_eq!(shown("s3://a-bucket/peerscope"), "s3 a-bucket peerscope");
        for wrong in ["az://account", "az:///tables", "s3://", "gs://bucket", "/data", "az://a?b/tables", "s3://bucket/a//b"] {
            assert!(
                shown(wrong).starts_with(&format!("\"{wrong}\": ")) && shown(wrong).ends_with(FORMS),
                "{wrong}: {}",
                shown(wrong)
            );
        }
    }

    #[test]
    fn plain_http_has_to_be_meant() {
        let check = |endpoint, allowed| refuse_plain_http("s3://bucket", endpoint, allowed, "AWS_ALLOW_HTTP").is_ok();
        assert!(check(None, None) && check(Some("https://minio"), None) && check(Some("http://minio"), Some("true")));
        assert!(!check(Some("http://minio"), None) && !check(Some("http://minio"), Some("false")));
    }

    #[test]
    fn reasons_are_short_and_tell_no_signature() {
        let error = std::io::Error::other("error sending request for url (https://account/c/o?sig=SECRET&se=1)\nagain");
        assert_eq!(plain(&error), "error sending request for url (https://account/c/o?… again");
        let answer = std::io::Error::other(
            "403 Forbidden: <?xml version=\"1.0\"?><Error><Code>AuthenticationFailed</Code><A>MAC</A></Error>",
        );
        assert_eq!(plain(&answer), "403 Forbidden: AuthenticationFailed");
        assert!(plain(&std::io::Error::other("a".repeat(9_000))).chars().count() <= REASON_LETTERS_MOST + 1);
    }
}
