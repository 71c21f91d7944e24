//! A store that breaks after so many requests, or during which the data folder changes.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};

use super::{Written, copier, copy, memory, names, now_us, reader, rows, seen};
use crate::Look;

type Hook = Box<dyn FnMut(usize) + Send>;

/// Passes so many requests on, then none.
pub(super) struct Breaking {
    inner: Arc<dyn ObjectStore>,
    passed: AtomicUsize,
    most: usize,
    /// Told of each request before it is passed on.
    hook: Mutex<Option<Hook>>,
}

impl Breaking {
    pub(super) fn new(inner: Arc<dyn ObjectStore>, most: usize) -> Breaking {
        Breaking { inner, passed: AtomicUsize::new(0), most, hook: Mutex::new(None) }
    }

    fn hooked(inner: Arc<dyn ObjectStore>, hook: Hook) -> Breaking {
        Breaking { hook: Mutex::new(Some(hook)), ..Breaking::new(inner, usize::MAX) }
    }

    fn pass(&self) -> Result<()> {
        let passed = self.passed.fetch_add(1, Ordering::Relaxed);
        if passed >= self.most {
            return Err(Error::Generic { store: "breaking", source: "ended by the test".into() });
        }
        if let Some(hook) = self.hook.lock().unwrap().as_mut() {
            hook(passed);
        }
        Ok(())
    }
}

impl fmt::Debug for Breaking {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Breaking")
    }
}

impl fmt::Display for Breaking {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("breaking")
    }
}

#[async_trait]
impl ObjectStore for Breaking {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.pass()?;
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.pass()?;
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.pass()?;
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<bytes::Bytes>> {
        self.pass()?;
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        match self.pass() {
            Ok(()) => self.inner.delete_stream(locations),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.pass() {
            Ok(()) => self.inner.list(prefix),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.pass()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.pass()?;
        self.inner.copy_opts(from, to, options).await
    }
}

/// A folder of a published state that is copied, and then changed in every way that there is.
fn changed(objects: &Arc<dyn ObjectStore>) -> (Written, [Vec<(i64, i64)>; 2]) {
    let mut written = Written::new();
    (0..3).for_each(|minute| written.publish(minute, 10));
    copy(objects, "fra-1", written.folder.path()).unwrap();
    let before = written.rows();
    written.publish(1, 20);
    written.publish(3, 30);
    written.store.compact(super::HOUR_US + 3_900_000_000).unwrap();
    (written, [before, rows_after()])
}

fn rows_after() -> Vec<(i64, i64)> {
    vec![(0, 10), (1, 20), (2, 10), (3, 30)]
}

#[test]
fn a_kill_between_any_two_steps_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let local = |number: usize| -> Arc<dyn ObjectStore> {
        let root = folder.path().join(number.to_string());
        std::fs::create_dir(&root).unwrap();
        Arc::new(LocalFileSystem::new_with_prefix(root).unwrap())
    };
    let mut ends = [0, 0];
    for number in 0.. {
        let mut is_whole = true;
        for (kind, objects) in [memory(), local(number)].into_iter().enumerate() {
            let cache = tempfile::tempdir().unwrap();
            let (written, [before, after]) = changed(&objects);
            let breaking: Arc<dyn ObjectStore> = Arc::new(Breaking::new(objects.clone(), number));
            // Removing what was replaced is among the steps: grace is over at once.
            let later_us = now_us() + 2 * super::GRACE_SECONDS * 1_000_000;
            let mut killed = copier(&breaking, "fra-1", written.folder.path());
            let first = super::block_on(killed.round(Look::All, later_us));
            let ended = first.and_then(|()| super::block_on(killed.round(Look::All, later_us)));
            is_whole &= ended.is_ok();
            let sight = seen(&reader(&objects, cache.path())).remove(0).1;
            assert!(sight == before || sight == after, "after {number} steps: {sight:?}");
            ends[usize::from(sight == after)] += 1;
            // The next start.
            for _ in 0..2 {
                super::block_on(copier(&objects, "fra-1", written.folder.path()).round(Look::All, later_us)).unwrap();
            }
            assert_eq!(seen(&reader(&objects, cache.path())).remove(0).1, after, "after {number} steps and a start");
            // Of links an object and a manifest, of five-minute rows too; the claim.
            assert_eq!(names(&objects).len(), 5, "{kind}: {:?}", names(&objects));
        }
        if is_whole {
            break;
        }
    }
    assert!(ends[0] > 5 && ends[1] > 5, "{ends:?}");
}

#[test]
fn an_hour_that_changes_while_it_is_copied_is_copied_as_it_was_at_one_moment() {
    for at in 0..12 {
        let (objects, cache) = (memory(), tempfile::tempdir().unwrap());
        let mut written = Written::new();
        (0..4).for_each(|minute| written.publish(minute, 10));
        let data = written.folder.path().to_path_buf();
        let written = Arc::new(Mutex::new(written));
        let of_hook = written.clone();
        let change = move |number: usize| {
            if number == at {
                let mut written = of_hook.lock().unwrap();
                written.publish(1, 20);
                written.store.compact(super::HOUR_US + 3_900_000_000).unwrap();
            }
        };
        let hooked: Arc<dyn ObjectStore> = Arc::new(Breaking::hooked(objects.clone(), Box::new(change)));
        copy(&hooked, "fra-1", &data).unwrap();
        let sight = seen(&reader(&objects, cache.path())).remove(0).1;
        let samples: Vec<i64> = sight.iter().map(|(_, samples)| *samples).collect();
        assert!(samples == [10; 4] || samples == [10, 20, 10, 10], "changed at {at}: {sight:?}");
        copy(&objects, "fra-1", &data).unwrap();
        assert_eq!(seen(&reader(&objects, cache.path())).remove(0).1, rows(&data), "changed at {at}, a round later");
    }
}
