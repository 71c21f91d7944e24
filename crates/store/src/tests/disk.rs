//! A model of a file system that loses what was not synced.
//!
//! It is told of the changes that a writer made and gives the folder as it may stand after a loss of
//! power: of what was not synced, any part may be there. Each change of a folder's entries is there or
//! not by itself (a rename and an exchange as one), whatever came after it; of a file that was not
//! synced any number of the first bytes is there, or zeros in their place.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::files::Change;

/// A change, kept.
#[derive(Clone, Debug)]
pub(super) enum Noted {
    Create(PathBuf),
    Write(PathBuf, Vec<u8>),
    SyncFile(PathBuf),
    CreateFolder(PathBuf),
    SyncFolder(PathBuf),
    Rename(PathBuf, PathBuf),
    Exchange(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl Noted {
    /// The change, with paths below `root`.
    pub(super) fn of(change: Change<'_>, root: &Path) -> Noted {
        let below = |path: &Path| path.strip_prefix(root).unwrap().to_path_buf();
        match change {
            Change::Create(path) => Noted::Create(below(path)),
            Change::Write(path, bytes) => Noted::Write(below(path), bytes.to_vec()),
            Change::SyncFile(path) => Noted::SyncFile(below(path)),
            Change::CreateFolder(path) => Noted::CreateFolder(below(path)),
            Change::SyncFolder(path) => Noted::SyncFolder(below(path)),
            Change::Rename(from, to) => Noted::Rename(below(from), below(to)),
            Change::Exchange(one, other) => Noted::Exchange(below(one), below(other)),
            Change::RemoveFile(path) | Change::RemoveFolder(path) => Noted::Remove(below(path)),
        }
    }
}

type Inode = usize;

#[derive(Clone, Debug)]
enum Node {
    File { synced: Vec<u8>, written: Vec<u8> },
    Folder { synced: BTreeMap<String, Inode>, now: BTreeMap<String, Inode> },
}

/// Entries of folders that change together: folder, name, what it names from then on.
type EntryChange = Vec<(Inode, String, Option<Inode>)>;

/// Random numbers that a seed gives.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }
}

/// The file system; inode 0 is the root.
#[derive(Clone)]
pub(super) struct Disk {
    nodes: Vec<Node>,
    unsynced: Vec<EntryChange>,
}

impl Disk {
    pub(super) fn new() -> Disk {
        Disk { nodes: vec![Node::Folder { synced: BTreeMap::new(), now: BTreeMap::new() }], unsynced: Vec::new() }
    }

    pub(super) fn make(&mut self, change: &Noted) {
        match change {
            Noted::Create(path) => match self.find(path) {
                // Truncated, and that is not synced either.
                Some(inode) => *self.written(inode) = Vec::new(),
                None => self.add(path, Node::File { synced: Vec::new(), written: Vec::new() }),
            },
            Noted::Write(path, bytes) => {
                let inode = self.find(path).unwrap();
                self.written(inode).extend_from_slice(bytes);
            }
            Noted::SyncFile(path) => {
                let inode = self.find(path).unwrap();
                let Node::File { synced, written } = &mut self.nodes[inode] else { panic!("{path:?} is a folder") };
                synced.clone_from(written);
            }
            Noted::CreateFolder(path) => self.add(path, Node::Folder { synced: BTreeMap::new(), now: BTreeMap::new() }),
            Noted::SyncFolder(path) => {
                let inode = self.find(path).unwrap();
                let (of_folder, others) = std::mem::take(&mut self.unsynced)
                    .into_iter()
                    .partition(|change: &EntryChange| change.iter().any(|(folder, ..)| *folder == inode));
                self.unsynced = others;
                of_folder.into_iter().for_each(|change: EntryChange| self.keep(&change));
            }
            Noted::Rename(from, to) => {
                let inode = self.find(from);
                let ((from_folder, from_name), (to_folder, to_name)) = (self.place(from), self.place(to));
                self.change(vec![(to_folder, to_name, inode), (from_folder, from_name, None)]);
            }
            Noted::Exchange(one, other) => {
                let inodes = (self.find(one), self.find(other));
                let ((one_folder, one_name), (other_folder, other_name)) = (self.place(one), self.place(other));
                self.change(vec![(one_folder, one_name, inodes.1), (other_folder, other_name, inodes.0)]);
            }
            Noted::Remove(path) => {
                let (folder, name) = self.place(path);
                self.change(vec![(folder, name, None)]);
            }
        }
    }

    /// Writes the folder as it stands after the writer was killed: the system has all that it was given.
    pub(super) fn after_kill(&self, root: &Path) {
        self.write(0, root, &mut |node| match node {
            Node::File { written, .. } => (written.clone(), BTreeMap::new()),
            Node::Folder { now, .. } => (Vec::new(), now.clone()),
        });
    }

    /// Writes the folder as it may stand after a loss of power.
    pub(super) fn after_power_loss(&self, root: &Path, dice: &mut Dice) {
        let mut disk = self.clone();
        for change in std::mem::take(&mut disk.unsynced) {
            if dice.below(2) == 0 {
                disk.keep(&change);
            }
        }
        let nodes = disk.clone();
        nodes.write(0, root, &mut |node| match node {
            Node::File { synced, written } => (survives(synced, written, dice), BTreeMap::new()),
            Node::Folder { synced, .. } => (Vec::new(), synced.clone()),
        });
    }

    fn write(&self, inode: Inode, path: &Path, see: &mut impl FnMut(&Node) -> (Vec<u8>, BTreeMap<String, Inode>)) {
        let (bytes, entries) = see(&self.nodes[inode]);
        if let Node::File { .. } = self.nodes[inode] {
            return std::fs::write(path, bytes).unwrap();
        }
        std::fs::create_dir_all(path).unwrap();
        for (name, inode) in entries {
            self.write(inode, &path.join(name), see);
        }
    }

    fn entries(&self, folder: Inode) -> &BTreeMap<String, Inode> {
        match &self.nodes[folder] {
            Node::Folder { now, .. } => now,
            Node::File { .. } => panic!("a file has no entries"),
        }
    }

    fn written(&mut self, inode: Inode) -> &mut Vec<u8> {
        match &mut self.nodes[inode] {
            Node::File { written, .. } => written,
            Node::Folder { .. } => panic!("a folder has no bytes"),
        }
    }

    fn find(&self, path: &Path) -> Option<Inode> {
        let name = |part: Component<'_>| part.as_os_str().to_str().unwrap().to_string();
        path.components().map(name).try_fold(0, |folder, name| self.entries(folder).get(&name).copied())
    }

    /// The folder of a path, and the name in it.
    fn place(&self, path: &Path) -> (Inode, String) {
        let folder = self.find(path.parent().unwrap()).unwrap();
        (folder, path.file_name().unwrap().to_str().unwrap().to_string())
    }

    fn add(&mut self, path: &Path, node: Node) {
        let (folder, name) = self.place(path);
        self.nodes.push(node);
        self.change(vec![(folder, name, Some(self.nodes.len() - 1))]);
    }

    fn change(&mut self, change: EntryChange) {
        for (folder, name, inode) in &change {
            let Node::Folder { now, .. } = &mut self.nodes[*folder] else { continue };
            set(now, name, *inode);
        }
        self.unsynced.push(change);
    }

    fn keep(&mut self, change: &EntryChange) {
        for (folder, name, inode) in change {
            let Node::Folder { synced, .. } = &mut self.nodes[*folder] else { continue };
            set(synced, name, *inode);
        }
    }
}

fn set(entries: &mut BTreeMap<String, Inode>, name: &str, inode: Option<Inode>) {
    match inode {
        Some(inode) => entries.insert(name.to_string(), inode),
        None => entries.remove(name),
    };
}

/// What of a file is there: what was synced, and of the rest some of the first bytes, or zeros.
fn survives(synced: &[u8], written: &[u8], dice: &mut Dice) -> Vec<u8> {
    if synced == written {
        return synced.to_vec();
    }
    let grows = written.starts_with(synced);
    let from = if grows { synced.len() } else { 0 };
    let upto = from + dice.below(written.len() - from + 1);
    let mut bytes = match dice.below(3) {
        0 => return synced.to_vec(),
        _ => written[..upto].to_vec(),
    };
    if dice.below(3) == 0 {
        bytes.resize(written.len(), 0);
    }
    bytes
}
